// The same objects as in another picture, for frames of a series: where they lay there, the model looks for them here. They are proposals; none is
// saved before somebody accepts it.

import { ask, get, imagePath } from "./api.js";
import { NO_MODEL, NOT_ACCEPTED } from "./commands.js";
import { plural } from "./elements.js";
import { isPainted } from "./score.js";
import { Shape } from "./shape.js";
import { shownImages } from "./state.js";
import { hundredth } from "./view.js";

const ROOM = 0.04; // around the box of an object, as a share of its sides: things move
// What is found is unlike the former object where it is so many times larger or smaller, or the model so much less sure of it.
const MOST_TIMES = 1.5;
const MOST_BELOW = 0.2;

export class SameObjects {
  constructor(store, stage, commands, say) {
    Object.assign(this, { store, stage, commands, say });
    this.before = null; // the picture that was open before this one
    store.listen((state, earlier) => {
      if (state.image?.id !== earlier.image?.id && earlier.image) this.before = earlier.image.id;
    });
  }

  /** The picture to take objects from: the one that was open before, or else the nearest one before in the list that has any. */
  source() {
    const { images, image } = this.store.state;
    const shown = shownImages(this.store.state);
    const earlier = shown.slice(0, Math.max(shown.findIndex((one) => one.id === image?.id), 0)).reverse();
    return [images.find((one) => one.id === this.before), ...earlier].find((one) => one && one.id !== image?.id && one.count > 0);
  }

  propose() {
    this.commands.afterAccepting(() => this.look());
  }

  async look() {
    const { image, model, desk } = this.store.state;
    if (!image?.width || this.isBusy) return;
    if (model.state === "failed") return this.say(NO_MODEL, true);
    if (desk.draft) return this.say(NOT_ACCEPTED, true);
    const source = this.source();
    if (!source) return this.say("There is no picture before this one with objects.", true);
    this.isBusy = true;
    try {
      const found = await this.found(source, image);
      if (this.store.state.image?.visit !== image.visit) return;
      if (!found.length) return this.say(`Nothing of ${source.name} was found here.`, true);
      this.stage.proposals.offer(found, `from ${source.name}`);
    } catch (error) {
      this.say(error.message, true);
    } finally {
      this.isBusy = false;
    }
  }

  async found(source, image) {
    const { width, height, objects } = await get(imagePath(source.id));
    const scale = [image.width / width, image.height / height];
    this.say(`Looking for ${plural(Object.keys(objects).length, "object")} of ${source.name} …`, true);
    const found = [];
    for (const object of Object.values(objects)) {
      if (this.store.state.image?.visit !== image.visit || this.store.state.desk.draft) break;
      const shape = new Shape(object.counts, height);
      const steps = [{ box: boxIn(image, shape.box, scale), loose: true }]; // it may have moved out of the box
      const answer = await ask(image, { kind: "click", steps });
      const area = answer ? this.stage.shape(answer.counts).area : 0;
      if (!area) continue;
      const isUnlike = this.isUnlike(object, answer.score, area / (shape.area * scale[0] * scale[1]));
      found.push({ counts: answer.counts, score: answer.score, label: object.label, steps, isUnlike });
    }
    return found;
  }

  /** Whether what is found, so many times as large, is hardly the same as an object: in another picture there may be background in its place. */
  isUnlike(object, score, times) {
    const isLessSure = object.score !== null && !isPainted(object) && score < object.score - MOST_BELOW;
    return isLessSure || times > MOST_TIMES || times < 1 / MOST_TIMES;
  }
}

/** A box of another picture in this one, with some room, within its borders. */
function boxIn({ width, height }, [x0, y0, x1, y1], [byX, byY]) {
  const room = [ROOM * (x1 - x0), ROOM * (y1 - y0)];
  const sides = [Math.max(0, x0 - room[0]) * byX, Math.max(0, y0 - room[1]) * byY, Math.min((x1 + room[0]) * byX, width), Math.min((y1 + room[1]) * byY, height)];
  return sides.map(hundredth);
}
