// Masks as COCO's compressed run lengths: decoding, asking for a pixel, and tracing the outline along pixel edges.
// Runs alternate between unset and set pixels, column by column, from the top of the first column.

/** First and one-past-last position of every run of set pixels, as one list: [start, end, start, end, ...]. */
export function decodeBounds(counts) {
  const bounds = [];
  const runs = [];
  let position = 0;
  for (let i = 0; i < counts.length; ) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      const code = counts.charCodeAt(i++) - 48;
      value += (code & 0x1f) * 2 ** shift;
      shift += 5;
      more = (code & 0x20) !== 0;
      if (!more && code & 0x10) value -= 2 ** shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
    if (runs.length % 2 === 0 && value > 0) {
      if (bounds.length && bounds[bounds.length - 1] === position) bounds[bounds.length - 1] = position + value;
      else bounds.push(position, position + value);
    }
    position += value;
  }
  return Float64Array.from(bounds);
}

/** Whether the pixel in column x and row y is set. */
export function contains(shape, x, y) {
  const [x0, y0, x1, y1] = shape.box;
  if (x < x0 || y < y0 || x >= x1 || y >= y1) return false;
  return placeOf(shape.bounds, x * shape.height + y + 1) % 2 === 1;
}

/** How many of the sorted values are less than one. */
export function placeOf(values, value) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The box [x0, y0, x1, y1] around the set pixels; all 0 where there are none. */
export function boxOf(bounds, height) {
  if (!bounds.length) return [0, 0, 0, 0];
  const x0 = Math.floor(bounds[0] / height);
  const x1 = Math.ceil(bounds[bounds.length - 1] / height);
  let y0 = height;
  let y1 = 0;
  for (let i = 0; i < bounds.length; i += 2) {
    const top = bounds[i] % height;
    const bottom = top + bounds[i + 1] - bounds[i];
    if (bottom > height) return [x0, 0, x1, height]; // goes on in the next column
    if (top < y0) y0 = top;
    if (bottom > y1) y1 = bottom;
  }
  return [x0, y0, x1, y1];
}

/**
 * A ring with fewer corners, none of those left out farther than `tolerance` from the line that stands for it. From a corner on, a line is
 * drawn as far as there is a direction that passes all corners closely enough; a small ring stays as it is. A corner may lie 0.85 of the
 * tolerance beside a line and half of it beyond its end, which is within the tolerance together.
 */
export function simplified(ring, tolerance) {
  const kept = [ring[0], ring[1]];
  let x = ring[0];
  let y = ring[1];
  let wedge = null; // the directions that pass closely enough: an angle, least and most from it; and how far the line has come
  for (let i = 2; i <= ring.length; i += 2) {
    const dx = ring[i % ring.length] - x; // the last line ends where the first one begins
    const dy = ring[(i + 1) % ring.length] - y;
    const distance = Math.hypot(dx, dy);
    const isNear = distance <= tolerance;
    if (!wedge && isNear) continue;
    const angle = Math.atan2(dy, dx);
    const half = isNear ? 0 : Math.asin((0.85 * tolerance) / distance);
    if (!wedge) {
      wedge = { angle, least: -half, most: half, far: distance };
      continue;
    }
    const turn = angle - wedge.angle;
    const off = turn > Math.PI ? turn - 2 * Math.PI : turn < -Math.PI ? turn + 2 * Math.PI : turn;
    if (isNear || off < wedge.least || off > wedge.most || distance < wedge.far - 0.5 * tolerance) {
      i -= 2; // the corner before ends this line and begins the next one
      x = ring[i];
      y = ring[i + 1];
      kept.push(x, y);
      wedge = null;
    } else {
      wedge.least = Math.max(wedge.least, off - half);
      wedge.most = Math.min(wedge.most, off + half);
      wedge.far = Math.max(wedge.far, distance);
    }
  }
  return kept.length < 6 ? ring : kept;
}

/** Columns with set pixels: [x, [y0, y1, y0, y1, ...]] each, from left to right. */
export function columnsOf(bounds, height) {
  const columns = [];
  for (let i = 0; i < bounds.length; i += 2) {
    let start = bounds[i];
    const end = bounds[i + 1];
    while (start < end) {
      const x = Math.floor(start / height);
      const stop = Math.min(end, (x + 1) * height);
      const last = columns[columns.length - 1];
      const runs = last && last[0] === x ? last[1] : (columns.push([x, []]), columns[columns.length - 1][1]);
      runs.push(start - x * height, stop - x * height);
      start = stop;
    }
  }
  return columns;
}

/** Closed rings of corners [x, y, x, y, ...] along pixel edges, holes included; filled by the even-odd rule they are the mask. */
export function ringsOf(columns) {
  const xs = [];
  const froms = [];
  const tos = [];
  // The vertical edges at x: where exactly one of the columns left and right of it is set. Down where the left one is.
  const edgesAt = (x, left, right) => {
    let i = 0;
    let j = 0;
    let inLeft = false;
    let inRight = false;
    let start = 0;
    let kind = 0;
    while (i < left.length || j < right.length) {
      const y = Math.min(i < left.length ? left[i] : Infinity, j < right.length ? right[j] : Infinity);
      if (i < left.length && left[i] === y) { inLeft = !inLeft; i++; }
      if (j < right.length && right[j] === y) { inRight = !inRight; j++; }
      const next = inLeft === inRight ? 0 : inLeft ? 1 : -1;
      if (next === kind) continue;
      if (kind) { xs.push(x); froms.push(kind > 0 ? start : y); tos.push(kind > 0 ? y : start); }
      start = y;
      kind = next;
    }
  };
  const none = [];
  columns.forEach(([x, runs], index) => {
    const before = index && columns[index - 1][0] === x - 1 ? columns[index - 1][1] : none;
    edgesAt(x, before, runs);
    const after = index + 1 < columns.length && columns[index + 1][0] === x + 1;
    if (!after) edgesAt(x + 1, runs, none);
  });
  return joined(xs, froms, tos);
}

/** Join vertical edges into rings: in each row the corners, from left to right, are the ends of horizontal edges in pairs. */
function joined(xs, froms, tos) {
  const rows = new Map();
  for (let edge = 0; edge < xs.length; edge++) {
    for (const [y, corner] of [[froms[edge], edge * 2], [tos[edge], edge * 2 + 1]]) {
      const row = rows.get(y);
      if (row) row.push(corner);
      else rows.set(y, [corner]);
    }
  }
  const next = new Int32Array(xs.length);
  for (const row of rows.values()) {
    for (let i = 0; i + 1 < row.length; i += 2) {
      const [a, b] = row[i] & 1 ? [row[i], row[i + 1]] : [row[i + 1], row[i]];
      next[a >> 1] = b >> 1;
    }
  }
  const rings = [];
  const seen = new Uint8Array(xs.length);
  for (let first = 0; first < xs.length; first++) {
    const ring = [];
    for (let edge = first; !seen[edge]; edge = next[edge]) {
      seen[edge] = 1;
      ring.push(xs[edge], froms[edge], xs[edge], tos[edge]);
    }
    if (ring.length) rings.push(ring);
  }
  return rings;
}
