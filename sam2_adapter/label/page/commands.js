// What a person can do, whether by pointer, key or button. Each changes the state; asking and saving follow from the state.

import { ask, get, imagePath, newId, post, RequestError, tab } from "./api.js";
import { plural } from "./elements.js";
import { isPainted } from "./score.js";
import { isAccepting, isBeginning, isReady, keyOf, mustWait, ownAnswer, shownCandidates, shownImages, singleStep } from "./state.js";
import { hundredth } from "./view.js";

/** What is told where something cannot be done with an object under way. */
export const NOT_ACCEPTED = "The object under way is not accepted yet. Press Enter to accept it, or Esc to give it up.";
/** What is told where only a model could help. */
export const NO_MODEL = "There is no model to answer. Objects can be painted with the brush (P).";
/** What a screen reader is told when clicks are answered at once. */
export const READY = "Ready: click on an object.";
const GOES_ON = "This goes on as soon as the mask is there. Ctrl+Z takes that back.";

const DOUBLE_CLICK_MS = 500;
const SAME_PLACE_PX = 4; // on the screen

export class Commands {
  constructor(store, stage, say) {
    this.store = store;
    this.stage = stage;
    this.say = say; // tells a screen reader, and may show it
    this.clickedAt = 0;
    store.listen(() => this.goOn());
  }

  get state() { return this.store.state; }
  get desk() { return this.store.state.desk; }

  /** Point at a place of the picture. */
  point(x, y, inside) {
    if (!this.isOpen()) return;
    const { draft, selected } = this.desk;
    if (!draft && !inside && selected) this.edit(selected);
    else if (!inside && isBeginning(this.desk)) return this.say("First click inside an object, or draw a box around it. Then say what is not part of it.", true);
    this.mark({ step: this.stepAt(x, y, inside) });
  }

  /** A step, pixels or Enter: at once, or after what has to come first. */
  mark(item) {
    const { waiting } = this.desk;
    if (item.step && this.state.model.state === "failed") return this.say(NO_MODEL, true);
    if (waiting.at(-1)?.then) return this.say(GOES_ON, true);
    if (waiting.length || mustWait(this.state, item)) this.store.dispatch({ type: "wait", item });
    else this.make(item);
  }

  make({ step, pixels, isErased, accept, then }) {
    if (step) this.store.dispatch({ type: "point", step });
    else if (pixels) this.stage.brush.put(pixels, isErased);
    else if (then) then();
    else this.accept(accept);
  }

  /** Do what leaves the object under way behind: at once, or once it is accepted where Enter was pressed for it. */
  afterAccepting(then) {
    if (!isAccepting(this.desk) || this.state.model.state === "failed") return then();
    if (this.desk.waiting.at(-1).then) return this.say(GOES_ON, true);
    this.store.dispatch({ type: "wait", item: { then } });
  }

  /** A mask may have come: make what waits for it. */
  goOn() {
    if (this.isGoing || !this.isOpen()) return;
    this.isGoing = true;
    try {
      for (let [first] = this.desk.waiting; first && this.isOpen() && !mustWait(this.state, first); [first] = this.desk.waiting) {
        this.store.dispatch({ type: "go" });
        this.make(first);
      }
    } finally {
      this.isGoing = false;
    }
  }

  stepAt(x, y, inside) {
    return this.inView({ point: [hundredth(x), hundredth(y)], inside });
  }

  /** Whether a hand points once more where it has just pointed: a double click, or a key that is held down. It would say nothing new. */
  isAgain(step) {
    const { draft, waiting } = this.desk;
    const newest = waiting.length ? waiting.at(-1).step : draft?.steps.at(-1);
    if (!newest?.point || newest.inside !== step.inside || String(newest.view) !== String(step.view)) return false;
    const distance = Math.hypot(newest.point[0] - step.point[0], newest.point[1] - step.point[1]);
    const isSoon = performance.now() - this.clickedAt < DOUBLE_CLICK_MS;
    return distance === 0 || (isSoon && distance * this.stage.view.scale <= SAME_PLACE_PX);
  }

