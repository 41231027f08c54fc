// The state of the page, and the pure functions that change it. Undo and redo are one mechanism for everything that a person does:
// a click, a box, another candidate, accepting, a new label, deleting, the mark of a picture, other names of labels. What is to be saved is a
// list in the state, too.

import { forth, inverse, nowCalled, relabelledState, withLabels } from "./label_changes.js";
import { isPainted } from "./score.js";

export const MOST_UNDONE = 300;
const NUM_CANDIDATES = 3; // of a single click or box, as the model gives them

export const initial = {
  title: "", images: [], labels: [], places: [], renamings: [], formats: [], output: "", notes: [], palette: [], tile: 512,
  number: 0, // of the last change that was heard of
  model: { state: "loading", text: "", model: {} },
  pictures: {}, // id -> how far the model is with it: "encoding" | "ready" | "broken"
  encodingSince: 0,
  image: null, // {id, visit, width, height, error}: the picture that is open
  objects: {}, // id -> {label, counts, score, steps, model}, in the order in which they were made
  desk: emptyDesk(),
  desks: {}, // image id -> desk of pictures that were left, with the label that was in use there
  label: "",
  answers: {}, // steps as a text -> {counts, score} | {error}
  candidates: {}, // steps as a text -> [{counts, score}, ...]
  queue: { filter: "all", label: "", order: "name", ids: null, scores: {} }, // what the list of pictures shows; ids: null is all of them
  outbox: [], // [{image, changes} | {image, mark} | {relabel}]: done and not on disk yet
  trouble: "", // why the outbox cannot be saved
  connected: true,
};

/**
 * What lies on the desk of one picture: the object under way, what is selected, and what can be undone. `waiting` is what was done since to a mask
 * that is still awaited, in order: {step}, {pixels, isErased}, {accept: label} or, at last, {then}: what is done once that is accepted, such as going
 * to the next picture. `takenBack` is what was undone of that, newest last.
 */
export function emptyDesk() {
  return { draft: null, selected: null, past: [], future: [], waiting: [], takenBack: [] };
}

/** Steps as a text that is equal for equal steps. */
export function keyOf(steps) {
  return JSON.stringify(steps);
}

/** The answer to the first steps of a draft; undefined while it is awaited. */
function answerTo(state, draft, length) {
  if (draft.given && draft.given.length === length) return draft.given.answer;
  return state.answers[keyOf(draft.steps.slice(0, length))];
}

/** The answer that is shown for a draft: its own, or, while that is awaited, the one before. */
export function shownAnswer(state, draft = state.desk.draft) {
  for (let length = draft ? draft.steps.length : 0; length; length--) {
    const answer = answerTo(state, draft, length);
    if (answer && !answer.error) return answer;
  }
  return null;
}

/** The answer to all steps of the draft: {counts, score} or {error}; undefined while it is awaited. */
export function ownAnswer(state, draft = state.desk.draft) {
  return draft ? answerTo(state, draft, draft.steps.length) : undefined;
}

/** Whether a click on the open picture is answered at once. */
export const isReady = ({ model, image, pictures }) => model.state === "ready" && Boolean(image?.width) && pictures[image.id] === "ready";

/** Whether something has to wait for the mask under way: it is accepted, and pixels change it, once it is there. */
export function mustWait(state, { pixels, accept }) {
  const { draft } = state.desk;
  if (!draft?.steps.length || ownAnswer(state)) return false;
  return accept !== undefined || (pixels !== undefined && state.model.state !== "failed");
}

/** Whether the next mark begins an object: there is none, or it is accepted as soon as its mask is there. */
export function isBeginning({ draft, waiting }) {
  return waiting.length ? "accept" in waiting.at(-1) : !draft;
}

/** Whether Enter was pressed for an object whose mask is still awaited. */
export const isAccepting = (desk) => labelAwaited(desk) !== undefined;

const labelAwaited = ({ waiting }) => waiting.find((item) => "accept" in item)?.accept;

/** The label that the object under way gets. */
export const labelOfDraft = ({ desk, label }) => labelAwaited(desk) ?? label;

/** The label that a digit changes: that of the selected object, else the one that the next object gets. */
export const labelInUse = ({ desk, label, objects }) => (desk.draft ? undefined : objects[desk.selected]?.label) ?? label;

/** The only step of the draft, a click or a box, without the candidate that was taken; null where the draft is something else. */
export function singleStep({ draft, waiting }) {
  if (!draft || waiting.length || draft.steps.length !== 1 || draft.steps[0].mask) return null;
  const { choice, ...plain } = draft.steps[0];
  return plain;
}

