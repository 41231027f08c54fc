// Proposals: masks that somebody may accept, drawn with dashes. None is saved before it is accepted. Left out are those of which accepted objects have
// more than half of the pixels, and what is found but is background: it lies on most of the edge of what was searched; of the objects of another picture
// what is unlike them, until somebody wants to see it.
// "Find all" asks the model for all objects of the picture, or of its visible part, and the answers come while it still looks.

import { ask, newId } from "./api.js";
import { CachedLayer } from "./cached_layer.js";
import { NO_MODEL } from "./commands.js";
import { plural } from "./elements.js";
import { shareIn, shareOfEdge } from "./pixels.js";
import { columnsOf, ringsOf } from "./rle.js";

const MOST_TAKEN = 0.5; // of a proposal's pixels, by accepted objects
const BACKGROUND_EDGE = 0.5; // of the edge of what was searched
const EDGE_SHARE = 0.01; // so far inside, as a share of the length, a mask is looked at: few reach the very last pixel
const AGAIN_MS = 700; // after a question that was not answered
const DASH_PX = 4;
const LIGHT = "#fff";
const DARK = "rgba(0, 0, 0, .65)";
const DETAIL_PX = 0.7; // pixels of the picture for a pixel of the screen

export class Proposals {
  constructor(store, stage, say) {
    Object.assign(this, { store, stage, say });
    this.layer = new CachedLayer((context, pixel) => this.paint(context, pixel));
    this.onChange = () => {};
    this.numSearches = 0;
    this.clear();
    store.listen((state, before) => {
      if (state.image?.visit !== before.image?.visit) this.end();
      else if (this.isOn && state.objects !== before.objects) this.update();
      if (this.isOn && state.pictures !== before.pictures) this.begin();
    });
  }

  clear() {
    this.isOn = false;
    this.isOffered = false; // they came from elsewhere: nobody looked for everything
    this.list = new Map(); // id -> {counts, score, steps, label, model, isBackground, isUnlike}
    this.shown = []; // what can be accepted
    this.leftOut = { taken: 0, background: 0, unlike: 0 }; // how many with a score that would do
    this.showsUnlike = false;
    this.known = { objects: null, taken: new Map() }; // whether accepted objects have most of a proposal, by its counts
    this.hovered = null;
    this.title = "";
    this.least = 0; // score of what is shown
    this.lowest = 0; // score that can be asked for
    this.search = null; // {number, after, view, done, total, began}
  }

  /** Ask for all objects of the picture; of its visible part where there is one and `isView`. */
  look(isView) {
    const { image, model } = this.store.state;
    if (!image?.width) return;
    if (model.state === "failed") return this.say(NO_MODEL, true);
    this.end();
    const view = isView ? this.stage.view.part() : undefined;
    this.isOn = true;
    this.search = { number: ++this.numSearches, after: 0, view, done: 0, total: 0, began: 0 };
    this.title = view ? "in this view" : "";
    this.say(view ? "Looking for everything in this view." : "Looking for everything.");
    this.update();
    this.begin();
  }

  /** Show masks that came from elsewhere: [{counts, score, steps, label, model, isUnlike}]; the label and the model in use where there are none. */
  offer(list, title) {
    this.end();
    this.isOn = this.isOffered = true;
    this.title = title;
    list.forEach((one, id) => this.list.set(id, { steps: [], ...one }));
    this.lowest = this.least = 0;
    this.update();
    this.say(`${plural(this.shown.length, "proposal")} ${title}.`);
  }

  /** Give up the search and what was not accepted; tells whether there was something. */
  end() {
    if (!this.isOn) return false;
    this.stop();
    this.clear();
    this.update();
    return true;
  }

  /** Look no further; what was found stays. */
  stop() {
    const { search } = this;
    if (!search) return;
    this.search = null;
    const { image } = this.store.state;
    if (search.began && image) ask(image, { kind: "stop", search: search.number }).catch(() => {});
    this.update();
  }

  /** Begin to ask once the picture is prepared. */
  begin() {
    const { search } = this;
    const { image, pictures } = this.store.state;
    if (!search || search.began || pictures[image.id] !== "ready") return;
    search.began = performance.now();
    this.ask(search, image);
  }

