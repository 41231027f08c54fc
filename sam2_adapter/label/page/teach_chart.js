// Line charts of teaching, drawn as SVG in the width that there is, so that their texts keep their size; colours are the page's, light or dark.

import { element, percent } from "./elements.js";

const HEIGHT = 190;
const EDGE = { left: 44, right: 12, top: 10, bottom: 26 };
const TEXT_PX = 12;

const svg = (name, attributes = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

/** A share to a tenth of a percent. */
export const tenthPercent = (value) => `${(100 * value).toFixed(1)} %`;

/** A chart that is drawn again when its data or its width change. */
export class Chart {
  /** `title` and `xTitle` are for people; x values are whole numbers or percent as `xText` writes them. */
  constructor(title, xTitle, xText = String) {
    Object.assign(this, { title, xTitle, xText, series: [], mark: null });
    this.canvas = element("div", { className: "chart" });
    this.legend = element("ul", { className: "legend" });
    this.node = element("figure", {}, element("figcaption", {}, title), this.canvas, this.legend);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** Show `series`: [{name, points: [[x, y], ...]}], y from 0 to 1, and a line at `mark`. */
  show(series, mark = null, range = null) {
    Object.assign(this, { series: series.filter(({ points }) => points.length), mark, range });
    this.node.hidden = !this.series.length;
    this.legend.replaceChildren(
      ...this.series.map(({ name }, index) => element("li", {}, svg("svg", { width: 22, height: 10, "aria-hidden": "true" }, svg("path", { d: "M0 5H22", class: `line line-${index}` })), name)),
    );
    this.draw();
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width || !this.series.length) return;
    const all = this.series.flatMap(({ points }) => points);
    const [first, last] = this.range ?? extent(all.map(([x]) => x));
    const [low, high, step] = rounded(extent(all.map(([, y]) => y)));
    const x = (value) => EDGE.left + ((value - first) / (last - first || 1)) * (width - EDGE.left - EDGE.right);
    const y = (value) => EDGE.top + ((high - value) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
    const text = (content, attributes) => svg("text", { class: "tick", "font-size": TEXT_PX, ...attributes }, content);
    const drawn = svg("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": this.inWords() });
    for (let value = low; value <= high + 1e-9; value += step) {
      drawn.append(svg("path", { class: "grid", d: `M${EDGE.left} ${y(value)}H${width - EDGE.right}` }));
      drawn.append(text(percent(value), { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }));
    }
    if (this.mark !== null) drawn.append(svg("path", { class: "mark", d: `M${x(this.mark)} ${EDGE.top}V${HEIGHT - EDGE.bottom}` }));
    this.series.forEach(({ points }, index) => {
      const path = points.map((point, at) => `${at ? "L" : "M"}${x(point[0])} ${y(point[1])}`).join("");
      drawn.append(svg("path", { class: `line line-${index}`, d: path }));
      for (const point of points) drawn.append(svg("circle", { class: `dot line-${index}`, cx: x(point[0]), cy: y(point[1]), r: 2.5 }));
    });
    drawn.append(text(this.xText(first), { x: EDGE.left, y: HEIGHT - 8, "text-anchor": "start" }));
    drawn.append(text(this.xText(last), { x: width - EDGE.right, y: HEIGHT - 8, "text-anchor": "end" }));
    drawn.append(text(this.xTitle, { x: (EDGE.left + width - EDGE.right) / 2, y: HEIGHT - 8, "text-anchor": "middle" }));
    this.canvas.replaceChildren(drawn);
  }

  /** The chart for those who do not see it: where each line begins and ends. */
  inWords() {
    const lines = this.series.map(({ name, points }) => `${name} from ${tenthPercent(points[0][1])} to ${tenthPercent(points.at(-1)[1])}`);
    return `${this.title}: ${lines.join("; ")}.`;
  }
}

const extent = (values) => [Math.min(...values), Math.max(...values)];

/** A range of y that begins and ends at whole steps, and the step. */
function rounded([low, high]) {
  const step = high - low > 0.4 ? 0.2 : high - low > 0.1 ? 0.1 : 0.05;
  const from = Math.max(0, Math.floor(low / step + 1e-9) * step);
  return [from, Math.max(from + step, Math.min(1, Math.ceil(high / step - 1e-9) * step)), step];
}
