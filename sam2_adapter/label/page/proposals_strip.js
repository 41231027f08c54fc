// The strip of the proposals: how many, how far the search is, which are shown and left out, and accepting all that are shown.

import { byId, element, percent, plural } from "./elements.js";
import { SCORE_MEANS } from "./score.js";

export class ProposalsStrip {
  constructor(proposals, stage, store) {
    Object.assign(this, { proposals, stage, store });
    this.node = byId("proposals");
    this.text = element("span", { className: "text", role: "status" });
    this.bar = element("div", { className: "share" });
    this.track = element("div", { className: "track" }, this.bar);
    this.slider = element("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": "Score at least", oninput: () => proposals.setLeast(this.slider.value / 100) });
    this.least = element("output");
    this.again = element("button", { title: "Look for everything in the visible part of the picture, at full resolution", onclick: () => proposals.look(true) }, "In this view");
    this.stop = element("button", { onclick: () => proposals.stop() }, "Stop");
    this.all = element("button", { title: "Accept all that are shown (Shift + G)", onclick: () => proposals.acceptAll() });
    this.out = element("span", { className: "soft out" });
    this.unlike = element("button", { onclick: () => proposals.showUnlike() }, "Show them, too");
    const end = element("button", { className: "icon", title: "End (Esc)", "aria-label": "End the proposals", onclick: () => proposals.end() }, "×");
    const score = element("label", { className: "score", title: SCORE_MEANS }, "Score at least", this.slider, this.least);
    this.node.replaceChildren(
      element("div", { className: "line" }, this.text, this.stop, this.again, end),
      this.track,
      element("div", { className: "line" }, score, this.all),
      element("div", { className: "line" }, this.out, this.unlike),
    );
    proposals.onChange = () => this.show();
    store.listen((state, before) => { if (state.desk !== before.desk || state.pictures !== before.pictures) this.show(); });
    this.show();
  }

  show() {
    const { proposals, node } = this;
    const { desk } = this.store.state;
    const isOn = proposals.isOn && !desk.draft && !desk.selected;
    byId("stage").classList.toggle("proposing", isOn);
    byId("everything").setAttribute("aria-pressed", String(proposals.isOn && !proposals.isOffered));
    byId("same").setAttribute("aria-pressed", String(proposals.isOffered));
    node.hidden = !isOn;
    if (!isOn) return;
    const { search, shown, lowest, least } = proposals;
    this.text.textContent = this.told();
    this.track.hidden = this.stop.hidden = !search;
    this.bar.style.transform = `scaleX(${search?.total ? search.done / search.total : 0})`;
    this.slider.min = Math.floor(100 * lowest);
    this.slider.value = Math.round(100 * least);
    this.least.textContent = percent(least);
    this.all.disabled = !shown.length;
    this.all.replaceChildren(`Accept ${shown.length} `, element("kbd", {}, "⇧G"));
    this.out.textContent = this.toldOfOthers();
    this.unlike.hidden = !proposals.leftOut.unlike;
    this.showView();
  }

  /** The view has changed. */
  showView() {
    const { search } = this.proposals;
    if (!this.node.hidden) this.again.hidden = Boolean(search) || !this.stage.view.part();
  }

  whyNone() {
    const { list, least, title, leftOut } = this.proposals;
    if (leftOut.unlike) return `Nothing like the objects ${title} was found`;
    if (!list.size) return `Nothing was found ${title}`.trim();
    return [...list.values()].some(({ score }) => score < least) ? "No proposal has such a score" : "No proposals are left";
  }

  toldOfOthers() {
    const { taken, background, unlike } = this.proposals.leftOut;
    const parts = [taken && `${taken} in accepted objects`, background && `${background} as background`, unlike && `${unlike} unlike before, in size or score`].filter(Boolean);
    return parts.length ? `Left out: ${parts.join(", ")}.` : "Nothing is saved before you accept it. Click what is missing.";
  }

  told() {
    const { search, shown, title } = this.proposals;
    const count = plural(shown.length, "proposal");
    if (!search) return shown.length ? `${`${count} ${title}`.trim()}: click ${shown.length === 1 ? "it" : "one, or drag a box around some"}` : this.whyNone();
    if (!search.began) return "Everything is looked for once the picture is prepared …";
    if (!search.total) return "Looking …";
    const left = this.proposals.secondsLeft();
    return `Looking … ${Math.floor((100 * search.done) / search.total)} %${left === undefined ? "" : `, ${Math.ceil(left)} s left`} · ${count}`;
  }
}
