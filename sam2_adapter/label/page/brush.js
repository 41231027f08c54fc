// Brush and eraser: pixels of the object under way. A stroke is drawn while the pointer moves, and becomes a step of the object when it ends: the mask as
// it is then, which the next click refines.

import { boundsOf, changed, countsOf, holesOf, specksOf } from "./pixels.js";
import { ringsOf } from "./rle.js";
import { pathOf } from "./shape.js";
import { ownAnswer, shownAnswer } from "./state.js";
import { snapped, Stroke } from "./stroke.js";

export const MOST_PX = 500;
const REST_MS = 150; // after which small regions are looked for
const MARK = "#ff2d78";

export class Brush {
  constructor(store, stage, commands, say) {
    Object.assign(this, { store, stage, commands, say });
    this.kind = null; // "brush", "eraser", or null where neither is in the hand
    this.size = 20; // of the brush, in pixels of the picture
    this.least = 100; // pixels of what is not small
    this.at = null; // where the pointer is in the picture
    this.stroke = null; // under way
    this.small = { of: null, holes: [], specks: [] }; // small regions of a mask
    this.layer = document.createElement("canvas"); // the mask while a stroke is drawn
    this.layerKey = "";
    this.onChange = () => {};
    store.listen((state, before) => {
      if (state.image?.visit !== before.image?.visit) this.end(true);
      if (state.desk !== before.desk || state.answers !== before.answers) this.lookForSmall();
    });
  }

  get isOn() { return this.kind !== null; }

  /** Take the brush or the eraser into the hand, or put it away. */
  toggle(kind) {
    this.end(true);
    this.kind = this.kind === kind ? null : kind;
    this.at = null;
    this.say(!this.kind ? "Brush put away." : kind === "brush" ? "Brush. Drag to paint, right button or W erases." : "Eraser. Drag to erase, P paints.");
    this.lookForSmall();
    this.changed();
  }

  /** Esc; tells whether there was something in the hand. */
  putAway() {
    if (!this.isOn) return false;
    if (this.stroke) this.end(true);
    else this.toggle(this.kind);
    return true;
  }

  /** A larger or smaller brush. */
  resize(direction) {
    const step = Math.max(1, Math.round(this.size * 0.15));
    this.setSize(this.size + direction * step);
  }

  setSize(size) {
    this.size = Math.min(Math.max(Math.round(size) || 1, 1), MOST_PX);
    this.changed();
  }

  setLeast(least) {
    this.least = Math.max(Math.round(least) || 0, 0);
    this.lookForSmall(true);
  }

  changed() {
    this.onChange();
    this.stage.changed();
  }

  hover(point) {
    this.at = point;
    this.stage.changed();
  }

  /** Begin a stroke at a point of the picture. */
  begin(x, y, isOther) {
    const isErasing = (this.kind === "eraser") !== isOther;
    if (!this.commands.desk.draft && this.commands.desk.selected) this.commands.edit(this.commands.desk.selected);
    if (isErasing && !this.commands.desk.draft) return this.say("There is nothing to erase. Select an object first, or paint one.", true);
    const { width, height } = this.store.state.image;
    this.stroke = new Stroke(this.size, width, height, isErasing);
    this.pending = [];
    this.layerKey = "";
    this.move(x, y);
  }

  move(x, y) {
    this.at = [x, y];
    if (this.stroke) this.pending.push(this.stroke.to(x, y));
    this.stage.changed();
  }

  /** The stroke ends and becomes a step, unless it is given up. */
  end(isGivenUp = false) {
    const { stroke } = this;
    if (!stroke) return;
    this.stroke = null;
    this.stage.changed();
    if (!isGivenUp) this.commands.mark({ pixels: boundsOf(stroke.sorted(), stroke.height), isErased: stroke.isErasing });
  }

  /** A single dot, for who points with the keyboard. */
  dot(x, y, isOther) {
    this.begin(x, y, isOther);
    this.end();
  }

  /** Pixels are added to the object under way, or taken from it: one step. */
  put(pixels, isErased) {
    const { width, height } = this.store.state.image;
    const before = this.mask();
    const after = changed(before ? this.stage.shape(before).bounds : new Float64Array(0), pixels, isErased);
    const counts = countsOf(after, width * height);
    if (counts !== before && (before || after.length)) this.store.dispatch({ type: "paint", counts, isEmpty: !after.length });
  }

