// The keyboard: one table, from which the help is written, too. A key that is held down runs what is `held` again and again.

import { SCORE_MEANS } from "./score.js";
import { singleStep } from "./state.js";

const MOVE_PX = 10;

/** What is in the help but not in the table of keys. */
export const POINTER_HELP = [
  ["Click", "The object is here"],
  ["Right click, or Shift + click", "This is not part of it"],
  ["Drag", "A box around the object"],
  ["Alt + click", "Point at something inside an accepted object"],
  ["Wheel", "Zoom at the pointer"],
  ["Middle button, or Space + drag", "Move the picture"],
  ["Touch", "Tap: inside. Long press: outside. Drag: box. Two fingers: move and zoom"],
  ["% of a mask", `${SCORE_MEANS} What was painted, or came from a file without scores, has none.`],
];

export function keyTable(commands, stage, actions) {
  return [
    { keys: ["Enter", " "], shown: "Enter or Space", help: "Accept the mask; edit what is selected", run: () => commands.enter() },
    { keys: ["Escape"], shown: "Esc", help: "Give up the object under way", run: () => actions.escape() },
    { keys: ["Tab"], shown: "Tab", help: "The next of the masks that a single click or box may mean", when: () => singleStep(commands.desk) !== null, run: () => commands.cycle() },
    { held: true, keys: ["z"], ctrl: true, shift: false, shown: "Ctrl + Z", help: "Undo", run: () => commands.undo() },
    { held: true, keys: ["y"], ctrl: true, run: () => commands.redo() },
    { held: true, keys: ["z"], ctrl: true, shift: true, shown: "Ctrl + Shift + Z", help: "Redo", run: () => commands.redo() },
    { keys: ["Backspace"], shown: "Backspace", help: "Take the newest click back; delete what is selected", run: () => backspace(commands) },
    { keys: ["Delete"], shown: "Delete", help: "Delete what is selected", run: () => commands.remove() },
    { keys: ["e"], shown: "E", help: "Edit what is selected", run: () => commands.desk.selected && commands.edit(commands.desk.selected) },
    { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shown: "1 to 9", help: "Label", run: (key) => label(commands, Number(key) - 1) },
    { keys: ["l", "/"], shown: "L", help: "Find a label, or make a new one", run: () => actions.findLabel() },
    { held: true, keys: ["d", "ArrowRight", "PageDown"], shown: "D or →", help: "Next picture", run: () => commands.next() },
    { held: true, keys: ["a", "ArrowLeft", "PageUp"], shown: "A or ←", help: "Picture before", run: () => commands.previous() },
    { keys: ["f"], shown: "F", help: "The picture is done: on to the next one that is not", run: () => actions.mark("done") },
    { keys: ["s"], shown: "S", help: "Skip the picture", run: () => actions.mark("skipped") },
    { keys: ["m"], shown: "M", help: "Repeat: the objects of the picture before, as proposals", run: () => actions.sameObjects() },
    { keys: ["r"], shown: "R", help: "Review: everything that was accepted", run: () => actions.review() },
    { keys: ["F2"], shown: "F2", help: "Rename or remove the label in use", run: () => actions.editLabel() },
    { keys: ["0"], shown: "0", help: "The whole picture", run: () => actions.fit() },
    { held: true, keys: ["+", "="], shown: "+ and −", help: "Zoom", run: () => actions.zoom(1.25) },
    { held: true, keys: ["-"], run: () => actions.zoom(0.8) },
    { keys: ["g"], shift: false, shown: "G", help: "Find all objects, as proposals; a click or a box accepts", run: () => actions.everything() },
    { keys: ["g"], shift: true, shown: "Shift + G", help: "Accept all proposals that are shown", run: () => stage.proposals.acceptAll() },
    { keys: ["p"], shift: false, shown: "P and W", help: "Brush, and eraser (wipe); again or Esc puts it away", run: () => stage.brush.toggle("brush") },
    { keys: ["w"], shift: false, run: () => stage.brush.toggle("eraser") },
    { held: true, keys: ["["], shown: "[ and ]", help: "Smaller and larger brush", run: () => stage.brush.resize(-1) },
    { held: true, keys: ["]"], run: () => stage.brush.resize(1) },
    { keys: ["p"], shift: true, shown: "Shift + P, W", help: "Fill the small holes, drop the specks that are marked in pink", run: () => stage.cleaning.clean("holes") },
    { keys: ["w"], shift: true, run: () => stage.cleaning.clean("specks") },
    { keys: ["u"], shift: true, shown: "Shift + U", help: "Cut off what accepted objects have already", run: () => stage.cleaning.clean("overlaps") },
    { keys: ["v"], shown: "V", help: "Look closely: the model sees the visible part, for small things", run: () => actions.toggle("inView") },
    { keys: ["h"], shown: "H", help: "Hide and show the masks", run: () => actions.toggle("hidden") },
    { keys: ["o"], shown: "O", help: "Outlines", run: () => actions.toggle("outlines") },
    { keys: ["k"], shown: "K", help: "Point with the keyboard: arrows move (Shift: one pixel), X inside, Shift + X inside an accepted object, C outside, B a box's corners", run: () => actions.toggleCursor() },
    { keys: ["x"], shift: true, when: () => stage.cursor, run: () => commands.click(...stage.cursor, { inside: true, through: true }) },
    { keys: ["x"], when: () => stage.cursor, run: () => commands.click(...stage.cursor, { inside: true, through: false }) },
    { keys: ["c"], when: () => stage.cursor, run: () => commands.click(...stage.cursor, { inside: false, through: false }) },
    { keys: ["b"], when: () => stage.cursor, run: () => actions.corner() },
    { keys: ["t"], shown: "T", help: "Teach the model what was accepted", run: () => actions.teach() },
    { keys: ["?"], shown: "?", help: "This help", run: () => actions.help() },
  ];
}