/**
 * The masks that a single step may mean: {choices, count, place}. They come in the order of Tab, first the answer to the step itself, whose choice is
 * undefined; `place` is that of the mask that is shown. The answer to a click is one of the model's three, that to a box may be another one: until
 * somebody has asked for them, `choices` is null, and so is `count` where it follows from nothing. Null where the draft is no single step.
 */
export function shownCandidates(state) {
  const plain = singleStep(state.desk);
  if (!plain) return null;
  const { choice } = state.desk.draft.steps[0];
  const candidates = state.candidates[keyOf([plain])];
  if (!candidates) return { choices: null, count: plain.point && choice === undefined ? NUM_CANDIDATES : null, place: 0 };
  const own = candidates.findIndex(({ counts }) => counts === state.answers[keyOf([plain])]?.counts);
  const choices = [undefined, ...candidates.keys()].filter((one) => one !== own || own < 0);
  return { choices, count: choices.length, place: choice === own ? 0 : choices.indexOf(choice) };
}

const reducers = {
  session: (state, { session, kept }) => {
    const { labels, places, renamings, ...rest } = session;
    const label = state.label || (labels.includes(kept) ? kept : labels[0]) || "object";
    return { ...withLabels({ ...state, label }, { labels, places, renamings }), ...rest, connected: true };
  },
  connected: (state, { connected }) => ({ ...state, connected }),
  // Another model answers otherwise: what is under way is asked again.
  model: (state, { model }) => {
    const [before, after] = [state.model.model?.weights, model.model?.weights];
    const forgotten = before && after && before !== after ? { answers: {}, candidates: {} } : {};
    return { ...state, model, pictures: model.state === "loading" ? {} : state.pictures, ...forgotten };
  },
  picture: (state, { image, how, text, at }) => ({
    ...state,
    pictures: { ...state.pictures, [image]: how },
    encodingSince: how === "encoding" && state.image && image === state.image.id ? at : state.encodingSince,
    images: how === "broken" ? state.images.map((one) => (one.id === image ? { ...one, broken: text } : one)) : state.images,
  }),
  // Whoever comes back to an object under way goes on with its label.
  leave: (state, { id, visit }) => {
    const desk = state.desks[id] ?? emptyDesk();
    const desks = state.image ? { ...state.desks, [state.image.id]: { ...state.desk, label: state.label } } : state.desks;
    const image = { id, visit, width: 0, height: 0, error: "" };
    return { ...state, desks, desk, label: desk.draft ? desk.label : state.label, image, objects: {}, encodingSince: 0, answers: {}, candidates: {} };
  },
  opened: (state, { id, width, height, objects, number }) =>
    !state.image || state.image.id !== id
      ? state
      : { ...state, number: Math.max(state.number, number), image: { ...state.image, width, height, error: "" }, objects: withWaiting(state, id, objects) },
  refused: (state, { id, text }) => ({
    ...state,
    image: state.image && state.image.id === id ? { ...state.image, error: text } : state.image,
    images: state.images.map((one) => (one.id === id ? { ...one, broken: text } : one)),
  }),
  answered: (state, { key, visit, answer }) =>
    state.image && state.image.visit === visit ? { ...state, answers: { ...state.answers, [key]: answer } } : state,
  candidates: (state, { key, visit, candidates, own }) => {
    if (!state.image || state.image.visit !== visit) return state;
    const steps = JSON.parse(key);
    const last = steps[steps.length - 1];
    const chosen = Object.fromEntries(
      candidates.map((candidate, choice) => [keyOf([...steps.slice(0, -1), { ...last, choice }]), candidate]),
    );
    return { ...state, answers: { ...state.answers, ...chosen, [key]: own }, candidates: { ...state.candidates, [key]: candidates } };
  },
  point: (state, { step }) => {
    const { draft } = state.desk;
    const steps = [...(draft ? draft.steps : []), step];
    return done(state, { draft: { editing: null, ...draft, steps }, selected: null });
  },
  // Pixels were painted: the mask is what counts from now on, and what the next click refines. What was only cleaned of small holes and
  // specks is as much the model's, or as much painted, as before.
  paint: (state, { counts, isEmpty, isCleaned }) => {
    const { draft } = state.desk;
    const isPainted = !isCleaned || Boolean(shownAnswer(state).painted);
    const painted = isPainted ? { painted: true } : {};
    const steps = isEmpty ? [] : [{ mask: counts, ...painted }];
    const given = { length: steps.length, answer: { counts, score: isCleaned ? shownAnswer(state).score : 1, ...painted } };
    const strokes = 1 + (draft ? (draft.strokes ?? 0) + draft.steps.length - (draft.given?.length ?? 0) : 0); // what would be lost with the page
    return done(state, { draft: { editing: null, ...draft, steps, given, strokes }, selected: null });
  },
  choose: (state, { choice }) => {
    const { draft } = state.desk;
    const { choice: _, ...plain } = draft.steps.at(-1);
    const last = choice === undefined ? plain : { ...plain, choice };
    return done(state, { draft: { ...draft, steps: [...draft.steps.slice(0, -1), last] } });
  },
  clear: (state) => (state.desk.draft ? done(state, { draft: null, waiting: [] }) : state),
  wait: (state, { item }) => ({ ...state, desk: { ...state.desk, waiting: [...state.desk.waiting, item], takenBack: [], future: [] } }),
  go: (state) => ({ ...state, desk: { ...state.desk, waiting: state.desk.waiting.slice(1) } }),
  giveUpWaiting: (state) => ({ ...state, desk: { ...state.desk, waiting: [], takenBack: [] } }),
  select: (state, { id }) => (id === state.desk.selected ? state : { ...state, desk: { ...state.desk, selected: id } }),
  edit: (state, { id, steps }) => {
    const object = state.objects[id];
    const painted = isPainted(object) ? { painted: true } : {};
    const given = { length: steps.length, answer: { counts: object.counts, score: object.score, ...painted } };
    return done({ ...state, label: object.label }, { draft: { editing: id, steps, given }, selected: null });
  },
  accept: (state, { id, object }) => done(state, { draft: null, selected: null }, { [id]: object }),
  change: (state, { changes, selected = null }) => done(state, { selected }, changes),
  label: (state, { label }) => ({ ...state, label }),
  labels: (state, { labels, places, renamings, number = 0 }) =>
    withLabels({ ...state, number: Math.max(state.number, number) }, { labels, places, renamings }),
  relabel: (state, { relabel }) => done(state, {}, {}, { relabel: forth(state, relabel) }),
  mark: (state, { mark }) => done(state, {}, {}, { mark }),
  marked: (state, { image, number, count, state: how }) => ({ ...state, number: Math.max(state.number, number), images: told(state.images, image, { count, state: how }) }),
  queue: (state, { queue }) => ({ ...state, queue: { ...state.queue, ...queue } }),
  undo: (state) => (state.desk.waiting.length ? movedWaiting(state, "waiting", "takenBack") : moved(state, "past", "future")),
  redo: (state) => (state.desk.future.length ? moved(state, "future", "past") : movedWaiting(state, "takenBack", "waiting")),
  // Somebody else, or this page in another tab, changed something: it is not ours to undo.
  remote: (state, { image, changes, number, count, state: how }) => {
    const isOpen = state.image && state.image.id === image;
    const objects = isOpen ? withWaiting(state, image, changed(state.objects, changes)) : state.objects;
    const { draft, selected } = state.desk;
    const isGone = (id) => id !== null && !(id in objects);
    const desk = isOpen && (isGone(selected) || (draft && isGone(draft.editing)))
      ? { ...state.desk, selected: isGone(selected) ? null : selected, draft: draft && isGone(draft.editing) ? { ...draft, editing: null } : draft }
      : state.desk;
    return { ...state, objects, desk, number: Math.max(state.number, number), images: told(state.images, image, { count, state: how }) };
  },
  // What the server answered to the first entry of the outbox; labels that are being changed here are newer than those that it knows.
  saved: (state, { answer }) => {
    const [{ image }, ...outbox] = state.outbox;
    const { number, count, state: how, labels, places, renamings } = answer;
    const after = { ...state, number: Math.max(state.number, number), outbox, trouble: "" };
    // What was done to the picture since is not in the answer yet; the last of the answers has all of it.
    if (image && !outbox.some((one) => one.image === image)) after.images = told(state.images, image, { count, state: how });
    return labels && !outbox.some((one) => one.relabel) ? withLabels(after, { labels, places, renamings }) : after;
  },
  trouble: (state, { text }) => ({ ...state, trouble: text }),
  refusedChange: (state, { text }) => ({ ...state, outbox: state.outbox.slice(1), trouble: text }),
};

