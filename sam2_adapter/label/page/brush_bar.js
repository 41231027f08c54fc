// The bar of the brush: its size, and the small holes and specks of the mask.

import { MOST_PX } from "./brush.js";
import { KINDS, SMALL } from "./cleaning.js";
import { byId, element, plural } from "./elements.js";

export class BrushBar {
  constructor(brush, cleaning) {
    Object.assign(this, { brush, cleaning });
    this.size = element("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": "Size of the brush in pixels", title: "Size ([ and ])", oninput: () => brush.setSize(fromSlider(this.size.value)) });
    this.told = element("output");
    this.least = element("input", { type: "number", min: 1, max: 1e9, step: 1, "aria-label": "Small holes and specks have fewer pixels than", oninput: () => cleaning.setLeast(this.least.value) });
    this.least.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      byId("canvas").focus();
    });
    this.buttons = SMALL.map((kind) => [kind, element("button", { title: `${KINDS[kind].title} (Shift + ${KINDS[kind].key})`, onclick: () => cleaning.clean(kind) })]);
    byId("brush-bar").replaceChildren(
      element("label", {}, element("span", { className: "wide" }, "Size"), this.size, this.told),
      element("label", { title: "Holes and separate parts of fewer pixels are marked in pink, where they are less than a tenth of the largest part" }, "Smaller than", this.least, "px"),
      element("span", { className: "cleaning" }, ...this.buttons.map(([, button]) => button)),
    );
    brush.onChange = () => this.show();
    cleaning.listen(() => this.show());
    this.show();
  }

  show() {
    const { kind, size, isOn } = this.brush;
    for (const id of ["brush", "eraser"]) byId(id).setAttribute("aria-pressed", String(kind === id));
    byId("stage").classList.toggle("painting", isOn);
    byId("brush-bar").hidden = !isOn;
    if (!isOn) return;
    this.size.value = toSlider(size);
    this.told.textContent = `${size} px`;
    if (document.activeElement !== this.least) this.least.value = this.cleaning.least;
    for (const [name, button] of this.buttons) {
      const { noun, verb } = KINDS[name];
      const count = this.cleaning[name].length;
      button.textContent = count ? `${plural(count, noun)}: ${verb}` : `No ${noun}s`;
      button.disabled = !count;
    }
  }
}

// Sizes that are powers lie evenly on the slider, 0 to 100.
const toSlider = (size) => Math.round((100 * Math.log(size)) / Math.log(MOST_PX));
const fromSlider = (value) => Math.round(MOST_PX ** (value / 100));
