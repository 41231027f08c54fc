// The state of the page, and the pure functions that change it. Undo and redo are one mechanism for everything that a person does:
// a click, a box, another candidate, accepting, a new label, deleting. What is to be saved is a list in the state, too.

export const MOST_UNDONE = 300;

export const initial = {
  title: "", images: [], labels: [], formats: [], output: "", notes: [], palette: [], tile: 512,
  number: 0, // of the last change that was heard of
  model: { state: "loading", text: "", model: {} },
  pictures: {}, // id -> how far the model is with it: "encoding" | "ready" | "broken"
  encodingSince: 0,
  image: null, // {id, visit, width, height, error}: the picture that is open
  objects: {}, // id -> {label, counts, score, steps, model}, in the order in which they were made
  desk: emptyDesk(),
  desks: {}, // image id -> desk of pictures that were left
  label: "",
  answers: {}, // steps as a text -> {counts, score} | {error}
  candidates: {}, // steps as a text -> [{counts, score}, ...]
  outbox: [], // [{image, changes}]: accepted and not on disk yet
  trouble: "", // why the outbox cannot be saved
  connected: true,
};

/** What lies on the desk of one picture: the object under way, what is selected, and what can be undone. */
export function emptyDesk() {
  return { draft: null, selected: null, past: [], future: [] };
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

/** The only step of the draft, a click or a box, without the candidate that was taken; null where the draft is something else. */
export function singleStep({ draft }) {
  if (!draft || draft.steps.length !== 1 || draft.steps[0].mask) return null;
  const { choice, ...plain } = draft.steps[0];
  return plain;
}

/** The candidates of a single step, and the place of the one that is shown; null until somebody has asked for them. */
export function shownCandidates(state) {
  const plain = singleStep(state.desk);
  const candidates = plain && state.candidates[keyOf([plain])];
  if (!candidates) return null;
  const shown = shownAnswer(state);
  const place = state.desk.draft.steps[0].choice ?? candidates.findIndex(({ counts }) => counts === shown?.counts);
  return { candidates, place };
}

const reducers = {
  session: (state, { session, kept }) => ({
    ...state,
    ...session,
    label: state.label || (session.labels.includes(kept) ? kept : session.labels[0]) || "object",
    connected: true,
  }),
  connected: (state, { connected }) => ({ ...state, connected }),
  model: (state, { model }) => ({ ...state, model, pictures: model.state === "loading" ? {} : state.pictures }),
  picture: (state, { image, how, text, at }) => ({
    ...state,
    pictures: { ...state.pictures, [image]: how },
    encodingSince: how === "encoding" && state.image && image === state.image.id ? at : state.encodingSince,
    images: how === "broken" ? state.images.map((one) => (one.id === image ? { ...one, broken: text } : one)) : state.images,
  }),
  leave: (state, { id, visit }) => ({
    ...state,
    desks: state.image ? { ...state.desks, [state.image.id]: state.desk } : state.desks,
    desk: state.desks[id] ?? emptyDesk(),
    image: { id, visit, width: 0, height: 0, error: "" },
    objects: {},
    encodingSince: 0,
    answers: {},
    candidates: {},
  }),
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
  candidates: (state, { key, visit, candidates }) => {
    if (!state.image || state.image.visit !== visit) return state;
    const steps = JSON.parse(key);
    const last = steps[steps.length - 1];
    const chosen = Object.fromEntries(
      candidates.map((candidate, choice) => [keyOf([...steps.slice(0, -1), { ...last, choice }]), candidate]),
    );
    return { ...state, answers: { ...state.answers, ...chosen }, candidates: { ...state.candidates, [key]: candidates } };
  },
  point: (state, { step }) => {
    const { draft } = state.desk;
    const steps = [...(draft ? draft.steps : []), step];
    return done(state, { draft: { editing: null, ...draft, steps, accepting: false }, selected: null });
  },
  choose: (state, { choice }) => {
    const { draft } = state.desk;
    const last = { ...draft.steps[draft.steps.length - 1], choice };
    return done(state, { draft: { ...draft, steps: [...draft.steps.slice(0, -1), last] } });
  },
  clear: (state) => (state.desk.draft ? done(state, { draft: null }) : state),
  select: (state, { id }) => (id === state.desk.selected ? state : { ...state, desk: { ...state.desk, selected: id } }),
  edit: (state, { id, steps }) => {
    const object = state.objects[id];
    const given = { length: steps.length, answer: { counts: object.counts, score: object.score } };
    return done({ ...state, label: object.label }, { draft: { editing: id, steps, given, accepting: false }, selected: null });
  },
  accepting: (state) => ({ ...state, desk: { ...state.desk, draft: { ...state.desk.draft, accepting: true } } }),
  accept: (state, { id, object }) => done(state, { draft: null, selected: null }, { [id]: object }),
  change: (state, { changes, selected = null }) => done(state, { selected }, changes),
  label: (state, { label }) => ({ ...state, label }),
  labels: (state, { labels }) => ({ ...state, labels }),
  undo: (state) => moved(state, "past", "future"),
  redo: (state) => moved(state, "future", "past"),
  // Somebody else, or this page in another tab, changed something: it is not ours to undo.
  remote: (state, { image, changes, number, count }) => {
    const isOpen = state.image && state.image.id === image;
    const objects = isOpen ? withWaiting(state, image, changed(state.objects, changes)) : state.objects;
    const { draft, selected } = state.desk;
    const isGone = (id) => id !== null && !(id in objects);
    const desk = isOpen && (isGone(selected) || (draft && isGone(draft.editing)))
      ? { ...state.desk, selected: isGone(selected) ? null : selected, draft: draft && isGone(draft.editing) ? { ...draft, editing: null } : draft }
      : state.desk;
    return { ...state, objects, desk, number: Math.max(state.number, number), images: counted(state.images, image, count) };
  },
  saved: (state, { number, count, labels }) => ({
    ...state,
    number: Math.max(state.number, number),
    labels,
    images: counted(state.images, state.outbox[0].image, count),
    outbox: state.outbox.slice(1),
    trouble: "",
  }),
  trouble: (state, { text }) => ({ ...state, trouble: text }),
  refusedChange: (state, { text }) => ({ ...state, outbox: state.outbox.slice(1), trouble: text }),
};

/** The state after an action; the same object where nothing changed. */
export function reduce(state, action) {
  return reducers[action.type](state, action);
}

/** One thing that a person did: the desk and the objects after it, and how to go back. */
function done(state, desk, changes = {}) {
  const past = [...state.desk.past, back(state, changes)].slice(-MOST_UNDONE);
  return applied(state, { ...state.desk, ...desk, past, future: [] }, changes);
}

/** How to return to the state as it is now from one in which `changes` were made. */
function back(state, changes) {
  const { draft, selected } = state.desk;
  return { draft, selected, changes: Object.fromEntries(Object.keys(changes).map((id) => [id, state.objects[id] ?? null])) };
}

/** Undo or redo: the last entry of one pile is applied, and the way back is put on the other one. */
function moved(state, from, to) {
  const entry = state.desk[from][state.desk[from].length - 1];
  if (!entry) return state;
  const piles = { [from]: state.desk[from].slice(0, -1), [to]: [...state.desk[to], back(state, entry.changes)] };
  const draft = entry.draft && { ...entry.draft, accepting: false };
  return applied(state, { ...state.desk, ...piles, draft, selected: entry.selected }, entry.changes);
}

function applied(state, desk, changes) {
  if (!Object.keys(changes).length) return { ...state, desk };
  const objects = changed(state.objects, changes);
  const outbox = [...state.outbox, { image: state.image.id, changes }];
  const images = counted(state.images, state.image.id, Object.keys(objects).length);
  return { ...state, desk, objects, outbox, images };
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
  return state.outbox.filter((one) => one.image === image).reduce((all, one) => changed(all, one.changes), objects);
}

function counted(images, id, count) {
  return images.map((one) => (one.id === id && one.count !== count ? { ...one, count } : one));
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
