// The canvas: the picture, the masks over it, and what is being pointed at. It draws what the state says, and knows which object lies where.

import { CachedLayer } from "./cached_layer.js";
import { drawCandidates } from "./candidate_dots.js";
import { columnsOf, contains, ringsOf } from "./rle.js";
import { pathOf, Shape } from "./shape.js";
import { labelOfDraft, shownAnswer } from "./state.js";
import { View } from "./view.js";
import { PictureLayer } from "./picture.js";

const REST_MS = 140; // after which everything is drawn sharp again
const EXACT_WHILE_MOVING = 4; // pixels of the screen for one of the picture, from which on outlines are exact in moving frames, too

export class Stage {
  constructor(canvas, store, options) {
    this.canvas = canvas;
    this.store = store;
    this.options = options; // {opacity, outlines, hidden, inView, colorOf}
    this.context = canvas.getContext("2d", { alpha: false });
    this.view = new View();
    this.picture = new PictureLayer(store.state.tile, () => this.changed());
    this.shapes = new Map(); // counts -> Shape
    this.objectsLayer = new CachedLayer((context, pixel) => this.paintObjects(context, pixel));
    this.proposals = null; // drawn over the objects
    this.cleaning = null; // marks small holes and specks
    this.brush = null; // drawn over everything
    this.isMoving = false;
    this.hovered = null; // id of the object under the pointer
    this.preview = null; // {counts, score}: what a click would find
    this.box = null; // that is being drawn, [x0, y0, x1, y1]
    this.cursor = null; // [x, y] of the keyboard's pointer
    this.corner = null; // [x, y] of the box that is begun with the keyboard
    this.candidatesAt = null; // where the dots of the candidates are, in CSS pixels
    this.isTouched = matchMedia("(hover: none)").matches; // with a finger and not with a mouse: what the page says of gestures
    this.frames = []; // milliseconds of script for each of the last frames
    this.onView = () => {};
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
    this.resize();
  }

  /** The part of the picture that clicks are answered in at full resolution; undefined for all of it. */
  get lookedAt() {
    return this.options.inView ? this.view.part() : undefined;
  }

  /** Of masks that are pointed at or under way: they can be seen even where the others are not coloured. */
  get strongOpacity() {
    return Math.max(this.options.opacity, 0.3);
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    const ratio = devicePixelRatio;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    this.view.resize(clientWidth, clientHeight);
    const style = getComputedStyle(this.canvas);
    this.ground = style.getPropertyValue("--ground");
    this.blank = style.getPropertyValue("--blank");
    this.objectsLayer.clear();
    this.proposals?.layer.clear();
    this.onView?.();
    this.changed();
  }

  /** Show another picture; its size is known. */
  open(image) {
    this.shapes.clear();
    this.objectsLayer.clear();
    this.preview = this.hovered = this.box = null;
    this.view.open(image.width, image.height);
    this.picture.tilePx = this.store.state.tile;
    this.picture.open(image);
    this.onView();
    this.changed();
  }

  close() {
    this.picture.clear();
    this.cursor = this.corner = null;
    this.changed();
  }