  /** Fill the small holes of the mask. */
  fillHoles() { this.clean("holes", false, "filled"); }

  /** Take the small parts of the mask away. */
  dropSpecks() { this.clean("specks", true, "dropped"); }

  clean(name, isErased, done) {
    const { desk } = this.commands;
    if (desk.waiting.length || (desk.draft?.steps.length && !ownAnswer(this.store.state))) return this.say("The mask is not there yet.", true);
    this.lookForSmall(true);
    const regions = this.small[name];
    if (!regions.length) return this.say(`There are no ${name} of fewer than ${this.least} pixels.`, true);
    if (!this.commands.desk.draft) this.commands.edit(this.commands.desk.selected);
    const bounds = regions.map(({ columns }) => boundsOf(columns, this.store.state.image.height));
    this.put(bounds.reduce((all, one) => changed(all, one, false)), isErased);
    this.say(`${regions.length} ${regions.length === 1 ? name.slice(0, -1) : name} ${done}.`);
  }

  /** The mask that a stroke changes; undefined where there is none yet. */
  mask() {
    return shownAnswer(this.store.state)?.counts;
  }

  /** The mask that fills and drops are about: what is under way, or selected. */
  target() {
    const { state } = this.store;
    const { draft, selected } = state.desk;
    return (draft ? ownAnswer(state) : state.objects[selected])?.counts ?? null;
  }

  /** Find small holes and parts, at once or when it has been quiet for a moment. */
  lookForSmall(isNow = false) {
    clearTimeout(this.timer);
    const of = this.isOn ? this.target() : null;
    if (of !== null && !isNow) {
      this.timer = setTimeout(() => this.lookForSmall(true), REST_MS);
      if (of === this.small.of) return;
    }
    const shape = of !== null && isNow ? this.stage.shape(of) : null;
    const { width } = this.store.state.image ?? {};
    this.small = shape?.area ? { of, holes: holesOf(shape, this.least, width), specks: specksOf(shape, this.least) } : { of: null, holes: [], specks: [] };
    this.small.path = outlineOf([...this.small.holes, ...this.small.specks].map(({ columns }) => columns));
    this.changed();
  }

  /** The mask while a stroke changes it; tells whether there is one. */
  drawMask(stage) {
    const { stroke } = this;
    if (!stroke) return false;
    const { context, view, canvas } = stage;
    const layer = this.layer.getContext("2d");
    const before = this.mask();
    const key = `${view.scale} ${view.x} ${view.y} ${canvas.width} ${canvas.height} ${before}`;
    if (key !== this.layerKey) {
      this.layerKey = key;
      this.layer.width = canvas.width;
      this.layer.height = canvas.height;
      this.pending = [stroke.sorted()];
      stage.place(layer);
      layer.fillStyle = stage.options.colorOf(this.store.state.label);
      if (before) layer.fill(stage.path(before), "evenodd");
      layer.globalCompositeOperation = stroke.isErasing ? "destination-out" : "source-over";
    }
    if (this.pending.length) layer.fill(outlineOf(this.pending), "nonzero");
    this.pending = [];
    context.globalAlpha = stage.strongOpacity;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.layer, 0, 0);
    stage.place(context);
    context.globalAlpha = 1;
    return true;
  }

  /** Small regions, and the brush itself. */
  draw(stage) {
    if (!this.isOn) return;
    const { context } = stage;
    const pixel = 1 / stage.view.scale;
    if (!this.stroke && this.small.of !== null) {
      context.globalAlpha = 0.8;
      context.fillStyle = MARK;
      context.fill(this.small.path, "nonzero");
      context.globalAlpha = 1;
      stage.stroke(context, this.small.path, MARK, 2 * pixel);
    }
    const at = this.at ?? stage.cursor;
    if (!at) return;
    const [x, y] = at.map((value) => snapped(value, this.size) / 2);
    context.beginPath();
    context.arc(x, y, this.size / 2, 0, 2 * Math.PI);
    for (const [color, line] of [["rgba(0, 0, 0, .7)", 3], ["#fff", 1.25]]) {
      context.strokeStyle = color;
      context.lineWidth = line * pixel;
      context.stroke();
    }
  }
}

/** Several lists of columns as a path along the edges of their pixels. */
const outlineOf = (all) => pathOf(all.flatMap(ringsOf));
