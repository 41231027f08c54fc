// The bar of the brush: its size, and the small holes and parts of the mask.

import { MOST_PX } from "./brush.js";
import { byId, element, plural } from "./elements.js";

const GAP = 8; // below the bar

export class BrushBar {
  constructor(brush, stage) {
    Object.assign(this, { brush, stage });
    this.size = element("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": "Size of the brush in pixels", title: "Size ([ and ])", oninput: () => brush.setSize(fromSlider(this.size.value)) });
    this.told = element("output");
    this.least = element("input", { type: "number", min: 1, max: 1e9, step: 1, value: brush.least, "aria-label": "Holes and specks have fewer pixels than", oninput: () => brush.setLeast(this.least.value) });
    this.least.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      byId("canvas").focus();
    });
    this.holes = element("button", { title: "Fill the marked holes (Shift + P)", onclick: () => brush.fillHoles() });
    this.specks = element("button", { title: "Drop the marked specks (Shift + W)", onclick: () => brush.dropSpecks() });
    byId("brush-bar").replaceChildren(
      element("label", {}, "Size", this.size, this.told),
      element("label", { title: "Holes and separate parts of fewer pixels are marked in pink" }, "Smaller than", this.least, "px"),
      element("span", { className: "cleaning" }, this.holes, this.specks),
    );
    brush.onChange = () => this.show();
    new ResizeObserver(() => this.makeRoom()).observe(byId("brush-bar"));
    this.show();
  }

  /** The picture lies below the bar. */
  makeRoom() {
    const bar = byId("brush-bar");
    const bottom = bar.hidden ? 0 : bar.offsetTop + bar.offsetHeight + GAP;
    byId("stage").style.setProperty("--bar", `${bottom}px`);
    this.stage.view.setTop(bottom);
    this.stage.moving();
  }

  show() {
    const { kind, size, small, isOn } = this.brush;
    for (const id of ["brush", "eraser"]) byId(id).setAttribute("aria-pressed", String(kind === id));
    byId("stage").classList.toggle("painting", isOn);
    if (byId("brush-bar").hidden === isOn) {
      byId("brush-bar").hidden = !isOn;
      this.makeRoom();
    }
    if (!isOn) return;
    this.size.value = toSlider(size);
    this.told.textContent = `${size} px`;
    for (const [button, found, verb, noun] of [[this.holes, small.holes, "Fill", "hole"], [this.specks, small.specks, "Drop", "speck"]]) {
      button.textContent = found.length ? `${verb} ${plural(found.length, noun)}` : `No ${noun}s`;
      button.disabled = !found.length;
    }
  }
}

// Sizes that are powers lie evenly on the slider, 0 to 100.
const toSlider = (size) => Math.round((100 * Math.log(size)) / Math.log(MOST_PX));
const fromSlider = (value) => Math.round(MOST_PX ** (value / 100));
