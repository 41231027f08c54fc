// How far the model is with the picture that is open: loaded, encoding, broken. The bar fills in the time that other pictures took.

import { byId, withCode } from "./elements.js";

const SHOWN_AFTER_MS = 120;

export class Progress {
  constructor(store) {
    this.store = store;
    this.expectedMs = 0;
    store.listen((state, before) => {
      if (["model", "image", "pictures", "encodingSince"].some((name) => state[name] !== before[name])) this.show(state);
    });
  }

  /** Whether the visible part of the picture is being encoded. */
  look(isLooking) {
    if (this.isLooking === isLooking) return;
    this.isLooking = isLooking;
    this.show(this.store.state);
  }

  /** How long a picture took. */
  learn(seconds) {
    if (seconds > 0.02) this.expectedMs = this.expectedMs ? 0.6 * this.expectedMs + 400 * seconds : 1000 * seconds;
  }

  show(state) {
    clearTimeout(this.timer);
    const box = byId("progress");
    const { model, image, pictures } = state;
    byId("broken").hidden = !(image && image.error);
    byId("broken-text").replaceChildren(...withCode(image?.error ?? ""));
    const isFailed = model.state === "failed";
    const how = image && pictures[image.id];
    const text = isFailed ? `There is no model: ${model.text}` : this.text(state, how);
    box.classList.toggle("bad", isFailed || how === "broken");
    if (!text || image?.error) {
      box.hidden = true;
      return;
    }
    byId("progress-text").replaceChildren(...withCode(text));
    box.querySelector(".track").hidden = isFailed || how === "broken";
    if (box.hidden && !isFailed) this.timer = setTimeout(() => { box.hidden = false; }, SHOWN_AFTER_MS);
    else box.hidden = false;
    this.animate();
  }

  text({ model, image, images }, how) {
    if (model.state === "loading") return model.text ? `${model.text} Starting it again …` : "Loading the model …";
    if (image && how === "ready" && this.isLooking) return "Looking closely at this view …";
    if (!image || how === "ready") return "";
    if (how === "broken") return images.find((one) => one.id === image.id)?.broken ?? "";
    return "Preparing this picture for clicks …";
  }

  animate() {
    const bar = byId("progress-bar");
    const { image, pictures, encodingSince, model } = this.store.state;
    const isKnown = this.expectedMs > 0 && model.state === "ready" && image && pictures[image.id] === "encoding";
    bar.classList.toggle("unknown", !isKnown);
    if (!isKnown || byId("progress").hidden) return;
    const share = 1 - Math.exp((-2.2 * (performance.now() - encodingSince)) / this.expectedMs);
    bar.style.transform = `scaleX(${share})`;
    requestAnimationFrame(() => this.animate());
  }
}
