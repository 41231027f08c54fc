// Teaching the model what was accepted: what would teach it, how far it is, what came of it, and which model answers.

import { get, post } from "./api.js";
import { byId, element, percent, withCode } from "./elements.js";
import { Chart } from "./teach_chart.js";
import { NONE_IS_BETTER, TeachResult } from "./teach_result.js";

const PASSES = [5, 10, 20, 40, 80];

/** What the training does, in words for everybody. */
const WORK = { starting: "Starting", "encoding images": "Preparing the pictures", measuring: "Checking the model", "measuring how much of it to use": "Measuring how much of it to use" };

const LINES = { "from a box": "miou_box", "after 1 click": "miou_click", "after 5 clicks": "miou_clicks", "after 20 clicks": "miou_20_clicks" };

export class Teach {
  constructor(store, say) {
    Object.assign(this, { store, say, told: null, chosen: null, trouble: "" });
    this.dialog = byId("teach-dialog");
    this.inUse = element("p", { id: "teach-in-use", role: "status" });
    this.first = element("button", { id: "teach-first", onclick: () => this.use(null, 1) }, "Use the first model");
    this.bad = element("p", { id: "teach-trouble", className: "bad", role: "alert" });
    this.choice = element("select", { id: "teach-run", onchange: () => this.choose(this.choice.value) });
    this.choosing = element("label", { className: "field" }, element("span", {}, "Taught models"), this.choice);
    this.split = element("p", { id: "teach-split" });
    this.work = element("p", { id: "teach-work" });
    this.bar = element("progress", { max: 1, "aria-label": "Progress of teaching" });
    this.chart = new Chart("How well masks match yours, pass by pass", "passes over the objects");
    this.stop = element("button", { id: "teach-stop", onclick: () => this.ask("stop", {}) }, "Stop");
    this.resume = element("button", { id: "teach-resume", className: "primary", onclick: () => this.ask("resume", { run: this.run.name }) }, "Go on");
    this.running = element("section", {}, this.split, this.work, this.bar, element("div", { className: "buttons" }, this.stop, this.resume));
    this.passing = element("section", {}, this.chart.node);
    this.result = new TeachResult((run, share) => this.use(run, share));
    this.next = element("p", { id: "teach-next" });
    this.few = element("p", { className: "soft" });
    this.passes = element("select", { id: "teach-passes" });
    this.from = element("select", { id: "teach-from", onchange: () => this.look() });
    this.start = element("button", { id: "teach-start", className: "primary", disabled: true, onclick: () => this.begin() }, "Start teaching");
    this.fields = element("div", { className: "fields" }, element("label", { className: "field" }, element("span", {}, "Passes over the objects, at most"), this.passes), element("label", { className: "field" }, element("span", {}, "Start from"), this.from));
    this.anew = element("section", { id: "teach-anew" }, element("h3", {}, "Teach"), this.next, this.few, this.fields, element("div", { className: "buttons" }, this.start));
    byId("teach-body").append(element("div", { className: "in-use" }, this.inUse, this.first), this.bad, this.choosing, this.running, this.result.node, this.passing, this.anew);
    store.listen((state, before) => { if (state.model !== before.model && this.told) this.show(); });
  }

  /** The run that is shown. */
  get run() { return this.told.runs.find(({ name }) => name === this.chosen) ?? null; }

