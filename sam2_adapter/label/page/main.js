// Puts the page together.

import { get, imagePath, listen, post, tab } from "./api.js";
import { askForDrafts, Look, Preview } from "./asking.js";
import { Brush } from "./brush.js";
import { BrushBar } from "./brush_bar.js";
import { Cleaning } from "./cleaning.js";
import { Commands, READY } from "./commands.js";
import { byId, element, withCode } from "./elements.js";
import { ExportDialog } from "./export_dialog.js";
import { listenToPointers } from "./gestures.js";
import { keyTable, listenToKeys, POINTER_HELP } from "./keys.js";
import { LabelDialog } from "./label_dialog.js";
import { Notes } from "./notes.js";
import { Panels } from "./panels.js";
import { Progress } from "./progress.js";
import { Proposals } from "./proposals.js";
import { ProposalsStrip } from "./proposals_strip.js";
import { Queue } from "./queue.js";
import { Review } from "./review.js";
import { SameObjects } from "./same_objects.js";
import { saveChanges } from "./saving.js";
import { Stage } from "./stage.js";
import { createStore, isReady, ownAnswer } from "./state.js";
import { Teach } from "./teach.js";

const NOTICE_MS = 6000;

const store = createStore();
const options = {
  opacity: 0.45,
  outlines: true,
  hidden: false,
  inView: false,
  colorOf: (label) => {
    const { labels, places, palette } = store.state;
    const place = places[labels.indexOf(label)] ?? Math.max(-1, ...places) + 1;
    return palette.length ? palette[place % palette.length] : "#2ca0ff";
  },
};
const stage = new Stage(byId("canvas"), store, options);
stage.proposals = new Proposals(store, stage, say);
const strip = new ProposalsStrip(stage.proposals, stage, store);
const commands = new Commands(store, stage, say);
stage.brush = new Brush(store, stage, commands, say);
stage.cleaning = new Cleaning(store, stage, commands, say);
new BrushBar(stage.brush, stage.cleaning);
const notes = new Notes(store, stage);
const panels = new Panels(store, stage, commands, options);
const queue = new Queue(store, commands, say);
const sameObjects = new SameObjects(store, stage, commands, say);
const review = new Review(store, commands, options, say);
const exporting = new ExportDialog(store);
const labelDialog = new LabelDialog(store, commands, say);
panels.onEditLabel = (label) => labelDialog.open(label);
const preview = new Preview(store, stage);
const progress = new Progress(store);
const teach = new Teach(store, say);
const look = new Look(store, stage, (isLooking) => progress.look(isLooking));

let noticeTimer = 0;
/** Tell a screen reader, and where `isShown` also show it; what is repeated need not be spoken again. */
function say(text, isShown = false, isSpoken = true) {
  if (isSpoken) byId("live").textContent = text;
  if (!isShown) return;
  const notice = byId("notice");
  notice.replaceChildren(...withCode(text));
  notice.className = "calm";
  notice.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(endNotice, NOTICE_MS);
}

/** What was said is over: its time, or what it was about. */
function endNotice() {
  clearTimeout(noticeTimer);
  byId("notice").className = "";
  panels.showSaved(store.state);
}

