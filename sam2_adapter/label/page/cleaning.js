// Small holes and specks of the mask under way, or of the selected object, and where it overlaps accepted objects: looked for once it is quiet, marked,
// and filled, dropped or cut off when somebody says so.
//
// A hole or a separate part is small where it has fewer pixels than `least`, and less than a tenth of those of the largest part. What an object has
// all of is a part of it and no overlap.

import { plural } from "./elements.js";
import { areaOf, areNear, boundsOf, changed, holesOf, partsOf, shared } from "./pixels.js";
import { columnsOf, ringsOf } from "./rle.js";
import { pathOf } from "./shape.js";
import { ownAnswer } from "./state.js";

const REST_MS = 150;
const LEAST_PX = 100;
const SHARE_OF_PICTURE = 1 / 2000; // in large pictures
const SHARE_OF_LARGEST = 0.1;
const MARK = "#ff2d78";

const MARKED = "They are marked in pink";

/** What can be done, by the key that it has with Shift. Small things are faults, and marked; that objects overlap may be right. */
export const KINDS = {
  specks: { noun: "speck", verb: "drop", done: "dropped", key: "W", isErased: true, isSmall: true, title: MARKED },
  holes: { noun: "small hole", verb: "fill", done: "filled", key: "P", isErased: false, isSmall: true, title: MARKED },
  overlaps: { noun: "overlap", verb: "cut off", done: "cut off", key: "U", isErased: true, title: "Pixels that accepted objects have, too" },
};

/** The kinds of small things. */
export const SMALL = Object.keys(KINDS).filter((kind) => KINDS[kind].isSmall);

export class Cleaning {
  constructor(store, stage, commands, say) {
    Object.assign(this, { store, stage, commands, say });
    this.chosen = null; // number of pixels that somebody chose
    this.listeners = [];
    this.forget();
    store.listen((state, before) => {
      if (["desk", "answers", "objects", "image"].some((name) => state[name] !== before[name])) this.look();
    });
  }

  listen(listener) { this.listeners.push(listener); }

  /** Pixels of what is not small, however large the rest is. */
  get least() {
    const { width = 0, height = 0 } = this.store.state.image ?? {};
    return this.chosen ?? Math.max(LEAST_PX, Math.round(width * height * SHARE_OF_PICTURE));
  }

  /** Another number of pixels, or nothing for the usual one. */
  setLeast(least) {
    this.chosen = least === "" ? null : Math.max(Math.round(least) || 0, 0);
    this.look(true);
  }

  /** Nothing is known. `pointed` is the kind whose button the pointer is at: what it is about is then filled with colour. */
  forget() {
    Object.assign(this, { of: null, objects: null, holes: [], specks: [], overlaps: [], path: null, pointed: null });
  }

  /** The mask that this is about: what is under way, or selected. */
  target() {
    const { state } = this.store;
    const { draft, selected } = state.desk;
    if (!state.image?.width) return null;
    return (draft ? ownAnswer(state) : state.objects[selected])?.counts ?? null;
  }

  /** Whether what is known is about the mask as it is, and the objects as they are. */
  get isCurrent() { return this.of === this.target() && (this.of === null || this.objects === this.store.state.objects); }

  /** Find small holes and parts, and overlaps, at once or when it has been quiet for a moment. */
  look(isNow = false) {
    if (this.isCurrent && !isNow) return;
    const of = this.target();
    clearTimeout(this.timer);
    const had = this.of;
    this.forget();
    if (of !== null && isNow) this.find(of);
    else if (of !== null) this.timer = setTimeout(() => this.look(true), REST_MS);
    if (had !== this.of || isNow) this.changed();
  }

  find(of) {
    const shape = this.stage.shape(of);
    const parts = partsOf(shape);
    const least = Math.min(this.least, SHARE_OF_LARGEST * parts.reduce((most, { area }) => Math.max(most, area), 0));
    const isSmall = ({ area }) => area < least;
    const { objects, image } = this.store.state;
    Object.assign(this, { of, objects, specks: parts.filter(isSmall), holes: holesOf(shape, image.width).filter(isSmall), overlaps: this.overlapsOf(shape) });
    this.path = outlinesOf([...this.holes, ...this.specks]);
  }

  /** What a mask shares with each accepted object; nothing where nothing would be left of it. */
  overlapsOf(shape) {
    const { desk: { draft, selected }, objects } = this.store.state;
    const own = draft ? draft.editing : selected;
    const others = Object.keys(objects).filter((id) => id !== own).map((id) => this.stage.shape(objects[id].counts));
    const found = others
      .filter((one) => areNear(one, shape))
      .map(({ bounds }) => shared(shape.bounds, bounds))
      .filter((bounds) => bounds.length && areaOf(bounds) < shape.area);
    const together = found.reduce((all, bounds) => changed(all, bounds, false), new Float64Array(0));
    if (areaOf(together) === shape.area) return [];
    return found.map((bounds) => ({ area: areaOf(bounds), columns: columnsOf(bounds, shape.height) }));
  }

  changed() {
    for (const listener of this.listeners) listener();
    this.stage.changed();
  }

  /** Drop the specks, fill the small holes, or cut the overlaps off: one step. */
  clean(kind) {
    const { desk, state } = this.commands;
    if (desk.waiting.length || (desk.draft?.steps.length && !ownAnswer(state))) return this.say("The mask is not there yet.", true);
    if (!this.isCurrent) this.look(true);
    const regions = this[kind];
    const { noun, verb, done, isErased } = KINDS[kind];
    if (!regions.length) return this.say(`There are no ${noun}s to ${verb}.`, true);
    if (!desk.draft) this.commands.edit(desk.selected);
    const bounds = regions.map(({ columns }) => boundsOf(columns, state.image.height));
    this.stage.brush.put(bounds.reduce((all, one) => changed(all, one, false)), isErased, true);
    this.say(`${plural(regions.length, noun)} ${done}.`);
  }

  point(kind) {
    this.pointed = kind;
    this.stage.changed();
  }

  draw(stage) {
    if (!this.path || stage.brush.stroke) return;
    this.mark(stage, this.path, stage.brush.isOn || SMALL.includes(this.pointed));
    if (this.pointed === "overlaps") this.mark(stage, outlinesOf(this.overlaps), true);
  }

  mark(stage, path, isFilled) {
    const { context } = stage;
    if (isFilled) {
      context.globalAlpha = 0.8;
      context.fillStyle = MARK;
      context.fill(path, "nonzero");
      context.globalAlpha = 1;
    }
    stage.stroke(context, path, MARK, 2 / stage.view.scale);
  }
}

const outlinesOf = (regions) => pathOf(regions.flatMap(({ columns }) => ringsOf(columns)));
