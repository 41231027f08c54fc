// Arithmetic on masks with exact pixels. A mask is the sorted positions of its runs, [start, end, start, end, ...], column by column (see rle.js).

import { columnsOf, placeOf } from "./rle.js";

/** The pixels that two masks share; only the runs of the second one near the first one are looked at. */
export function shared(a, b) {
  const runs = [];
  let i = 0;
  let j = placeOf(b, a[0]) & ~1; // the run that ends there or later
  while (i < a.length && j < b.length) {
    const start = Math.max(a[i], b[j]);
    const end = Math.min(a[i + 1], b[j + 1]);
    if (end > start) runs.push(start, end);
    if (a[i + 1] < b[j + 1]) i += 2;
    else j += 2;
  }
  return Float64Array.from(runs);
}

/** How many pixels a mask has. */
export function areaOf(bounds) {
  let area = 0;
  for (let i = 0; i < bounds.length; i += 2) area += bounds[i + 1] - bounds[i];
  return area;
}

/** Whether the boxes of two shapes meet. */
export const areNear = ({ box: a }, { box: b }) => a[0] < b[2] && a[2] > b[0] && a[1] < b[3] && a[3] > b[1];

/** The share of a shape's pixels that others have together. */
export function shareIn(shape, others) {
  const together = others.filter((one) => areNear(one, shape)).reduce((all, { bounds }) => changed(all, bounds, false), new Float64Array(0));
  return shape.area ? areaOf(shared(shape.bounds, together)) / shape.area : 0;
}

/** The share of a window's edge that a shape lies on: of the four lines so many pixels inside [x0, y0, x1, y1]. */
export function shareOfEdge(shape, [x0, y0, x1, y1], [inX, inY]) {
  const [left, right, top, bottom] = [x0 + inX, x1 - 1 - inX, y0 + inY, y1 - 1 - inY];
  let covered = 0;
  for (const [x, ys] of columnsOf(shape.bounds, shape.height)) {
    if (x < x0 || x >= x1) continue;
    for (let i = 0; i < ys.length; i += 2) {
      const [from, to] = [Math.max(ys[i], y0), Math.min(ys[i + 1], y1)];
      for (const y of [top, bottom]) if (from <= y && y < to) covered++;
      for (const side of [left, right]) if (x === side) covered += Math.max(to - from, 0);
    }
  }
  return covered / (2 * (x1 - x0 + y1 - y0));
}

/** A mask with the pixels of another one, or without them; only the runs near those are looked at. */
export function changed(bounds, pixels, isErased) {
  if (!pixels.length) return bounds;
  const first = placeOf(bounds, pixels[0]) & ~1; // the run that ends there or later
  let last = placeOf(bounds, pixels[pixels.length - 1] + 1);
  last += last & 1;
  const middle = combined(bounds.subarray(first, last), pixels, isErased);
  const after = new Float64Array(first + middle.length + bounds.length - last);
  after.set(bounds.subarray(0, first));
  after.set(middle, first);
  after.set(bounds.subarray(last), first + middle.length);
  return after;
}

/** Runs that are in `a` or `b`; where `isErased`, those in `a` but not in `b`. */
function combined(a, b, isErased) {
  const runs = [];
  let i = 0;
  let j = 0;
  let isSet = false;
  while (i < a.length || j < b.length) {
    const position = Math.min(i < a.length ? a[i] : Infinity, j < b.length ? b[j] : Infinity);
    while (i < a.length && a[i] === position) i++;
    while (j < b.length && b[j] === position) j++;
    const isNow = isErased ? i % 2 === 1 && j % 2 === 0 : i % 2 === 1 || j % 2 === 1;
    if (isNow !== isSet) runs.push(position);
    isSet = isNow;
  }
  return runs;
}

