// Asks the model for what the state waits for: the answer to the object under way, and what lies under a pointer that rests.

import { ask } from "./api.js";
import { keyOf, ownAnswer } from "./state.js";
import { hundredth } from "./view.js";

const REST_MS = 90;

/** Keep the answer to the draft up to date; `onAnswer` hears of each before the state has it. */
export function askForDrafts(store, onAnswer) {
  const asked = new Set();
  store.listen(check);

  async function check(state) {
    const { draft } = state.desk;
    if (!draft || !draft.steps.length || !state.image?.width || !state.connected) return;
    if (state.model.state === "failed" || ownAnswer(state)) return;
    const { visit } = state.image;
    const key = keyOf(draft.steps);
    const question = `${visit} ${key}`;
    if (asked.has(question)) return;
    asked.add(question);
    let answer = null;
    try {
      answer = await ask(state.image, { kind: "click", steps: draft.steps });
    } catch (error) {
      // A step that cannot be used is told; everything else is asked again when the state changes.
      if (error.status === 400) answer = { error: error.message };
    }
    asked.delete(question);
    if (!answer) return;
    onAnswer(answer);
    store.dispatch({ type: "answered", key, visit, answer });
  }
}

/** What a click at the place would find, once the pointer rests there. */
export class Preview {
  constructor(store, stage) {
    this.store = store;
    this.stage = stage;
  }

  /** The pointer is at a point of the picture, or nowhere. */
  at(point) {
    clearTimeout(this.timer);
    this.point = point;
    if (this.stage.preview && !point) this.show(null);
    if (point) this.timer = setTimeout(() => this.ask(point), REST_MS);
  }

  async ask(point) {
    const { image, desk, pictures } = this.store.state;
    if (!image || desk.draft || pictures[image.id] !== "ready" || this.stage.hovered || this.stage.isMoving) return this.show(null);
    try {
      // To the hundredth, as a click: one that follows here is answered with what was seen.
      const answer = await ask(image, { kind: "hover", point: point.map(hundredth), view: this.stage.lookedAt });
      if (this.point === point && this.store.state.image?.visit === image.visit && !this.store.state.desk.draft) this.show(answer);
    } catch {
      // a preview is no promise
    }
  }

  show(answer) {
    this.stage.preview = answer;
    this.stage.changed();
  }
}

const LOOK_MS = 300;

/** Has the visible part of the picture encoded ahead, once it rests; `onLook` hears when that begins and ends. */
export class Look {
  constructor(store, stage, onLook) {
    Object.assign(this, { store, stage, onLook, timer: 0, seen: "" });
  }

  /** The view has changed, or the switch. */
  changed() {
    clearTimeout(this.timer);
    if (this.stage.options.inView) this.timer = setTimeout(() => this.look(), LOOK_MS);
    else this.onLook(false);
  }

  async look() {
    const { image, model } = this.store.state;
    const view = this.stage.view.part();
    const seen = image && view ? `${image.visit} ${view}` : "";
    if (seen === this.seen || model.state === "failed") return;
    this.seen = seen;
    if (!seen) return this.onLook(false);
    this.onLook(true);
    try {
      await ask(image, { kind: "look", view });
    } catch {
      // the click in it says what is wrong
    }
    if (this.seen === seen) this.onLook(false);
  }
}
