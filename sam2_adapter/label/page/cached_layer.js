// A drawing over the picture that costs much to make, such as hundreds of masks. It is kept twice: as it lies in the window at rest, sharp, and over
// the whole picture, for frames while the view is moved.

const SHEET_PX = 2048;

export class CachedLayer {
  /** `paint(context, pixel)` draws in pixels of the picture; `pixel` is the length of a CSS pixel in them. */
  constructor(paint) {
    this.paint = paint;
    this.layer = document.createElement("canvas");
    this.sheet = document.createElement("canvas");
    this.clear();
  }

  clear() {
    this.layerKey = this.sheetKey = null;
  }

  /** Draw on the stage's canvas; painted again where one of the values of `what` is another one. */
  draw(stage, what) {
    const { context, view } = stage;
    if (stage.isMoving) {
      const { imageWidth, imageHeight } = view;
      if (!isSame(this.sheetKey, what)) {
        this.sheetKey = what;
        this.paintSheet(imageWidth, imageHeight);
      }
      context.imageSmoothingEnabled = true;
      context.drawImage(this.sheet, 0, 0, imageWidth, imageHeight);
      return;
    }
    const where = [...what, view.scale, view.x, view.y];
    if (!isSame(this.layerKey, where)) {
      this.layerKey = where;
      this.layer.width = stage.canvas.width;
      this.layer.height = stage.canvas.height;
      const layer = this.layer.getContext("2d");
      stage.place(layer);
      this.paint(layer, 1 / view.scale);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.layer, 0, 0);
    stage.place(context);
  }

  paintSheet(width, height) {
    const shrink = Math.min(1, SHEET_PX / Math.max(width, height));
    this.sheet.width = Math.ceil(width * shrink);
    this.sheet.height = Math.ceil(height * shrink);
    const sheet = this.sheet.getContext("2d");
    sheet.setTransform(shrink, 0, 0, shrink, 0, 0);
    this.paint(sheet, 1 / shrink);
  }
}

const isSame = (key, other) => key !== null && key.every((value, index) => value === other[index]);