  /** Draw again with the next frame. */
  changed() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      const started = performance.now();
      this.draw();
      this.frames.push(performance.now() - started);
      if (this.frames.length > 600) this.frames.shift();
    });
  }

  /** The view is being moved: quick frames until it rests. */
  moving() {
    this.isMoving = true;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.isMoving = false;
      this.picture.fetchTiles(this.view);
      this.changed();
    }, REST_MS);
    this.onView();
    this.changed();
  }

  shape(counts) {
    let shape = this.shapes.get(counts);
    if (!shape) {
      shape = new Shape(counts, this.store.state.image.height);
      if (this.shapes.size > 5000) this.shapes.clear();
      this.shapes.set(counts, shape);
    }
    return shape;
  }

  /** The outline of a mask, as fine as it is seen; `scale` is how many CSS pixels a pixel of the picture takes. */
  path(counts, scale = this.view.scale) {
    const fine = scale * devicePixelRatio;
    const isQuick = this.isMoving && fine >= 1 && fine < EXACT_WHILE_MOVING;
    return this.shape(counts).path(isQuick ? 0.5 : fine);
  }

  /** The smallest accepted object at a point of the picture. */
  objectAt(x, y) {
    const { objects, desk } = this.store.state;
    if (this.options.hidden) return null;
    const others = Object.keys(objects).filter((id) => id !== desk.draft?.editing);
    return this.smallestAt(x, y, others, (id) => objects[id].counts);
  }

  /** Which of these has the smallest mask at a point of the picture; null where none has. */
  smallestAt(x, y, all, countsOf) {
    let found = null;
    let area = Infinity;
    for (const one of all) {
      const shape = this.shape(countsOf(one));
      if (shape.area < area && contains(shape, Math.floor(x), Math.floor(y))) [found, area] = [one, shape.area];
    }
    return found;
  }

  draw() {
    const { context, view } = this;
    const { image } = this.store.state;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = this.ground;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (!image || !image.width || !this.picture.image) return;
    this.place(context);
    context.fillStyle = this.blank;
    context.fillRect(0, 0, image.width, image.height);
    this.picture.draw(context, view);
    if (!this.options.hidden) this.drawObjects();
    this.proposals?.draw(this);
    this.drawMarked();
    const isPainted = this.brush?.drawMask(this);
    this.drawDraft(isPainted);
    this.cleaning?.draw(this);
    this.candidatesAt = drawCandidates(this);
    this.brush?.draw(this);
    if (this.box) this.drawBox(this.box, true);
    if (this.cursor) this.drawCursor();
  }

  place(context) {
    const { scale, x, y } = this.view;
    const ratio = devicePixelRatio;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, x * ratio, y * ratio);
  }

  drawObjects() {
    const { objects, desk, image, labels } = this.store.state;
    const { opacity, outlines } = this.options;
    this.objectsLayer.draw(this, [objects, desk.draft?.editing, opacity, outlines, labels, image.visit]);
  }

  /** All accepted objects but the one that is edited; `pixel` is the length of a CSS pixel in pixels of the picture. */
  paintObjects(context, pixel) {
    const { objects, desk } = this.store.state;
    for (const [id, object] of Object.entries(objects)) {
      if (id !== desk.draft?.editing) this.paint(context, object, this.options.opacity, this.options.outlines ? 1.5 * pixel : 0, 1 / pixel);
    }
  }

  paint(context, object, opacity, line, scale = this.view.scale) {
    const path = this.path(object.counts, scale);
    const color = this.options.colorOf(object.label);
    if (opacity > 0) this.fill(context, path, color, opacity);
    if (line > 0) this.stroke(context, path, color, line);
  }

  fill(context, path, color, opacity) {
    context.globalAlpha = opacity;
    context.fillStyle = color;
    context.fill(path, "evenodd");
    context.globalAlpha = 1;
  }

  stroke(context, path, color, line) {
    context.lineJoin = "round";
    context.strokeStyle = color;
    context.lineWidth = line;
    context.stroke(path);
  }

  /** The object under the pointer, and the one that is selected. */
  drawMarked() {
    const { objects, desk } = this.store.state;
    const pixel = 1 / this.view.scale;
    if (this.preview && !desk.draft && !this.brush?.isOn) {
      const path = this.path(this.preview.counts);
      const { context } = this;
      this.fill(context, path, "#fff", 0.16);
      this.stroke(context, path, "rgba(0,0,0,.55)", 3 * pixel);
      context.setLineDash([5 * pixel, 4 * pixel]);
      this.stroke(context, path, "#fff", 1.5 * pixel);
      context.setLineDash([]);
    }
    const marked = new Set([this.hovered, desk.selected].filter((id) => id && objects[id] && id !== desk.draft?.editing));
    for (const id of marked) {
      const path = this.path(objects[id].counts);
      if (this.options.hidden) this.paint(this.context, objects[id], this.options.opacity, 0);
      this.stroke(this.context, path, id === desk.selected ? "#000" : "rgba(0,0,0,.5)", (id === desk.selected ? 5 : 4) * pixel);
      this.stroke(this.context, path, "#fff", (id === desk.selected ? 2.5 : 2) * pixel);
    }
  }

  /** The object under way; its mask is not drawn where that is done already. */
  drawDraft(isPainted) {
    const { state } = this.store;
    const { draft } = state.desk;
    if (!draft) return;
    const { context } = this;
    const pixel = 1 / this.view.scale;
    const answer = shownAnswer(state);
    if (answer && !isPainted) {
      const path = this.path(answer.counts);
      const color = this.options.colorOf(labelOfDraft(state));
      this.fill(context, path, color, this.strongOpacity);
      this.stroke(context, path, "rgba(0,0,0,.6)", 4 * pixel);
      this.stroke(context, path, "#fff", 2.5 * pixel);
      this.stroke(context, path, color, 1.5 * pixel);
      const { view } = draft.steps[draft.steps.length - 1];
      if (answer.cut && view) this.drawEdge(view);
    }
    const box = draft.steps.findLast((step) => step.box);
    if (box) this.drawBox(box.box, false);
    for (const step of draft.steps) if (step.point) this.drawPoint(step);
    for (const item of state.desk.waiting) this.drawWaiting(item);
  }

  /** What was done to a mask that is still awaited: an erased stroke is only outlined. */
  drawWaiting({ step, pixels, isErased }) {
    if (step?.point) this.drawPoint(step);
    else if (step?.box) this.drawBox(step.box, true);
    if (!pixels) return;
    const path = pathOf(ringsOf(columnsOf(pixels, this.store.state.image.height)));
    if (!isErased) this.fill(this.context, path, this.options.colorOf(this.store.state.label), this.strongOpacity);
    this.stroke(this.context, path, "#fff", 1.5 / this.view.scale);
  }

  /** The edge of the view that a mask reaches. */
  drawEdge([x0, y0, x1, y1]) {
    const { context } = this;
    const pixel = 1 / this.view.scale;
    context.strokeStyle = "#f0a020";
    context.lineWidth = 3 * pixel;
    context.setLineDash([10 * pixel, 6 * pixel]);
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    context.setLineDash([]);
  }

  drawPoint({ point: [x, y], inside }) {
    const { context } = this;
    const pixel = 1 / this.view.scale;
    context.beginPath();
    context.arc(x, y, 6.5 * pixel, 0, 2 * Math.PI);
    context.fillStyle = inside ? "#1f9d55" : "#d92d20";
    context.fill();
    context.lineWidth = 2 * pixel;
    context.strokeStyle = "#fff";
    context.stroke();
    context.beginPath();
    context.moveTo(x - 3 * pixel, y);
    context.lineTo(x + 3 * pixel, y);
    if (inside) {
      context.moveTo(x, y - 3 * pixel);
      context.lineTo(x, y + 3 * pixel);
    }
    context.lineWidth = 1.6 * pixel;
    context.stroke();
  }

  drawBox([x0, y0, x1, y1], isDrawn) {
    const { context } = this;
    const pixel = 1 / this.view.scale;
    const box = [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];
    context.lineWidth = 3.5 * pixel;
    context.strokeStyle = "rgba(0,0,0,.5)";
    context.strokeRect(...box);
    context.lineWidth = 1.5 * pixel;
    context.strokeStyle = "#fff";
    if (isDrawn) context.setLineDash([6 * pixel, 4 * pixel]);
    context.strokeRect(...box);
    context.setLineDash([]);
  }

  drawCursor() {
    const { context } = this;
    const [x, y] = this.cursor;
    const pixel = 1 / this.view.scale;
    for (const [color, line] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = color;
      context.lineWidth = line * pixel;
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 5 * dx * pixel, y + 5 * dy * pixel);
        context.lineTo(x + 18 * dx * pixel, y + 18 * dy * pixel);
      }
      context.stroke();
    }
  }
}
