// Small holes and specks of the mask under way, or of the selected object: looked for once it is quiet, marked, and filled or dropped when somebody says so.
//
// A hole or a separate part is small where it has fewer pixels than `least`, and less than a tenth of those of the largest part.

import { plural } from "./elements.js";
import { boundsOf, changed, holesOf, partsOf } from "./pixels.js";
import { ringsOf } from "./rle.js";
import { pathOf } from "./shape.js";
import { ownAnswer } from "./state.js";

const REST_MS = 150;
const LEAST_PX = 100;
const SHARE_OF_PICTURE = 1 / 2000; // in large pictures
const SHARE_OF_LARGEST = 0.1;
const MARK = "#ff2d78";

/** What can be done, by the key that it has with Shift. */
export const KINDS = {
  specks: { noun: "speck", verb: "drop", done: "dropped", key: "W", isErased: true },
  holes: { noun: "small hole", verb: "fill", done: "filled", key: "P", isErased: false },
};

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

  /** Nothing is known. `isPointed` is whether the pointer is at the buttons: what they are about is then filled with colour. */
  forget() {
    Object.assign(this, { of: null, holes: [], specks: [], path: null, isPointed: false });
  }

  /** The mask that this is about: what is under way, or selected. */
  target() {
    const { state } = this.store;
    const { draft, selected } = state.desk;
    if (!state.image?.width) return null;
    return (draft ? ownAnswer(state) : state.objects[selected])?.counts ?? null;
  }

  /** Find small holes and parts, at once or when it has been quiet for a moment. */
  look(isNow = false) {
    const of = this.target();
    if (of === this.of && !isNow) return;
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
    Object.assign(this, { of, specks: parts.filter(isSmall), holes: holesOf(shape, this.store.state.image.width).filter(isSmall) });
    this.path = pathOf([...this.holes, ...this.specks].flatMap(({ columns }) => ringsOf(columns)));
  }

  changed() {
    for (const listener of this.listeners) listener();
    this.stage.changed();
  }

  /** Drop the specks, or fill the small holes: one step. */
  clean(kind) {
    const { desk, state } = this.commands;
    if (desk.waiting.length || (desk.draft?.steps.length && !ownAnswer(state))) return this.say("The mask is not there yet.", true);
    if (this.of !== this.target()) this.look(true);
    const regions = this[kind];
    const { noun, verb, done, isErased } = KINDS[kind];
    if (!regions.length) return this.say(`There are no ${noun}s to ${verb}.`, true);
    if (!desk.draft) this.commands.edit(desk.selected);
    const bounds = regions.map(({ columns }) => boundsOf(columns, state.image.height));
    this.stage.brush.put(bounds.reduce((all, one) => changed(all, one, false)), isErased, true);
    this.say(`${plural(regions.length, noun)} ${done}.`);
  }

  point(isPointed) {
    this.isPointed = isPointed;
    this.stage.changed();
  }

  draw(stage) {
    if (!this.path || stage.brush.stroke) return;
    const { context } = stage;
    if (stage.brush.isOn || this.isPointed) {
      context.globalAlpha = 0.8;
      context.fillStyle = MARK;
      context.fill(this.path, "nonzero");
      context.globalAlpha = 1;
    }
    stage.stroke(context, this.path, MARK, 2 / stage.view.scale);
  }
}