const actions = {
  escape() {
    if (stage.cursor && !commands.desk.draft && !commands.desk.selected) this.toggleCursor();
    commands.escape();
  },
  fit() {
    stage.view.fit();
    stage.moving();
  },
  zoom(factor) {
    const [x, y] = stage.cursor ? stage.view.toScreen(...stage.cursor) : [stage.view.width / 2, stage.view.height / 2];
    stage.view.zoomAt(x, y, factor);
    stage.moving();
  },
  toggle(name) {
    options[name] = !options[name];
    byId(name).setAttribute("aria-pressed", String(options[name]));
    if (name === "inView") this.lookClosely();
    stage.changed();
  },
  lookClosely() {
    look.changed();
    panels.showStrip(store.state);
    const how = "Zoom in on small things: the model now sees only the visible part, at full resolution. V goes back to the whole picture.";
    say(options.inView ? how : "The model sees the whole picture again.", true);
  },
  findLabel() {
    byId("find").focus();
    byId("find").select();
  },
  toggleCursor() {
    const { view } = stage;
    stage.cursor = stage.cursor ? null : view.clamped(view.width / 2, view.height / 2).map((value) => Math.floor(value) + 0.5);
    stage.corner = stage.box = null;
    byId("canvas").focus();
    say(stage.cursor ? "Pointing with the keyboard. Arrows move, X is inside, C is outside, B is a corner of a box." : "Pointing with the keyboard ended.");
    panels.showStrip(store.state);
    notes.show();
    stage.changed();
  },
  moveCursor(direction, px) {
    const step = Math.max(1, Math.round(px / stage.view.scale));
    const [dx, dy] = { Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1] }[direction];
    const { width, height } = store.state.image;
    const distance = px === 1 ? 1 : step;
    stage.cursor = [
      Math.min(Math.max(stage.cursor[0] + dx * distance, 0.5), width - 0.5),
      Math.min(Math.max(stage.cursor[1] + dy * distance, 0.5), height - 0.5),
    ];
    if (stage.corner) stage.box = [...stage.corner, ...stage.cursor];
    const id = stage.objectAt(...stage.cursor);
    say(`${Math.floor(stage.cursor[0])}, ${Math.floor(stage.cursor[1])}${id ? `, ${store.state.objects[id].label}` : ""}`);
    stage.changed();
  },
  corner() {
    if (stage.corner) {
      commands.box([...stage.corner, ...stage.cursor]);
      stage.corner = stage.box = null;
    } else {
      stage.corner = [...stage.cursor];
      say("First corner of a box. Move, then press B again.");
    }
    stage.changed();
  },
  mark: (mark) => queue.mark(mark),
  review: () => review.open(),
  sameObjects: () => sameObjects.propose(),
  editLabel: () => labelDialog.open(store.state.label),
  everything() {
    stage.proposals.look(options.inView);
  },
  help() {
    byId("help-dialog").showModal();
  },
  teach() {
    if (teach.told) teach.open();
  },
};

const table = keyTable(commands, stage, actions);
listenToPointers(stage, commands, preview);
listenToKeys(table, stage, actions);
askForDrafts(store, (answer) => {
  say(answer.error ?? `Mask found, score ${Math.round(answer.score * 100)} percent.`, Boolean(answer.error));
});
saveChanges(store, {
  onSaved: ({ relabel }) => { if (relabel) loadAgain(); },
  onRefused: ({ changes }) => { if (!changes) catchUp(); },
});

store.listen((state, before) => {
  const isOther = before.image && state.image?.id !== before.image.id;
  if (isOther || state.desk.future.length > before.desk.future.length) endNotice(); // it told of another picture, or of what is undone
  if (state.desk.draft !== before.desk.draft) {
    stage.preview = null;
    if (state.desk.draft) stage.hovered = null;
  }
  if (isReady(state) && !isReady(before)) say(READY);
  stage.changed();
});
stage.onView = () => {
  const zoom = store.state.image?.width ? `${Math.round(stage.view.scale * 100)} %` : "";
  byId("zoom").textContent = zoom;
  byId("fit").setAttribute("aria-label", `The whole picture, zoom ${zoom}`);
  strip.showView();
  look.changed();
};

/** A button that has been pressed for the proposals that are shown ends them; tells whether it was that one. */
const endProposals = (isOffered) => stage.proposals.isOffered === isOffered && stage.proposals.end();

const on = (id, run) => byId(id).addEventListener("click", run);
on("previous", () => commands.previous());
on("next", () => commands.next());
on("undo", () => commands.undo());
on("redo", () => commands.redo());
on("fit", () => actions.fit());
on("outlines", () => actions.toggle("outlines"));
on("hidden", () => actions.toggle("hidden"));
on("inView", () => actions.toggle("inView"));
on("everything", () => endProposals(false) || actions.everything());
on("brush", () => stage.brush.toggle("brush"));
on("eraser", () => stage.brush.toggle("eraser"));
on("help", () => actions.help());
on("teach", () => actions.teach());
byId("opacity").addEventListener("input", (event) => {
  options.opacity = event.target.value / 100;
  stage.changed();
});

