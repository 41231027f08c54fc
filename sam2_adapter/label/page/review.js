// The review: figures of each label, and the accepted objects cut out of their pictures, worst first or as one likes. A click goes to the object.

import { cutoutPath, get, post } from "./api.js";
import { NOT_ACCEPTED } from "./commands.js";
import { byId, element, plural, swatch } from "./elements.js";
import { SCORE_MEANS, scoreOf, scoreText } from "./score.js";

const NEAR_END_PX = 600; // of the gallery, where more is asked for
/** What is told of an order beside what a score is. */
const WHY = {
  score: "Painted masks have none and come first; then low scores, where the model is least sure. What has no score otherwise is last.",
  "-score": "What has none comes last.",
};

export class Review {
  constructor(store, commands, options, say) {
    Object.assign(this, { store, commands, options, say });
    this.dialog = byId("review-dialog");
    this.asked = 0;
    byId("review-order").addEventListener("change", () => this.load());
    byId("review-report").addEventListener("click", () => this.writeReport());
    this.ending = new IntersectionObserver((entries) => { if (entries.some((one) => one.isIntersecting)) this.more(); }, { root: byId("review-gallery"), rootMargin: `${NEAR_END_PX}px` });
    this.ending.observe(byId("review-end"));
  }

  open() {
    if (this.dialog.open) return;
    this.label = null;
    byId("review-told").textContent = "";
    this.dialog.showModal();
    this.load();
  }

  /** Everything anew, from the first object on. */
  load() {
    this.objects = [];
    this.total = 0;
    byId("review-why").textContent = `${SCORE_MEANS} ${WHY[byId("review-order").value] ?? "Painted masks have none."}`;
    byId("review-objects").replaceChildren();
    byId("review-gallery").scrollTop = 0;
    return this.ask(0);
  }

  more() {
    if (this.dialog.open && !this.isAsking && this.objects.length < this.total) this.ask(this.objects.length);
  }

  async ask(start) {
    const number = ++this.asked;
    this.isAsking = true;
    const query = new URLSearchParams({ order: byId("review-order").value, start });
    if (this.label !== null) query.set("label", this.label);
    try {
      const found = await get(`/api/review?${query}`);
      if (number !== this.asked) return;
      this.total = found.total;
      this.objects.push(...found.objects);
      this.showLabels(found.labels);
      byId("review-objects").append(...found.objects.map((one) => this.tile(one)));
      const of = this.label === null ? "" : ` with the label ${this.label}`;
      byId("review-count").textContent = this.total ? `${plural(this.total, "object")}${of}` : `Nothing is accepted yet${of}.`;
    } catch (error) {
      byId("review-count").textContent = error.message;
    } finally {
      if (number === this.asked) this.isAsking = false;
    }
    this.fillUp();
  }

  /** More where the end is still in sight: the observer tells only of changes. */
  fillUp() {
    const gallery = byId("review-gallery");
    if (gallery.scrollHeight - gallery.scrollTop - gallery.clientHeight < NEAR_END_PX) this.more();
  }

  showLabels(labels) {
    const number = (value) => element("td", {}, value);
    const rows = labels.map((row) => {
      const name = element("button", { className: "row", "aria-pressed": String(this.label === row.label), title: row.label, onclick: () => this.choose(row.label) }, swatch(this.options.colorOf(row.label)), element("span", { className: "text" }, row.label));
      const has = row.num_objects > 0;
      return element(
        "tr", {}, element("th", { scope: "row" }, name), number(String(row.num_objects)), number(String(row.num_pictures)),
        number(has ? Math.round(row.median_area_px).toLocaleString("en") : ""), number(row.num_scored ? scoreText(row.mean_score) : ""), number(String(row.num_by_hand)),
      );
    });
    byId("review-labels").replaceChildren(...rows);
  }

  /** One label alone, or, by the same click again, all. */
  choose(label) {
    this.label = this.label === label ? null : label;
    this.load();
  }

  tile(one) {
    const picture = element("img", { alt: "", loading: "lazy", decoding: "async", width: 190, height: 190 });
    picture.onerror = () => picture.replaceWith(element("span", { className: "none" }, "cannot be shown"));
    picture.src = one.image ? cutoutPath(one.image, one.id, one.version, this.options.colorOf(one.label)) : "";
    const { text: score, spoken } = scoreOf(one.score, one.byHand);
    const told = `${one.label}, ${spoken}, ${one.area.toLocaleString("en")} pixels, in ${one.name}`;
    const text = element("span", { className: "what" }, swatch(this.options.colorOf(one.label)), element("span", { className: "text" }, one.label), element("span", { className: "number" }, score));
    return element("button", { className: "cutout", title: told, "aria-label": told, disabled: !one.image, onclick: () => this.goTo(one) }, picture, text);
  }

  /** Open the picture and select the object in it. */
  goTo(one) {
    this.dialog.close();
    byId("canvas").focus();
    this.commands.afterAccepting(() => this.reveal(one));
  }

  async reveal({ image, id, name }) {
    if (this.commands.desk.draft && this.store.state.image?.id === image) return this.say(NOT_ACCEPTED, true);
    const index = this.store.state.images.findIndex((one) => one.id === image);
    await this.commands.open(index);
    if (this.store.state.image?.id !== image || this.commands.desk.draft) return;
    if (!this.store.state.objects[id]) return this.say(`The object is no longer in ${name}.`, true);
    this.commands.reveal(id);
  }

  async writeReport() {
    const told = byId("review-told");
    told.textContent = "Writing …";
    try {
      const { paths } = await post("/api/export", { formats: ["report"] });
      told.replaceChildren("Written: ", element("code", {}, paths[0].path));
    } catch (error) {
      told.textContent = error.message;
    }
  }
}