export function listenToKeys(table, stage, actions) {
  let wasSpaceDrag = false;
  addEventListener("pointerdown", () => {
    wasSpaceDrag = true;
    document.body.classList.remove("by-keyboard");
  });
  // Enter and Space stay with the picture after a button was pressed with the mouse; with the keyboard, the focus stays where it is.
  addEventListener("click", (event) => {
    if (event.detail && event.target.closest?.("button") && !document.querySelector("dialog[open]")) stage.canvas.focus({ preventScroll: true });
  }, { capture: true });
  addEventListener("keydown", (event) => {
    if (event.key === " ") wasSpaceDrag = false;
    if (isElsewhere(event)) return;
    if (stage.cursor && event.key.startsWith("Arrow")) {
      event.preventDefault();
      return actions.moveCursor(event.key.slice(5), event.shiftKey ? 1 : MOVE_PX);
    }
    const entry = found(event);
    if (entry && event.repeat && !entry.held) return event.preventDefault(); // a finger that stays too long does one thing
    if (!entry && event.key === "Tab") document.body.classList.add("by-keyboard"); // the focus moves: show where it is
    if (!entry) return;
    event.preventDefault();
    if (event.key !== " ") entry.run(event.key); // Space may become the start of a drag
  });
  addEventListener("keyup", (event) => {
    if (event.key !== " " || wasSpaceDrag || isElsewhere(event)) return;
    found(event)?.run(" ");
  });

  function found(event) {
    const hasCtrl = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    return table.find(
      (one) =>
        one.keys.includes(key) && Boolean(one.ctrl) === hasCtrl && !event.altKey &&
        (one.shift === undefined || one.shift === event.shiftKey) && (!one.when || one.when()),
    );
  }
}

/** Whether a key belongs to what has the focus: a field, a dialog, or a button that Enter and Space press. */
function isElsewhere(event) {
  const { target } = event;
  if (document.querySelector("dialog[open]")) return true;
  if (target.matches("input:not([type=range]), textarea, select")) return true;
  const isPress = event.key === " " || event.key === "Enter";
  if (isPress && target.matches("button, summary, a[href]")) return true;
  return target.matches("input[type=range]") && (event.key.startsWith("Arrow") || event.key === "Tab");
}

function label(commands, index) {
  const found = commands.state.labels[index];
  if (found) commands.label(found);
}

function backspace(commands) {
  if (commands.desk.draft) commands.undo();
  else commands.remove();
}
