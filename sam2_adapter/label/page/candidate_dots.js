// That a single click or box may mean several masks, told beside the object under way: which of how many is shown, and the key for the next one.

import { shownAnswer, shownCandidates } from "./state.js";

const HEIGHT = 22;
const GAP = 8; // to the mask
const DOT = 3; // radius
const FONT = "12px system-ui, sans-serif";

/** Draws on the stage in CSS pixels; returns where it is and what it says: {x, y, width, height, text}, or null where there is nothing to tell. */
export function drawCandidates(stage) {
  const { state } = stage.store;
  const known = shownCandidates(state);
  const answer = known && shownAnswer(state);
  const shape = answer && stage.shape(answer.counts);
  if (!shape?.area || stage.brush?.isOn) return null;
  const { count, place } = known;
  const text = `${count ? `${place + 1} of ${count}` : "Other masks"}${stage.isTouched ? "" : ": Tab"}`;
  const { context } = stage;
  const ratio = devicePixelRatio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = FONT;
  const dots = count * (2 * DOT + 4);
  const width = Math.ceil(dots + context.measureText(text).width) + (count ? 22 : 20);
  const [x, y] = placeBeside(stage.view, shape.box, width);
  context.fillStyle = "rgba(20, 20, 22, .82)";
  context.beginPath();
  context.roundRect(x, y, width, HEIGHT, HEIGHT / 2);
  context.fill();
  context.strokeStyle = context.fillStyle = "#fff";
  context.lineWidth = 1.25;
  for (let index = 0; index < count; index++) {
    context.beginPath();
    context.arc(x + 12 + index * (2 * DOT + 4), y + HEIGHT / 2, DOT, 0, 2 * Math.PI);
    context.stroke();
    if (index === place) context.fill();
  }
  context.textBaseline = "middle";
  context.fillText(text, x + 10 + dots, y + HEIGHT / 2 + 0.5);
  stage.place(context);
  return { x, y, width, height: HEIGHT, text };
}

/** Below the box of a mask, or above it, or at its lower side where neither is in view. */
function placeBeside(view, [x0, y0, x1, y1], width) {
  const [left, top] = view.toScreen(x0, y0);
  const [right, bottom] = view.toScreen(x1, y1);
  const free = view.free();
  const x = Math.min(Math.max((left + right - width) / 2, free[0]), Math.max(free[2] - width, free[0]));
  const last = free[3] - HEIGHT;
  const above = top - GAP - HEIGHT;
  const y = bottom + GAP <= last ? bottom + GAP : above >= free[1] ? above : last;
  return [Math.round(x), Math.round(Math.max(y, free[1]))];
}
