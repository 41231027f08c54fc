// Where the picture lies on the screen: zoom and pan. Coordinates of the picture are its pixels, those of the screen are CSS pixels.

const MOST_ZOOM = 64;
const ROOM = 20; // around a picture that fits
const BARS = 100; // below it, for the strip and what stands above it: nothing that opens there moves or covers the picture
const TOOLS = 70; // left of it, for the tools

/** To a hundredth of a pixel: what is sent and kept reads well. */
export const hundredth = (value) => Math.round(value * 100) / 100;

export class View {
  constructor() {
    this.scale = 1; // CSS pixels of a pixel of the picture
    this.x = 0; // of the picture's corner on the screen
    this.y = 0;
    this.width = 1;
    this.height = 1;
    this.imageWidth = 1;
    this.imageHeight = 1;
    this.isFitted = true;
  }

  /** The part of the screen that nothing lies over: [x0, y0, x1, y1]. */
  free() {
    return [TOOLS, ROOM, this.width - ROOM, this.height - BARS];
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
    if (this.isFitted) this.fit();
    else this.keepNear();
  }

  open(imageWidth, imageHeight) {
    this.imageWidth = imageWidth;
    this.imageHeight = imageHeight;
    this.fit();
  }

  fitScale() {
    return Math.min((this.width - TOOLS - ROOM) / this.imageWidth, (this.height - ROOM - BARS) / this.imageHeight, 8);
  }

  fit() {
    this.scale = Math.max(this.fitScale(), 0.001);
    this.x = TOOLS + (this.width - TOOLS - ROOM - this.imageWidth * this.scale) / 2;
    this.y = ROOM + (this.height - ROOM - BARS - this.imageHeight * this.scale) / 2;
    this.isFitted = true;
  }

  zoomAt(x, y, factor) {
    const least = Math.min(this.fitScale(), 1) / 2;
    const scale = Math.min(Math.max(this.scale * factor, least), MOST_ZOOM);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.isFitted = false;
    this.keepNear();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.isFitted = false;
    this.keepNear();
  }

  /** Some of the picture always stays in the window. */
  keepNear() {
    const margin = 80;
    this.x = Math.min(Math.max(this.x, margin - this.imageWidth * this.scale), this.width - margin);
    this.y = Math.min(Math.max(this.y, margin - this.imageHeight * this.scale), this.height - margin);
  }

  /** Move the view so that a box of the picture is in it. */
  reveal([x0, y0, x1, y1]) {
    const [left, top] = this.toScreen(x0, y0);
    const [right, bottom] = this.toScreen(x1, y1);
    if (left >= 0 && top >= 0 && right <= this.width && bottom <= this.height) return;
    const scale = Math.min(this.scale, (this.width - 120) / (x1 - x0), (this.height - 120) / (y1 - y0));
    this.scale = Math.max(scale, Math.min(this.fitScale(), 1) / 2);
    this.x = this.width / 2 - ((x0 + x1) / 2) * this.scale;
    this.y = this.height / 2 - ((y0 + y1) / 2) * this.scale;
    this.isFitted = false;
  }

  toImage(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  toScreen(x, y) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  isInside(x, y) {
    return x >= 0 && y >= 0 && x < this.imageWidth && y < this.imageHeight;
  }

  /** A point of the screen as a point of the picture that lies in it. */
  clamped(x, y) {
    const [ix, iy] = this.toImage(x, y);
    return [Math.min(Math.max(ix, 0), this.imageWidth), Math.min(Math.max(iy, 0), this.imageHeight)];
  }

  /** The visible part of the picture where that is not all of it, for answers at full resolution; undefined otherwise. */
  part() {
    const [x0, y0, x1, y1] = this.visible();
    const isAll = x0 === 0 && y0 === 0 && x1 === this.imageWidth && y1 === this.imageHeight;
    return isAll || x1 <= x0 || y1 <= y0 ? undefined : [x0, y0, x1, y1];
  }

  /** The visible part of the picture in whole pixels, [x0, y0, x1, y1]. */
  visible() {
    const [x0, y0] = this.toImage(0, 0);
    const [x1, y1] = this.toImage(this.width, this.height);
    return [
      Math.max(0, Math.floor(x0)), Math.max(0, Math.floor(y0)),
      Math.min(this.imageWidth, Math.ceil(x1)), Math.min(this.imageHeight, Math.ceil(y1)),
    ];
  }
}
