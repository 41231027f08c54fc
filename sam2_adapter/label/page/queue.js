// The pictures as a queue: how far each is, which of them the list shows in which order, and the way from one to the next.

import { get, imagePath } from "./api.js";
import { NOT_ACCEPTED } from "./commands.js";
import { byId, element, enable, percent, plural } from "./elements.js";
import { shownImages, stateOf } from "./state.js";

const STATE_NAMES = { new: "New", progress: "In progress", done: "Done", skipped: "Skipped" };
const AGAIN_MS = 2000;

const END = 9; // signs of a name that are always shown

export class Queue {
  constructor(store, commands, say) {
    Object.assign(this, { store, commands, say });
    this.nodes = new Map(); // image id -> its node in the list
    this.shownIds = "";
    byId("filter").addEventListener("change", () => this.choose());
    byId("order").addEventListener("change", () => this.choose());
    byId("update").addEventListener("click", () => this.choose());
    byId("done").addEventListener("click", () => this.mark("done"));
    byId("skip").addEventListener("click", () => this.mark("skipped"));
    store.listen((state, before) => this.update(state, before));
  }

  get state() { return this.store.state; }

  /** Mark the open picture and go on to the next one that is open; the same mark again takes it back. */
  mark(mark) {
    this.commands.afterAccepting(() => this.markNow(mark));
  }

  markNow(mark) {
    const { image, desk } = this.state;
    if (!image) return;
    if (desk.draft) return this.say(NOT_ACCEPTED, true);
    if (image.error && mark === "done") return this.say("A picture that cannot be shown cannot be done. Skip it.", true);
    const isBack = stateOf(this.state) === mark;
    this.store.dispatch({ type: "mark", mark: isBack ? "open" : mark });
    if (isBack) return this.say(`Not ${mark} any more.`);
    this.say(mark === "done" ? "Done." : "Skipped.");
    this.goOn();
  }

  /** The next picture of the list that is neither done nor skipped, from the start again after the last one. */
  goOn() {
    const shown = shownImages(this.state);
    const at = shown.findIndex((one) => one.id === this.state.image.id);
    const next = [...shown.slice(at + 1), ...shown.slice(0, Math.max(at, 0))].find((one) => one.state === "new" || one.state === "progress");
    if (next) return this.commands.open(this.state.images.indexOf(next));
    const isAll = this.state.images.every((one) => one.state === "done" || one.state === "skipped");
    this.say(isAll ? "All pictures are done or skipped." : "All pictures of this list are done or skipped. Choose other ones on the left.", true);
  }

  /** Put the list together by what the two fields say: only then does it change. */
  async choose() {
    const [filter, label] = byId("filter").value.startsWith("label:") ? ["label", byId("filter").value.slice(6)] : [byId("filter").value, ""];
    const order = byId("order").value;
    byId("canvas").focus();
    try {
      const found = await get(`/api/queue?${new URLSearchParams({ filter, label, order })}`);
      this.store.dispatch({ type: "queue", queue: { filter, label, order, scores: {}, ...found, scoredThen: found.scored } });
      if (order === "score") this.watchScores();
      if (found.ids?.length === 0) this.say("There is no such picture.", true);
    } catch (error) {
      this.say(error.message, true);
    }
  }

  /** How far the scores are, as long as they are being made; the list stays as it is until somebody asks for it. */
  watchScores() {
    clearTimeout(this.watching);
    this.watching = setTimeout(async () => {
      try {
        const { scored, total } = await get("/api/queue/scores");
        this.store.dispatch({ type: "queue", queue: { scored, total } });
      } catch {
        // asked again below
      }
      const { order, scored, total } = this.state.queue;
      if (order === "score" && scored < total) this.watchScores();
    }, AGAIN_MS);
  }

  update(state, before) {
    const did = (...names) => names.some((name) => state[name] !== before[name]);
    if (did("images", "image", "queue")) {
      this.showList(state);
      this.showHead(state);
    } else if (did("labels")) this.showHead(state);
  }

  showList(state) {
    const shown = shownImages(state);
    const ids = shown.map((one) => one.id).join();
    if (ids !== this.shownIds) {
      this.shownIds = ids;
      byId("pictures").replaceChildren(...shown.map((one) => (this.nodes.get(one.id) ?? this.made(one)).node));
    }
    for (const one of shown) this.updateNode(one, state);
    const { images, image } = state;
    const open = images.find((one) => one.id === image?.id);
    const at = shown.indexOf(open);
    byId("name").textContent = open?.name ?? "";
    byId("name").title = open?.name ?? "";
    byId("place").textContent = at < 0 ? "" : `${at + 1} of ${shown.length}`;
    enable("previous", at > 0, "Picture before (A)", "There is none before it in the list");
    enable("next", at < shown.length - 1, "Next picture (D)", "There is none after it in the list");
  }