/** COCO's compressed run lengths of a mask of so many pixels; the inverse of `decodeBounds`. */
export function countsOf(bounds, total) {
  const runs = [];
  let position = 0;
  for (const bound of bounds) {
    runs.push(bound - position);
    position = bound;
  }
  if (position < total || !runs.length) runs.push(total - position);
  let text = "";
  runs.forEach((run, index) => {
    let value = index > 2 ? run - runs[index - 2] : run;
    let more = true;
    while (more) {
      const low = ((value % 32) + 32) % 32;
      value = Math.floor(value / 32);
      more = low & 16 ? value !== -1 : value !== 0;
      text += String.fromCharCode(48 + low + (more ? 32 : 0));
    }
  });
  return text;
}

/** The positions of columns, [x, [y0, y1, y0, y1, ...]] each, from left to right. */
export function boundsOf(columns, height) {
  const bounds = [];
  for (const [x, runs] of columns) {
    for (let i = 0; i < runs.length; i += 2) {
      const start = x * height + runs[i];
      if (bounds[bounds.length - 1] === start) bounds.pop();
      else bounds.push(start);
      bounds.push(x * height + runs[i + 1]);
    }
  }
  return Float64Array.from(bounds);
}

/** Columns without gaps from one to the one before another. */
function filledUp(columns, x0, x1) {
  const found = new Map(columns);
  return Array.from({ length: x1 - x0 }, (_, index) => [x0 + index, found.get(x0 + index) ?? []]);
}

/** The regions of columns, connected over sides and corners: [{area, columns}]. */
function regionsOf(columns) {
  const parents = [];
  const root = (index) => {
    while (parents[index] !== index) index = parents[index] = parents[parents[index]];
    return index;
  };
  const runs = []; // [x, y0, y1]
  let before = [];
  let beforeX = NaN;
  for (const [x, ys] of columns) {
    const here = [];
    for (let i = 0; i < ys.length; i += 2) {
      const index = parents.length;
      parents.push(index);
      runs.push([x, ys[i], ys[i + 1]]);
      here.push(index);
    }
    if (x === beforeX + 1) {
      let i = 0;
      for (const index of here) {
        const [, y0, y1] = runs[index];
        while (i < before.length && runs[before[i]][2] < y0) i++;
        for (let j = i; j < before.length && runs[before[j]][1] <= y1; j++) parents[root(before[j])] = root(index);
      }
    }
    before = here;
    beforeX = x;
  }
  const regions = new Map();
  runs.forEach(([x, y0, y1], index) => {
    const key = root(index);
    const region = regions.get(key) ?? { area: 0, columns: [] };
    regions.set(key, region);
    region.area += y1 - y0;
    const last = region.columns[region.columns.length - 1];
    if (last && last[0] === x) last[1].push(y0, y1);
    else region.columns.push([x, [y0, y1]]);
  });
  return [...regions.values()];
}

/** The separate parts of a mask. */
export const partsOf = (shape) => regionsOf(columnsOf(shape.bounds, shape.height));

/** Regions of background inside the box of a mask; background at the border of a picture of this width counts as it does inside. */
export function holesOf(shape, width) {
  const { box, height } = shape;
  const [x0, y0] = [Math.max(0, box[0] - 1), Math.max(0, box[1] - 1)];
  const [x1, y1] = [Math.min(width, box[2] + 1), Math.min(height, box[3] + 1)];
  const background = filledUp(columnsOf(shape.bounds, height), x0, x1).map(([x, ys]) => [x, withoutEmpty([y0, ...ys, y1])]);
  const isOutside = ([x, ys]) => x < box[0] || x >= box[2] || ys[0] < box[1] || ys[ys.length - 1] > box[3];
  return regionsOf(background).filter(({ columns }) => !columns.some(isOutside));
}

function withoutEmpty(ys) {
  const kept = [];
  for (let i = 0; i < ys.length; i += 2) if (ys[i + 1] > ys[i]) kept.push(ys[i], ys[i + 1]);
  return kept;
}