  async ask(search, image) {
    const { number, view } = search;
    while (this.search === search) {
      let answer = null;
      try {
        answer = await ask(image, { kind: "everything", search: number, after: search.after, view });
      } catch (error) {
        if (error.status === 400 && this.search === search) {
          this.say(error.message, true);
          this.end();
        }
      }
      if (this.search !== search) return;
      if (answer) this.take(search, answer);
      else await new Promise((resolve) => setTimeout(resolve, AGAIN_MS)); // the model is started again
    }
  }

  take(search, { begins, is_done: isDone, done, total, least, added, gone }) {
    if (begins) {
      this.list.clear();
      search.after = 0;
      if (this.least <= this.lowest) this.least = least;
      this.lowest = least;
    }
    Object.assign(search, { after: search.after + 1, done, total });
    const { model } = this.store.state.model;
    for (const id of gone) this.list.delete(id);
    for (const { id, counts, score, point, choice } of added) {
      const step = { point, inside: true, choice };
      const steps = [search.view ? { ...step, view: search.view } : step];
      this.list.set(id, { counts, score, model, steps, isBackground: this.isBackground(counts, search.view) });
    }
    if (isDone) this.search = null;
    this.update();
    if (isDone) this.say(`${plural(this.shown.length, "proposal")} found.`);
  }

  /** Seconds until the search ends, as it went so far; undefined where that is not known yet. */
  secondsLeft() {
    const { began, done, total } = this.search ?? {};
    const seconds = (performance.now() - began) / 1000;
    return done && seconds > 1 ? (seconds / done) * (total - done) : undefined;
  }

  showUnlike() {
    this.showsUnlike = true;
    this.update();
  }

  setLeast(score) {
    this.least = score;
    this.update();
  }

  update() {
    this.leftOut = { taken: 0, background: 0, unlike: 0 };
    this.shown = [...this.list.values()].filter((one) => {
      if (one.score < this.least) return false;
      const reason = this.isTaken(one) ? "taken" : one.isBackground ? "background" : one.isUnlike && !this.showsUnlike ? "unlike" : null;
      if (reason) this.leftOut[reason]++;
      return !reason;
    });
    if (!this.shown.includes(this.hovered)) this.hovered = null;
    this.onChange();
    this.stage.changed();
  }

  isTaken({ counts }) {
    const { objects } = this.store.state;
    if (this.known.objects !== objects) this.known = { objects, shapes: Object.values(objects).map((one) => this.stage.shape(one.counts)), taken: new Map() };
    const { shapes, taken } = this.known;
    if (!taken.has(counts)) taken.set(counts, shareIn(this.stage.shape(counts), shapes) > MOST_TAKEN);
    return taken.get(counts);
  }

  isBackground(counts, view) {
    const { width, height } = this.store.state.image;
    const part = view ?? [0, 0, width, height];
    const inside = [part[2] - part[0], part[3] - part[1]].map((length) => Math.floor(EDGE_SHARE * length));
    return shareOfEdge(this.stage.shape(counts), part, inside) > BACKGROUND_EDGE;
  }

  /** The smallest one at a point of the picture. */
  at(x, y) {
    if (!this.isOn || this.store.state.desk.draft) return null;
    return this.stage.smallestAt(x, y, this.shown, ({ counts }) => counts);
  }

  hover(one) {
    if (one === this.hovered) return;
    this.hovered = one;
    this.stage.changed();
  }

  /** A click; tells whether a proposal was accepted with it. */
  click(x, y) {
    const one = this.at(x, y);
    if (one) this.accept([one]);
    return one !== null;
  }

  /** A rubber band: those that lie in it are accepted; tells whether it was one. */
  box([x0, y0, x1, y1]) {
    if (!this.isOn || this.store.state.desk.draft) return false;
    const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
    const [top, bottom] = [Math.min(y0, y1), Math.max(y0, y1)];
    const inside = this.shown.filter(({ counts }) => {
      const { box } = this.stage.shape(counts);
      return box[0] >= left && box[1] >= top && box[2] <= right && box[3] <= bottom;
    });
    if (inside.length) this.accept(inside);
    else this.say("No proposal lies in this box. Esc ends the proposals.", true);
    return true;
  }

