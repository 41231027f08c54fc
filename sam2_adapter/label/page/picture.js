// The pixels of the open picture: the whole view, and tiles in full resolution where they are looked at.

import { imagePath } from "./api.js";

const MOST_TILES = 160;
const MOST_AT_ONCE = 4;

export class PictureLayer {
  constructor(tilePx, onChange) {
    this.tilePx = tilePx;
    this.onChange = onChange;
    this.clear();
  }

  clear() {
    for (const bitmap of this.tiles?.values() ?? []) bitmap.close();
    this.overview?.close();
    this.overview = null;
    this.coming?.bitmap.then((bitmap) => bitmap.close(), () => {});
    this.coming = null;
    this.tiles = new Map();
    this.loading = new Set();
    this.image = null;
    this.error = "";
  }

  /** Fetch the view of a picture that is opened as soon as its size is known. */
  prepare(id) {
    const bitmap = bitmapAt(imagePath(id, "overview"));
    bitmap.catch(() => {}); // `open` says what is wrong
    this.coming = { id, bitmap };
  }

  async open(image) {
    const coming = this.coming?.id === image.id ? this.coming.bitmap : null;
    if (coming) this.coming = null;
    this.clear();
    this.image = image;
    try {
      const overview = await (coming ?? bitmapAt(imagePath(image.id, "overview")));
      if (this.image !== image) return overview.close();
      this.overview = overview;
    } catch (error) {
      if (this.image === image) this.error = error.message;
    }
    this.onChange();
  }

  get hasTiles() {
    return this.overview !== null && this.overview.width < this.image.width;
  }

  draw(context, view) {
    const { width, height } = this.image;
    context.imageSmoothingEnabled = view.scale < 3;
    context.imageSmoothingQuality = "high";
    if (this.overview) context.drawImage(this.overview, 0, 0, width, height);
    if (!this.hasTiles || !this.needsTiles(view)) return;
    for (const [column, row] of this.visibleTiles(view)) {
      const tile = this.tiles.get(`${column}/${row}`);
      if (tile) context.drawImage(tile, column * this.tilePx, row * this.tilePx);
    }
  }

  needsTiles(view) {
    return view.scale * devicePixelRatio > (1.1 * this.overview.width) / this.image.width;
  }

  *visibleTiles(view) {
    const [x0, y0, x1, y1] = view.visible();
    for (let row = Math.floor(y0 / this.tilePx); row * this.tilePx < y1; row++)
      for (let column = Math.floor(x0 / this.tilePx); column * this.tilePx < x1; column++) yield [column, row];
  }

  /** Fetch the tiles that are looked at, a few at a time. */
  fetchTiles(view) {
    if (!this.image || !this.hasTiles || !this.needsTiles(view)) return;
    for (const [column, row] of this.visibleTiles(view)) {
      const key = `${column}/${row}`;
      if (this.tiles.has(key) || this.loading.has(key)) continue;
      if (this.loading.size >= MOST_AT_ONCE) return;
      this.loading.add(key);
      this.fetchTile(key, this.image, view);
    }
  }

  async fetchTile(key, image, view) {
    try {
      const bitmap = await bitmapAt(imagePath(image.id, `tiles/${key}`));
      if (this.image !== image) return bitmap.close();
      this.tiles.set(key, bitmap);
      if (this.tiles.size > MOST_TILES) {
        const oldest = this.tiles.keys().next().value;
        this.tiles.get(oldest).close();
        this.tiles.delete(oldest);
      }
      this.onChange();
    } catch {
      // the whole view is shown instead
    } finally {
      this.loading.delete(key);
      if (this.image === image) this.fetchTiles(view);
    }
  }
}

async function bitmapAt(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error || `status ${response.status}`);
  return createImageBitmap(await response.blob());
}