  box([x0, y0, x1, y1]) {
    if (!this.isOpen() || this.stage.proposals.box([x0, y0, x1, y1])) return;
    const box = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)].map(hundredth);
    if (box[2] - box[0] < 1 || box[3] - box[1] < 1) return;
    this.mark({ step: this.inView({ box }) });
  }

  /** A step, with the view that it is to be answered in where that is wanted. */
  inView(step) {
    const view = this.stage.lookedAt;
    return view ? { ...step, view } : step;
  }

  /** A click on the picture: an accepted object is selected, anything else is pointed at. */
  click(x, y, { inside, through }) {
    if (this.stage.brush.isOn) return this.stage.brush.dot(x, y, !inside);
    if (inside && !through && this.stage.proposals.click(x, y)) return;
    const id = !this.desk.draft && inside && !through ? this.stage.objectAt(x, y) : null;
    if (id) return this.select(id);
    const isAgain = this.isAgain(this.stepAt(x, y, inside));
    this.clickedAt = performance.now();
    if (!isAgain) this.point(x, y, inside);
  }

  /** A click beside the picture: what is selected is let go; else it is said where to click, aloud the first time only. */
  beside() {
    if (this.desk.selected) return this.select(null);
    this.say("That was beside the picture. Click on an object in it.", true, !this.wasBeside);
    this.wasBeside = true;
  }

  isOpen() {
    return this.state.image !== null && this.state.image.width > 0;
  }

  select(id) {
    this.store.dispatch({ type: "select", id });
    const object = id && this.state.objects[id];
    if (object) this.say(`${object.label} selected. E edits, Delete removes, a digit gives another label.`);
  }

  /** Select an object and move the view so that it is in it. */
  reveal(id) {
    this.select(id);
    this.stage.view.reveal(this.stage.shape(this.state.objects[id].counts).box);
    this.stage.moving();
  }

  /** Enter: accept the object under way, or edit what is selected. */
  enter() {
    const { draft, selected } = this.desk;
    if (!draft && !selected && this.stage.cursor) return this.say("X says that an object is here. Enter accepts its mask.", true);
    if (!draft) return selected ? this.edit(selected) : undefined;
    if (!isBeginning(this.desk)) this.mark({ accept: this.state.label });
  }

  /** The object under way, whose mask is there, becomes one of the picture's. */
  accept(label) {
    const { draft } = this.desk;
    const answer = ownAnswer(this.state);
    if (!answer) return;
    if (answer.error) return this.notAccepted(answer.error);
    if (!this.stage.shape(answer.counts).area) return this.notAccepted("There is no mask to accept here. Click somewhere else, or press Esc.");
    const id = draft.editing ?? newId();
    const earlier = this.state.objects[id] ?? {};
    const { model } = this.state;
    const object = { ...earlier, label, counts: answer.counts, score: answer.score, steps: draft.steps, model: model.model };
    this.store.dispatch({ type: "accept", id, object });
    this.say(`Accepted as ${label}. ${plural(Object.keys(this.state.objects).length, "object")} in this picture.`);
  }

  notAccepted(text) {
    this.store.dispatch({ type: "giveUpWaiting" }); // it was meant for what comes after
    this.say(text, true);
  }

  /** Esc: put the brush away, give up what is under way, let go what is selected, or end the proposals. */
  escape() {
    if (this.stage.brush.putAway()) return;
    if (this.desk.draft) this.store.dispatch({ type: "clear" });
    else if (this.desk.selected) this.store.dispatch({ type: "select", id: null });
    else this.stage.proposals.end();
  }

  undo() { this.store.dispatch({ type: "undo" }); }
  redo() { this.store.dispatch({ type: "redo" }); }

  edit(id) {
    const object = this.state.objects[id];
    if (!object || this.desk.draft) return;
    const { name, weights } = this.state.model.model;
    const isOurs = object.steps?.length && object.model && object.model.name === name && object.model.weights === weights;
    const mask = { mask: object.counts, ...(isPainted(object) ? { painted: true } : {}) };
    this.store.dispatch({ type: "edit", id, steps: isOurs ? object.steps : [mask] });
    this.say("Editing. Click to correct the mask, Enter accepts, Esc gives up.");
  }

  remove(id = this.desk.selected) {
    const object = id && this.state.objects[id];
    if (!object) return;
    this.store.dispatch({ type: "change", changes: { [id]: null } });
    this.say(`${object.label} deleted. Ctrl+Z brings it back.`);
  }

  /** Take a label for what is accepted next, and for what is selected. */
  label(label) {
    this.store.dispatch({ type: "label", label });
    const { selected, draft } = this.desk;
    const object = selected && this.state.objects[selected];
    if (object && !draft && object.label !== label)
      this.store.dispatch({ type: "change", changes: { [selected]: { ...object, label } }, selected });
    this.say(`Label ${label}.`);
  }

  /** The label that a text means: the same but for the case, or the only one that contains it; undefined where it means a new one. */
  meant(text) {
    const { labels } = this.state;
    const small = text.toLowerCase();
    const like = labels.filter((label) => label.toLowerCase().includes(small));
    return labels.find((label) => label.toLowerCase() === small) ?? (like.length === 1 ? like[0] : undefined);
  }

  async newLabel(text) {
    const label = text.trim();
    if (!label) return;
    try {
      this.store.dispatch({ type: "labels", ...(await post("/api/labels", { labels: [label] })) });
      this.label(label);
    } catch (error) {
      this.say(error.message, true);
    }
  }

  /** The next of the masks that a single step may mean. */
  async cycle() {
    const plain = singleStep(this.desk);
    if (!plain) return;
    const asked = keyOf(this.desk.draft.steps);
    if (!shownCandidates(this.state).choices) {
      const { image } = this.state;
      try {
        const answer = await ask(image, { kind: "candidates", steps: [plain] });
        if (answer) this.store.dispatch({ type: "candidates", key: keyOf([plain]), visit: image.visit, ...answer });
      } catch (error) {
        this.say(error.message, true);
      }
    }
    const known = shownCandidates(this.state);
    if (!known?.choices || keyOf(this.desk.draft.steps) !== asked) return;
    const next = (known.place + 1) % known.count;
    this.store.dispatch({ type: "choose", choice: known.choices[next] });
    this.say(`Mask ${next + 1} of ${known.count}.`);
  }

  /** Open a picture by its place in the list. */
  async open(index) {
    const one = this.state.images[index];
    if (!one || this.state.image?.id === one.id) return;
    await this.afterAccepting(() => this.show(one));
  }

  async show(one) {
    const visit = Date.now();
    const { label } = this.state;
    this.store.dispatch({ type: "leave", id: one.id, visit });
    this.stage.close();
    this.stage.picture.prepare(one.id);
    const shown = shownImages(this.state);
    const at = shown.indexOf(one);
    const next = [1, 2].map((step) => shown[at + step]?.id).filter(Boolean);
    post(imagePath(one.id, "open"), { tab, visit, next }).catch(() => {});
    await this.load(one.id);
    const again = this.state.label === label ? "" : ` Label ${this.state.label}.`;
    this.say(`${one.name}, picture ${at + 1} of ${shown.length}.${again}${isReady(this.state) ? ` ${READY}` : ""}`);
  }

  /** Fetch the open picture's size and objects. */
  async load(id) {
    try {
      const found = await get(imagePath(id));
      const isSame = this.state.image?.id === id && this.state.image.width === found.width;
      // Labels that are about to change are loaded again once that is saved, and what is older than what is known by now is of no use.
      if (isSame && this.state.outbox.some((one) => one.relabel)) return;
      if (isSame && found.number < this.state.number) return this.load(id);
      this.store.dispatch({ type: "opened", id, ...found });
      if (!isSame && this.state.image?.id === id) this.stage.open(this.state.image);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.status) this.store.dispatch({ type: "refused", id, text: error.message });
    }
  }

  next() { this.move(1); }
  previous() { this.move(-1); }

  /** To the next picture of the list, or the one before; into the list where the open picture is not in it. */
  move(by) {
    const shown = shownImages(this.state);
    const at = shown.findIndex((one) => one.id === this.state.image?.id);
    const one = shown[at + by];
    if (one) this.open(this.state.images.indexOf(one));
  }
}
