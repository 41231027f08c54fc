// What a training came to: before and after, on the objects that check the model and on other photographs, and how much of it to use.

import { element, percent, plural } from "./elements.js";
import { Chart, tenthPercent } from "./teach_chart.js";

/** Figures of the objects that check the model, and of other photographs. */
const ROWS = [
  ["From a box", (point) => point.miou_box],
  ["After 1 click", (point) => point.miou_click],
  ["After 5 clicks", (point) => point.miou_clicks],
  ["After 20 clicks", (point) => point.miou_20_clicks],
  ["Mean of these", (point) => point.score],
  ["Other photographs, from a box", (point) => point.general?.miou_box],
  ["Other photographs, after 1 click", (point) => point.general?.miou_click],
];

/** The figure of a share that lies between two measured ones, on the line between them. */
function between(curve, share, figure) {
  const after = curve.findIndex((point) => point.share >= share - 1e-9);
  if (after < 0) return figure(curve.at(-1));
  if (after === 0 || isSame(curve[after].share, share)) return figure(curve[after]);
  const [low, high] = [curve[after - 1], curve[after]];
  const [a, b] = [figure(low), figure(high)];
  return a === undefined || b === undefined ? undefined : a + ((share - low.share) / (high.share - low.share)) * (b - a);
}

/** What is said where the model as it was before is suggested. */
export const NONE_IS_BETTER = "None of it is suggested: no share is clearly better.";

const isSame = (share, other) => Math.abs(share - other) < 1e-9;

export class TeachResult {
  /** `onUse(run, share)`: somebody wants to use a model. */
  constructor(onUse) {
    this.run = null;
    this.verdict = element("p", { className: "verdict", role: "status" });
    this.table = element("table", {});
    this.slider = element("input", { type: "range", id: "teach-share", min: 0, max: 100, step: 5, oninput: () => this.showShare() });
    this.shareText = element("output", { htmlFor: "teach-share" });
    this.suggested = element("p", { className: "soft" });
    this.blend = new Chart("How much of it to use", "of what was learned", (share) => `${share} %`);
    this.use = element("button", { className: "primary", id: "teach-use", onclick: () => onUse(this.run.name, this.share) }, "Use this model");
    this.sharing = element("div", { className: "sharing" }, element("label", { htmlFor: "teach-share", className: "share" }, "How much of what was learned ", this.shareText), this.slider, this.suggested, this.blend.node);
    this.node = element("section", { hidden: true }, this.verdict, this.table, this.sharing, element("div", { className: "buttons" }, this.use));
  }

  get share() { return Number(this.slider.value) / 100; }

  /** Show a run; `inUse` is {run, share}. */
  show(run, inUse, isChanging) {
    this.node.hidden = !run?.result;
    this.inUse = inUse;
    this.isChanging = isChanging;
    if (this.node.hidden) return;
    const isOther = this.run?.name !== run.name || this.run.result?.epochs !== run.result.epochs || this.run.isFinished !== run.isFinished;
    this.run = run;
    const { curve, share, reason } = run.result;
    if (isOther) this.slider.value = Math.round(100 * (inUse.run === run.name ? inUse.share : share));
    this.sharing.hidden = curve.length < 3;
    this.use.hidden = curve.length < 2;
    this.suggested.textContent = share ? `${percent(share)} is suggested. Less of it keeps more of what the model could before.` : NONE_IS_BETTER;
    this.suggested.title = reason;
    this.showShare();
  }

  showShare() {
    const { result, name, base } = this.run;
    const { curve } = result;
    const share = curve.length < 3 ? curve.at(-1).share : this.share;
    if (curve.length < 3) this.slider.value = 100 * share;
    const point = curve.find((one) => isSame(one.share, share));
    this.verdict.textContent = point ? point.text : "This share was not measured; its figures are taken from the line between the two next to it.";
    this.verdict.className = `verdict ${point && share ? point.verdict.replace(" ", "-") : "between"}`;
    this.shareText.textContent = percent(share);
    this.slider.setAttribute("aria-valuetext", `${Math.round(100 * share)} percent of what was learned`);
    const about = point ? "" : "about ";
    const rows = ROWS.map(([text, figure]) => [text, figure(curve[0]), between(curve, share, figure)]).filter(([, before]) => before !== undefined && before !== null);
    this.table.replaceChildren(
      element("caption", {}, `How well masks match yours (IoU). ${this.ofPasses()}${this.ofOthers()}`),
      element("thead", {}, element("tr", {}, cell("th", ""), cell("th", base === "the first model" ? "First model" : base), cell("th", `${name}, ${percent(share)}`))),
      element("tbody", {}, ...rows.map(([text, before, after]) => element("tr", {}, cell("th", text), cell("td", tenthPercent(before)), changed(before, after, about)))),
    );
    const series = (figure) => curve.map((one) => [100 * one.share, figure(one)]).filter(([, value]) => value !== undefined);
    this.blend.show(
      [
        { name: "your objects, mean", points: series((one) => one.score) },
        { name: "other photographs, from a box", points: series((one) => one.general?.miou_box) },
        { name: "other photographs, after 1 click", points: series((one) => one.general?.miou_click) },
      ],
      100 * share,
    );
    const isUsed = this.inUse.run === name && isSame(this.inUse.share, share);
    this.use.textContent = isUsed ? "In use" : "Use this model";
    this.use.disabled = isUsed || this.isChanging;
  }

  ofPasses() {
    const { best_epoch, epochs } = this.run.result;
    return best_epoch ? `The best was pass ${best_epoch} of ${epochs}. ` : "";
  }

  ofOthers() {
    const { general } = this.run.result;
    if (!general) return "";
    return `Other photographs: ${plural(general.objects, "everyday object")}, which nothing was learned from.`;
  }
}

function cell(name, text) {
  const made = element(name, {}, text);
  if (name === "th") made.scope = "col";
  return made;
}

/** A figure after teaching, marked where it is clearly better or worse. */
function changed(before, after, about) {
  const difference = after === undefined ? 0 : after - before;
  const how = difference > 0.0005 ? "up" : difference < -0.0005 ? "down" : "";
  return element("td", { className: how }, after === undefined ? "–" : `${about}${tenthPercent(after)}`);
}