const find = byId("find");
find.addEventListener("input", () => panels.showLabels(store.state));
find.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== "Escape") return;
  event.preventDefault();
  event.stopPropagation();
  const text = find.value.trim();
  find.value = "";
  if (event.key === "Enter" && text) {
    const meant = commands.meant(text);
    const isNew = !meant || (event.shiftKey && meant.toLowerCase() !== text.toLowerCase());
    if (isNew) commands.newLabel(text);
    else commands.label(meant);
  }
  panels.showLabels(store.state);
  byId("canvas").focus();
});

byId("help-pointer").append(...POINTER_HELP.flatMap(([what, help]) => [element("dt", {}, what), element("dd", {}, help)]));
byId("help-keys").append(
  ...table.filter((entry) => entry.shown).flatMap(({ shown, help }) => [element("dt", {}, element("kbd", {}, shown)), element("dd", {}, help)]),
);

on("review", () => review.open());
on("same", () => endProposals(true) || actions.sameObjects());
on("export", () => exporting.open());

async function start() {
  const session = await get("/api/session");
  store.dispatch({ type: "session", session, kept: history.state?.label });
  exporting.offer(session);
  if (session.notes.length) say(session.notes.join(" "), true);
}

/** The objects of the open picture as the server has them. */
function loadAgain() {
  if (store.state.image) commands.load(store.state.image.id);
}

/** After a gap in the news, everything is asked for again. */
async function catchUp() {
  try {
    await start();
    const { image } = store.state;
    if (image) {
      post(imagePath(image.id, "open"), { tab, visit: image.visit, next: [] }).catch(() => {});
      await commands.load(image.id);
    }
  } catch {
    // the next event of the connection tries again
  }
}

let isFirst = true;
const news = {
  hello({ number, model, pictures, teaching }) {
    const isBack = !isFirst;
    isFirst = false;
    store.dispatch({ type: "connected", connected: true });
    store.dispatch({ type: "model", model });
    teach.take(teaching);
    for (const event of pictures) news[event.news](event); // what was told before this page listened
    if (isBack || number !== store.state.number) catchUp();
  },
  model: ({ state, text, model }) => store.dispatch({ type: "model", model: { state, text, model } }),
  encoding: ({ image }) => store.dispatch({ type: "picture", image, how: "encoding", at: performance.now() }),
  encoded({ image, seconds }) {
    progress.learn(seconds);
    store.dispatch({ type: "picture", image, how: "ready" });
  },
  teaching: (event) => teach.take(event.teaching),
  teachingEpoch: (event) => teach.takeEpoch(event),
  teachingProgress: (event) => teach.takeProgress(event),
  broken: ({ image, text }) => store.dispatch({ type: "picture", image, how: "broken", text }),
  labels(event) {
    if (event.tab !== tab) store.dispatch({ ...event, type: "labels" });
  },
  relabelled(event) {
    if (event.tab === tab) return;
    store.dispatch({ ...event, type: "labels" });
    loadAgain();
  },
  marked(event) {
    if (event.tab !== tab) store.dispatch({ ...event, type: "marked" });
  },
  changes(event) {
    if (event.tab !== tab) store.dispatch({ type: "remote", ...event });
  },
};

await start();
listen(
  (event) => news[event.news]?.(event),
  (connected) => { if (connected !== store.state.connected) store.dispatch({ type: "connected", connected }); },
);
const wanted = store.state.images.findIndex((one) => one.id === location.hash.slice(1));
await commands.open(Math.max(wanted, 0));
store.listen((state, before) => {
  if (state.image?.id !== before.image?.id || state.label !== before.label) keepPlace();
});
keepPlace();

/** Where the work goes on when the page is loaded again: the open picture and the label in use. */
function keepPlace() {
  const { image, label } = store.state;
  history.replaceState({ label }, "", `#${image?.id ?? ""}`);
}

/** For tests of the page. */
window.label = { store, stage, commands, teach, look: () => look, review: () => review, own: () => ownAnswer(store.state) };