/** The state after an action; the same object where nothing changed. */
export function reduce(state, action) {
  return reducers[action.type](state, action);
}

/** One thing that a person did: the desk and the objects after it, and how to go back. More: a mark of the picture, a change of labels. */
function done(state, desk, changes = {}, more = {}) {
  const after = applied(state, { ...state.desk, ...desk }, changes, more);
  const past = [...state.desk.past, back(state, after, changes, more)].slice(-MOST_UNDONE);
  return { ...after, desk: { ...after.desk, past, future: [] } };
}

/** How to return to a state from the one after it, which `changes` and `more` made. */
function back(state, after, changes, { mark, relabel }) {
  const { draft, selected } = state.desk;
  const before = Object.fromEntries(Object.keys(changes).map((id) => [id, state.objects[id] ?? null]));
  const inUse = relabel && { before: state.label, after: after.label };
  return { draft, selected, changes: before, mark: mark && markNow(state), relabel: relabel && inverse(relabel), inUse, renamings: state.renamings };
}

/** Undo or redo: the last entry of one pile is applied, and the way back is put on the other one. */
function moved(state, from, to) {
  const entry = state.desk[from].at(-1);
  if (!entry) return state;
  const changes = withNewNames(state, entry);
  const { draft, selected, inUse } = entry;
  const after = applied(state, { ...state.desk, draft, selected }, changes, entry);
  if (inUse?.after === state.label) after.label = inUse.before; // nobody has taken another label since
  const piles = { [from]: state.desk[from].slice(0, -1), [to]: [...state.desk[to], back(state, after, changes, entry)] };
  return { ...after, desk: { ...after.desk, ...piles } };
}