  /** Whether it is the one that is taught just now. */
  get isBusy() { return this.told.state !== "idle" && this.told.run === this.chosen; }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
    this.trouble = "";
    this.show();
    this.look();
  }

  /** How things are by now, from the server. */
  take(told) {
    const before = this.told;
    this.told = told;
    const { runs, run, state } = told;
    if (state !== "idle" && (before?.state === "idle" || !this.chosen)) this.chosen = run;
    if (!runs.some(({ name }) => name === this.chosen)) this.chosen = runs.at(-1)?.name ?? null;
    if (before && before.state !== "idle" && state === "idle") this.sayEnd(run);
    this.show();
    if (this.dialog.open && before?.state !== state) this.look();
  }

  sayEnd(name) {
    const { runs, trouble } = this.told;
    const result = runs.find((one) => one.name === name)?.result;
    const best = result?.curve.find(({ share }) => share === result.share);
    const text = result?.share === 0 ? NONE_IS_BETTER : best?.text;
    this.say(`Teaching has ended. ${trouble || text || "It can go on."}`, true);
  }

  takeEpoch({ run, epochs }) {
    if (!this.told) return;
    this.told = { ...this.told, runs: this.told.runs.map((one) => (one.name === run ? { ...one, epochs } : one)) };
    if (run === this.chosen) this.showChart();
  }

  takeProgress({ progress }) {
    if (!this.told) return;
    this.told = { ...this.told, progress };
    this.showProgress();
  }

  choose(name) {
    this.chosen = name;
    this.show();
  }

  /** What would be taught now. */
  async look() {
    const from = this.from.value === "used" ? "used" : "first";
    const asked = (this.asked = {});
    this.start.disabled = true;
    let [text, few, can] = [this.tooFew(), "", false];
    if (!text) try {
      const { sentence, warning } = await get(`/api/teaching/split?from=${from}`);
      [text, few, can] = [sentence, warning, true];
    } catch (error) {
      [text, few, can] = [error.message, "", false];
    }
    if (this.asked !== asked) return;
    this.next.replaceChildren(...withCode(text));
    this.few.replaceChildren(...withCode(few));
    this.few.hidden = !few;
    this.start.disabled = !can;
  }

  /** Why there is too little to learn from; empty where the server has to say what would be learned. */
  tooFew() {
    const count = this.store.state.images.reduce((sum, one) => sum + (one.state === "skipped" ? 0 : one.count ?? 0), 0);
    if (count > 1) return "";
    const told = count ? "One accepted object is too few" : "Nothing is accepted yet";
    return `${told}: the model needs objects to learn from, and others to check it with. 40 objects in 10 pictures are a good start.`;
  }

  begin() {
    return this.ask("start", { epochs: Number(this.passes.value), from: this.from.value });
  }

  use(run, share) {
    return this.ask("use", { run, share });
  }

  async ask(what, body) {
    this.trouble = "";
    try {
      this.take(await post(`/api/teaching/${what}`, body));
    } catch (error) {
      this.trouble = error.message;
      this.show();
    }
  }

  show() {
    const { state, runs, trouble, inUse, isChanging, numEpochs } = this.told;
    const { run } = this;
    const { isBusy } = this;
    const model = this.store.state.model;
    this.inUse.replaceChildren(...withCode(this.modelInUse(inUse, isChanging, model)));
    this.first.hidden = inUse.run === null;
    this.first.disabled = isChanging;
    const bad = this.trouble || trouble;
    this.bad.replaceChildren(...withCode(bad));
    this.bad.hidden = !bad;
    this.choosing.hidden = runs.length < 2;
    fill(this.choice, runs.map((one) => [one.name, `${one.name}: ${one.split.train.objects + one.split.validation.objects} objects${one.isFinished ? "" : ", not finished"}`]), this.chosen);
    this.running.hidden = !run;
    this.passing.hidden = !run?.epochs.length;
    this.result.show(isBusy ? null : run, inUse, isChanging);
    this.anew.hidden = state !== "idle";
    fill(this.passes, [...new Set([...PASSES, numEpochs])].sort((a, b) => a - b).map((count) => [count, String(count)]), this.passes.value || numEpochs);
    fill(this.from, [["first", "the first model"], ...(inUse.run ? [["used", `the model in use (${nameOf(inUse)})`]] : [])], inUse.run ? this.from.value : "first");
    this.from.parentNode.hidden = !inUse.run;
    if (run) {
      this.split.textContent = `${run.name}: ${run.split.sentence.replace("learns from", isBusy ? "learns from" : "has learned from").replace(/ (is|are) kept/, (kept, verb) => (isBusy ? kept : verb === "is" ? " was kept" : " were kept"))}`;
      this.stop.hidden = !isBusy;
      this.stop.disabled = state === "stopping";
      this.resume.hidden = isBusy || run.isFinished || state !== "idle";
      this.showChart();
    }
    this.showProgress();
  }

  modelInUse(inUse, isChanging, model) {
    const name = inUse.run ? nameOf(inUse) : `the first model${model.model?.name ? ` (${model.model.name})` : ""}`;
    if (model.state === "failed") return `${name} cannot be loaded: ${model.text}`;
    if (isChanging) return "The model is being changed. Accepted masks stay as they are.";
    if (model.state === "loading") return `Loading ${name} …`;
    const taught = this.told.runs.find((run) => run.name === inUse.run);
    const scale = taught?.split.view ? ` It was taught with parts of pictures of ${taught.split.view} pixels: zoom in about as far, and answer in the visible window (V).` : "";
    return `Clicks are answered by ${name}.${scale}`;
  }

  showChart() {
    const { epochs, numEpochs } = this.run;
    const best = epochs.findLast((one) => one.is_best)?.epoch ?? null;
    const series = Object.entries(LINES).map(([name, key]) => ({ name, points: epochs.map((one) => [one.epoch, one[key]]) }));
    this.passing.hidden = !epochs.length;
    this.chart.show(series, best, [0, Math.max(numEpochs, 1)]);
  }

  showProgress() {
    const { state, progress } = this.told;
    const { isBusy } = this;
    this.work.hidden = this.bar.hidden = !isBusy;
    byId("teach").textContent = state === "idle" ? "Teach" : progress?.share ? `Teach ${percent(progress.share)}` : "Teaching";
    byId("teach").setAttribute("aria-pressed", String(state !== "idle" || this.told.inUse.run !== null));
    if (!isBusy || !progress) return;
    if (progress.share === null) this.bar.removeAttribute("value");
    else this.bar.value = progress.share;
    const what = state === "stopping" ? "Stopping" : WORK[progress.what] ?? `Pass ${progress.epoch + 1} of ${progress.numEpochs}`;
    const left = progress.secondsLeft === null || state === "stopping" ? "" : `, at most ${duration(progress.secondsLeft)} left`;
    const part = progress.what.startsWith("encoding") ? ` (${progress.done} of ${progress.total})` : "";
    this.work.textContent = `${what}${part}${left}. You can close this and click on meanwhile.`;
  }
}

const nameOf = ({ run, share }) => (share === 1 ? run : `${run}, ${percent(share)} of what it learned`);

function duration(seconds) {
  if (seconds < 60) return "a minute";
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Give a field its choices, without touching it where they are the same. */
function fill(select, options, value) {
  const key = JSON.stringify(options);
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...options.map(([name, text]) => element("option", { value: name }, text)));
  }
  select.value = String(value ?? options[0]?.[0] ?? "");
}