  made(one) {
    const picture = element("img", { className: "thumb", alt: "", loading: "lazy", decoding: "async", fetchPriority: "low", src: imagePath(one.id, "thumbnail") });
    picture.onerror = () => picture.replaceWith(element("span", { className: "thumb broken" }, "cannot be shown"));
    const number = element("span", { className: "number" });
    const badge = element("i", { className: "badge" });
    const text = element("span", { className: "text" }, element("span", { className: "file" }, ...inTwo(one.name.split("/").pop())), number);
    const open = () => this.commands.open(this.state.images.findIndex(({ id }) => id === one.id));
    const node = element("button", { className: "picture", title: one.name, onclick: open }, picture, badge, text);
    const made = { node, number, badge, shown: null };
    this.nodes.set(one.id, made);
    return made;
  }

  updateNode(one, state) {
    const found = this.nodes.get(one.id);
    const isOpen = state.image?.id === one.id;
    const score = state.queue.order === "score" ? state.queue.scores[one.id] : undefined;
    if (found.shown !== one || found.score !== score) {
      Object.assign(found, { shown: one, score });
      const sure = score === undefined ? "" : percent(score);
      found.number.textContent = sure || (one.count === null ? "" : String(one.count));
      found.number.classList.toggle("some", !sure && one.count > 0);
      found.badge.className = `badge ${one.state}`;
      found.node.classList.toggle("is-skipped", one.state === "skipped");
      const told = one.broken ? "cannot be shown" : one.count === null ? "nothing labelled yet" : plural(one.count, "object");
      found.node.setAttribute("aria-label", `${one.name}, ${STATE_NAMES[one.state].toLowerCase()}, ${told}${sure && `, the model is sure by ${sure}`}`);
    }
    if (found.isOpen !== isOpen) {
      found.isOpen = isOpen;
      found.node.setAttribute("aria-current", String(isOpen));
      if (isOpen) this.reveal(found.node);
    }
  }

  /** Scroll to a picture; to what stands above the list for the first one. */
  reveal(node) {
    if (node !== byId("pictures").firstElementChild) return node.scrollIntoView({ block: "nearest" });
    for (const id of ["pictures", "queue"]) byId(id).scrollTop = 0;
  }

  showHead(state) {
    const { images, labels, queue } = state;
    const counts = { all: images.length, new: 0, progress: 0, done: 0, skipped: 0 };
    for (const one of images) counts[one.state] += 1;
    byId("queue-text").textContent = `${counts.done} of ${counts.all} done${counts.skipped ? `, ${counts.skipped} skipped` : ""}`;
    byId("queue-bar").value = counts.done;
    byId("queue-bar").max = Math.max(counts.all - counts.skipped, 1);
    const how = stateOf(state);
    byId("done").setAttribute("aria-pressed", String(how === "done"));
    byId("skip").setAttribute("aria-pressed", String(how === "skipped"));
    this.showFilter(counts, labels, queue);
    const isScoring = queue.order === "score" && queue.scored < queue.total;
    byId("scoring").hidden = !isScoring;
    byId("scoring").textContent = isScoring ? `The model looks at them: ${queue.scored} of ${queue.total}` : "";
    byId("update").hidden = !this.isOld(state);
  }

  showFilter(counts, labels, queue) {
    const states = ["all", "new", "progress", "done", "skipped"];
    const texts = states.map((name) => `${STATE_NAMES[name] ?? "All"} (${counts[name]})`);
    const key = JSON.stringify([texts, labels]);
    if (key !== this.filterKey) {
      this.filterKey = key;
      const group = element("optgroup", { label: "With label" }, ...labels.map((label) => element("option", { value: `label:${label}` }, label)));
      byId("filter").replaceChildren(...states.map((value, index) => element("option", { value }, texts[index])), ...(labels.length ? [group] : []));
    }
    const chosen = queue.filter === "label" ? `label:${queue.label}` : queue.filter;
    byId("filter").value = chosen;
    if (byId("filter").value !== chosen) byId("filter").value = "all"; // a label that has gone
  }

  /** Whether the list would be another one if it were put together now. */
  isOld({ images, queue }) {
    if (!queue.ids) return false;
    if (queue.order === "score" && queue.scored > queue.scoredThen) return true;
    if (queue.filter === "all" || queue.filter === "label") return false;
    const fits = images.filter((one) => one.state === queue.filter).map((one) => one.id);
    const here = new Set(queue.ids);
    return fits.length !== here.size || fits.some((id) => !here.has(id));
  }
}

/** A name in two parts, of which the first one gives way where there is no room: names of one folder often differ only at their ends. */
function inTwo(name) {
  const signs = [...name];
  if (signs.length <= END + 3) return [element("span", {}, name)];
  return [signs.slice(0, -END), signs.slice(-END)].map((part) => element("span", {}, part.join("")));
}