/** The same for what waits. */
function movedWaiting(state, from, to) {
  const entry = state.desk[from].at(-1);
  return entry ? { ...state, desk: { ...state.desk, [from]: state.desk[from].slice(0, -1), [to]: [...state.desk[to], entry] } } : state;
}

/** The changes of an entry; labels that were renamed since are called as they are now. */
function withNewNames(state, { changes, renamings }) {
  if (renamings === state.renamings) return changes;
  const named = (object) => object && { ...object, label: nowCalled(object.label, state.renamings, renamings) };
  return Object.fromEntries(Object.entries(changes).map(([id, object]) => [id, named(object)]));
}

function applied(state, desk, changes, { mark, relabel }) {
  let after = { ...state, desk };
  if (Object.keys(changes).length) {
    const objects = changed(state.objects, changes);
    const facts = { count: Object.keys(objects).length, state: stateAfter(stateOf(state), changes) };
    after = { ...after, objects, images: told(state.images, state.image.id, facts), outbox: [...after.outbox, { image: state.image.id, changes }] };
  }
  if (mark) {
    const { id } = state.image;
    const shown = mark === "open" ? (Object.keys(state.objects).length ? "progress" : "new") : mark;
    after = { ...after, images: told(after.images, id, { state: shown }), outbox: [...after.outbox, { image: id, mark }] };
  }
  return relabel ? relabelledState(after, relabel) : after;
}

/** How far the open picture is: new, progress, done or skipped. */
export function stateOf(state) {
  return state.images.find((one) => one.id === state.image?.id)?.state ?? "new";
}

function markNow(state) {
  const how = stateOf(state);
  return how === "done" || how === "skipped" ? how : "open";
}

/** Work begins a picture, and whoever puts an object into a skipped one does not skip it; a picture that is done stays so. */
function stateAfter(how, changes) {
  const isPut = Object.values(changes).some(Boolean);
  return how === "new" || (how === "skipped" && isPut) ? "progress" : how;
}

function changed(objects, changes) {
  const after = { ...objects };
  for (const [id, object] of Object.entries(changes)) {
    if (object) after[id] = object;
    else delete after[id];
  }
  return after;
}

/** Objects as the server has them, with what it has not heard of yet. */
function withWaiting(state, image, objects) {
  return state.outbox.filter((one) => one.image === image && one.changes).reduce((all, one) => changed(all, one.changes), objects);
}

/** The pictures, with what was told of one of them. */
function told(images, id, facts) {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  const isNews = (one) => one.id === id && known.some(([name, value]) => one[name] !== value);
  return images.some(isNews) ? images.map((one) => (isNews(one) ? { ...one, ...Object.fromEntries(known) } : one)) : images;
}

/** The pictures that the list shows, in its order. */
export function shownImages({ images, queue }) {
  if (!queue.ids) return images;
  const byId = new Map(images.map((one) => [one.id, one]));
  return queue.ids.map((id) => byId.get(id)).filter(Boolean);
}

/** A store: the state, a way to change it, and those who want to know. */
export function createStore() {
  let state = initial;
  const listeners = [];
  return {
    get state() { return state; },
    dispatch(action) {
      const before = state;
      state = reduce(state, action);
      if (state !== before) for (const listener of listeners) listener(state, before);
    },
    listen(listener) { listeners.push(listener); },
  };
}

/** The desks of all pictures: the open one's, and those that were left. */
export const allDesks = ({ desk, desks, image }) => [desk, ...Object.entries(desks).filter(([id]) => id !== image?.id).map(([, one]) => one)];