  acceptAll() {
    if (this.isOn && this.shown.length) this.accept(this.shown);
  }

  /** All of these become objects: one thing to undo. */
  accept(list) {
    const { label, model } = this.store.state;
    const changes = {};
    for (const one of list) {
      const { counts, score, steps } = one;
      changes[newId()] = { label: one.label ?? label, counts, score, steps, model: one.model ?? model.model };
    }
    this.store.dispatch({ type: "change", changes });
    this.say(list.length === 1 ? `Accepted as ${list[0].label ?? label}.` : `${plural(list.length, "object")} accepted. Ctrl+Z takes that back.`, list.length > 1);
  }

  draw(stage) {
    if (!this.isOn) return;
    this.layer.draw(stage, [this.shown, stage.store.state.image.visit]);
    if (this.hovered && !stage.store.state.desk.draft) {
      const { context } = stage;
      const path = stage.path(this.hovered.counts);
      stage.fill(context, path, stage.options.colorOf(this.hovered.label ?? stage.store.state.label), stage.strongOpacity);
      stage.stroke(context, path, "#fff", 2.5 / stage.view.scale);
    }
  }

  /** Outlines in white and dark dashes; in full detail only where pixels of the picture can be told apart. */
  paint(context, pixel) {
    const dash = DASH_PX * pixel;
    const [x0, y0, x1, y1] = this.stage.view.visible();
    context.lineWidth = 1.75 * pixel;
    context.lineJoin = "bevel";
    for (const { counts } of this.shown) {
      const shape = this.stage.shape(counts);
      const { box } = shape;
      if (pixel >= DETAIL_PX) {
        const { light, dark } = dashesOf(shape, dash);
        strokeIn(context, light, LIGHT);
        strokeIn(context, dark, DARK);
      } else if (box[0] < x1 && box[2] > x0 && box[1] < y1 && box[3] > y0) {
        context.setLineDash([dash, dash]);
        const path = this.stage.path(counts, 1 / pixel);
        strokeIn(context, path, LIGHT);
        context.lineDashOffset = dash;
        strokeIn(context, path, DARK);
        context.lineDashOffset = 0;
      }
    }
    context.setLineDash([]);
  }
}

function strokeIn(context, path, color) {
  context.strokeStyle = color;
  context.stroke(path);
}

/** The outlines of a shape in two kinds of pieces of about this length, kept with the shape: the canvas would take far longer for dashes. */
function dashesOf(shape, length) {
  if (shape.dashes?.length === length) return shape.dashes;
  const { box } = shape;
  const step = Math.min(length, (box[2] - box[0] + box[3] - box[1]) / 6);
  const paths = [new Path2D(), new Path2D()];
  shape.outlines ??= ringsOf(columnsOf(shape.bounds, shape.height)).map(thinned);
  for (const ring of shape.outlines) {
    let [x, y] = ring;
    let kind = 0;
    const to = (nextX, nextY) => {
      paths[kind].moveTo(x, y);
      paths[kind].lineTo(nextX, nextY);
      [x, y, kind] = [nextX, nextY, 1 - kind];
    };
    for (let i = 2; i < ring.length; i += 2) if (Math.hypot(ring[i] - x, ring[i + 1] - y) >= step) to(ring[i], ring[i + 1]);
    to(ring[0], ring[1]);
  }
  shape.dashes = { length, light: paths[0], dark: paths[1] };
  return shape.dashes;
}

/** A ring with corners that lie a few pixels apart. */
function thinned(ring) {
  const kept = [ring[0], ring[1]];
  for (let i = 2; i < ring.length; i += 2) {
    const distance = Math.abs(ring[i] - kept[kept.length - 2]) + Math.abs(ring[i + 1] - kept[kept.length - 1]);
    if (distance >= 3) kept.push(ring[i], ring[i + 1]);
  }
  return kept.length < 8 ? ring : Float32Array.from(kept);
}
