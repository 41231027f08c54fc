// Other names of labels, and labels that go: what that does to the state, and how it is taken back. The server does the same to all pictures.

/** A change of labels with what is needed to take it back: the objects of the open picture that it changes. */
export function forth(state, change) {
  if (change.kind !== "rename") return change;
  const ids = Object.entries(state.objects).filter(([, object]) => object.label === change.label).map(([id]) => id);
  return { ...change, ids, isMerge: state.labels.includes(change.to) };
}

const INVERSE = { rename: "restore", restore: "rename", remove: "add", add: "remove" };

/** The change that takes another one back. */
export const inverse = (change) => ({ ...change, kind: INVERSE[change.kind] });

/** The state after a change of labels, which is to be saved. The server's answer has the exact list. */
export function relabelledState(state, change) {
  const changed = (before) => ({ ...before, ...KINDS[change.kind](before, change) });
  return withLabelsInUse(state, { ...changed(state), outbox: [...state.outbox, { relabel: change }] }, (label) => changed({ ...state, label }).label);
}

const KINDS = {
  rename: (state, { id, label, to, ids, isMerge }) => ({
    ...renamedList(state, label, to, isMerge),
    objects: relabelled(state.objects, ids, to),
    renamings: [...state.renamings.filter((one) => one.id !== id), { id, old: label, new: to, isRestored: false }],
    label: state.label === label ? to : state.label,
  }),
  restore: (state, { id, label, to, ids, isMerge }) => ({
    ...(isMerge ? {} : renamedList(state, to, label, false)),
    objects: relabelled(state.objects, ids, label),
    renamings: state.renamings.map((one) => (one.id === id ? { ...one, isRestored: true } : one)),
    label: state.label === to && !isMerge ? label : state.label,
  }),
  remove: (state, { label }) => without(state, label),
  add: (state, { label }) => (state.labels.includes(label) ? {} : { labels: [...state.labels, label], places: [...state.places, Math.max(-1, ...state.places) + 1] }),
};

function renamedList(state, old, name, isMerge) {
  return isMerge ? without(state, old) : { labels: state.labels.map((label) => (label === old ? name : label)) };
}

function without({ labels, places }, label) {
  return { labels: labels.filter((one) => one !== label), places: places.filter((_, index) => labels[index] !== label) };
}

function relabelled(objects, ids, label) {
  const after = { ...objects };
  for (const id of ids) if (after[id]) after[id] = { ...after[id], label };
  return after;
}

/** What a label is called by now, after the renamings that `known` does not have. */
export function nowCalled(label, renamings, known) {
  const isKnown = new Set(known.map(({ id }) => id));
  return renamings.reduce((name, one) => (!isKnown.has(one.id) && !one.isRestored && one.old === name ? one.new : name), label);
}

/** The label for what is accepted next: the one in use, as it is called by now, or the first one where it is gone. */
function labelInUse(before, after) {
  const name = nowCalled(after.label, after.renamings, before.renamings);
  const isGone = before.labels.includes(before.label) && !after.labels.includes(name);
  return isGone ? (after.labels[0] ?? "object") : name;
}

/** The state after a change of labels with the labels in use, here and on the pictures that were left; `labelOf` is what the change makes of one. */
function withLabelsInUse(before, after, labelOf) {
  const inUse = (label) => labelInUse({ ...before, label }, { ...after, label: labelOf(label) });
  const desks = Object.fromEntries(Object.entries(before.desks).map(([id, desk]) => [id, { ...desk, label: inUse(desk.label) }]));
  return { ...after, label: inUse(before.label), desks };
}

/** The state with the labels that the server has. */
export function withLabels(state, heard) {
  const news = Object.entries(heard).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(state[name]));
  if (!news.length) return state;
  return withLabelsInUse(state, { ...state, ...Object.fromEntries(news) }, (label) => label);
}
