// The pixels of a stroke: those whose centre is at most half the brush's size away from the line that was drawn.
//
// The line goes through the middles of pixels where the size is odd, and through their corners where it is even, so that a brush of one pixel paints
// the pixel below the pointer. Places are counted in half pixels: all numbers are whole, and the rule is exact.

export class Stroke {
  constructor(size, width, height, isErasing) {
    Object.assign(this, { size, width, height, isErasing });
    this.columns = new Map(); // x -> [y0, y1, y0, y1, ...]
    this.last = null; // [x, y] in half pixels
  }

  /** Go on to a point of the picture; the columns that this adds, [x, [y0, y1]] from left to right. */
  to(x, y) {
    const place = [snapped(x, this.size), snapped(y, this.size)];
    const from = this.last ?? place;
    this.last = place;
    const added = [...lineColumns(from, place, this.size, this.width, this.height)];
    for (const [column, [y0, y1]] of added) {
      const known = this.columns.get(column);
      if (known) insert(known, y0, y1);
      else this.columns.set(column, [y0, y1]);
    }
    return added;
  }

  /** All columns so far, from left to right. */
  sorted() {
    return [...this.columns].sort(([a], [b]) => a - b);
  }
}

/** A coordinate in half pixels: the middle of the pixel for odd sizes, the nearest corner for even ones. */
export const snapped = (value, size) => (size % 2 ? 2 * Math.floor(value) + 1 : 2 * Math.round(value));

/** The columns of a line with round ends, from [ax, ay] to [bx, by] in half pixels, inside the picture. */
function* lineColumns([ax, ay], [bx, by], size, width, height) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const isIn = (row, cx) => {
    const [px, py] = [cx - ax, 2 * row + 1 - ay];
    const along = px * dx + py * dy;
    if (along <= 0) return px * px + py * py <= size * size;
    if (along >= length) return (px - dx) ** 2 + (py - dy) ** 2 <= size * size;
    return (px * dy - py * dx) ** 2 <= size * size * length;
  };
  const first = Math.max(0, Math.ceil((Math.min(ax, bx) - size - 1) / 2));
  const last = Math.min(width - 1, Math.floor((Math.max(ax, bx) + size - 1) / 2));
  for (let x = first; x <= last; x++) {
    const cx = 2 * x + 1;
    const [low, high] = reach(cx, ax, ay, dx, dy, Math.sqrt(length), size);
    if (low > high) continue;
    // One row more on each side: square roots are rounded, the rule is not.
    let from = Math.floor((low - 1) / 2) - 1;
    let to = Math.ceil((high - 1) / 2) + 1;
    while (from <= to && !isIn(from, cx)) from++;
    while (to > from && !isIn(to, cx)) to--;
    const [y0, y1] = [Math.max(from, 0), Math.min(to + 1, height)];
    if (y0 < y1) yield [x, [y0, y1]];
  }
}

/** Where the line with round ends crosses a column: about the lowest and the highest coordinate; the shape is convex. */
function reach(cx, ax, ay, dx, dy, length, size) {
  let [low, high] = [Infinity, -Infinity];
  const take = (y) => { low = Math.min(low, y); high = Math.max(high, y); };
  for (const [x, y] of [[ax, ay], [ax + dx, ay + dy]]) {
    const rest = size * size - (cx - x) ** 2;
    if (rest < 0) continue;
    take(y - Math.sqrt(rest));
    take(y + Math.sqrt(rest));
  }
  if (dx !== 0) {
    for (const side of [-1, 1]) {
      // The long sides of the line lie half the size beside it.
      const [x, y] = [ax - (side * size * dy) / length, ay + (side * size * dx) / length];
      const share = (cx - x) / dx;
      if (share >= 0 && share <= 1) take(y + share * dy);
    }
  }
  return [low, high];
}

/** Put an interval into a sorted list of them. */
function insert(list, y0, y1) {
  let i = 0;
  while (i < list.length && list[i + 1] < y0) i += 2;
  let j = i;
  while (j < list.length && list[j] <= y1) {
    y0 = Math.min(y0, list[j]);
    y1 = Math.max(y1, list[j + 1]);
    j += 2;
  }
  list.splice(i, j - i, y0, y1);
}
