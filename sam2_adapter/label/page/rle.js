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

/** Everything that is drawn or asked about a mask of `height` rows: its bounds, area, box [x0, y0, x1, y1], and rings. */
export function shapeOf(counts, height) {
  const bounds = decodeBounds(counts);
  let area = 0;
  for (let i = 0; i < bounds.length; i += 2) area += bounds[i + 1] - bounds[i];
  const columns = columnsOf(bounds, height);
  return { bounds, height, area, box: boxOf(columns), rings: ringsOf(columns) };
}

/** Whether the pixel in column x and row y is set. */
export function contains(shape, x, y) {
  const [x0, y0, x1, y1] = shape.box;
  if (x < x0 || y < y0 || x >= x1 || y >= y1) return false;
  const position = x * shape.height + y;
  let low = 0;
  let high = shape.bounds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shape.bounds[middle] <= position) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
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

function boxOf(columns) {
  if (!columns.length) return [0, 0, 0, 0];
  let y0 = Infinity;
  let y1 = 0;
  for (const [, runs] of columns) {
    y0 = Math.min(y0, runs[0]);
    y1 = Math.max(y1, runs[runs.length - 1]);
  }
  return [columns[0][0], y0, columns[columns.length - 1][0] + 1, y1];
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
