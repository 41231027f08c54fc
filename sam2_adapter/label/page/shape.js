// A mask as it is drawn and asked about. Its outline is traced when it is first drawn, as fine as the screen shows it.

import { areaOf } from "./pixels.js";
import { boxOf, columnsOf, decodeBounds, ringsOf, simplified } from "./rle.js";

// How far a drawn outline may be from the exact one, in pixels of the screen, where those of the picture are smaller.
const MOST_OFF_PX = 0.6;
const MOST_PATHS = 3;

export class Shape {
  constructor(counts, height) {
    this.height = height;
    this.bounds = decodeBounds(counts);
    this.box = boxOf(this.bounds, height);
    this.area = areaOf(this.bounds);
    this.paths = new Map();
  }

  /** The outline, for a screen on which a pixel of the picture takes `scale` pixels: exact where it takes a whole one or more. */
  path(scale) {
    const halvings = Math.max(0, Math.ceil(Math.log2(1 / scale)));
    let path = this.paths.get(halvings);
    if (!path) {
      path = this.traced(halvings && (MOST_OFF_PX / 2) * 2 ** halvings);
      if (this.paths.size >= MOST_PATHS) this.paths.delete(this.paths.keys().next().value);
      this.paths.set(halvings, path);
    }
    return path;
  }

  traced(tolerance) {
    const rings = ringsOf(columnsOf(this.bounds, this.height));
    return pathOf(tolerance ? rings.map((ring) => simplified(ring, tolerance)) : rings);
  }
}

/** Closed rings of corners as one path. */
export function pathOf(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    path.moveTo(ring[0], ring[1]);
    for (let i = 2; i < ring.length; i += 2) path.lineTo(ring[i], ring[i + 1]);
    path.closePath();
  }
  return path;
}
