// Brush and eraser: pixels of the object under way. A stroke is drawn while the pointer moves, and becomes a step of the object when it ends: the mask as
// it is then, which the next click refines.

import { boundsOf, changed, countsOf } from "./pixels.js";
import { ringsOf } from "./rle.js";
import { pathOf } from "./shape.js";
import { shownAnswer } from "./state.js";
import { snapped, Stroke } from "./stroke.js";

export const MOST_PX = 500;

export class Brush {
  constructor(store, stage, commands, say) {
    Object.assign(this, { store, stage, commands, say });
    this.kind = null; // "brush", "eraser", or null where neither is in the hand
    this.size = 20; // of the brush, in pixels of the picture
    this.at = null; // where the pointer is in the picture
    this.stroke = null; // under way
    this.layer = document.createElement("canvas"); // the mask while a stroke is drawn
    this.layerKey = "";
    this.onChange = () => {};
    store.listen((state, before) => {
      if (state.image?.visit !== before.image?.visit) this.end(true);
    });
  }

  get isOn() { return this.kind !== null; }

  /** Take the brush or the eraser into the hand, or put it away. */
  toggle(kind) {
    this.end(true);
    this.kind = this.kind === kind ? null : kind;
    this.at = null;
    this.say(!this.kind ? "Brush put away." : kind === "brush" ? "Brush. Drag to paint, right button or W erases." : "Eraser. Drag to erase, P paints.");
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
    if (isErasing && !this.commands.desk.draft) return this.say("There is nothing to erase. Esc puts the eraser away, to click again; or select an object first.", true);
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

  /** Pixels are added to the object under way, or taken from it: one step. What is only cleaned keeps the model's score. */
  put(pixels, isErased, isCleaned = false) {
    const { width, height } = this.store.state.image;
    const before = this.mask();
    const after = changed(before ? this.stage.shape(before).bounds : new Float64Array(0), pixels, isErased);
    const counts = countsOf(after, width * height);
    if (counts !== before && (before || after.length)) this.store.dispatch({ type: "paint", counts, isEmpty: !after.length, isCleaned });
  }

  /** The mask that a stroke changes; undefined where there is none yet. */
  mask() {
    return shownAnswer(this.store.state)?.counts;
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

  /** The brush itself. */
  draw(stage) {
    if (!this.isOn) return;
    const { context } = stage;
    const pixel = 1 / stage.view.scale;
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
