// What a score is: the number beside masks, in lists and in the review.

import { percent } from "./elements.js";

/** What it means. */
export const SCORE_MEANS = "The score is the model's own guess of how well a mask fits.";

/** What stands in place of a score where there is none: the mask was painted, or came from a file without scores. */
export const PAINTED = "painted";
export const NO_SCORE = "–";
export const NO_SCORE_MEANS = "It came from a file without scores: the model has not guessed how well it fits.";
export const PAINTED_MEANS = "Painted masks have no score: the model has not guessed how well they fit.";

/** Whether the mask of an object is what somebody painted or erased; a click after that has the model's answer. */
export const isPainted = ({ steps }) => Boolean(steps?.at(-1)?.painted);

/** The model's own guess may lie a little outside 0 to 1; null where it has not guessed. */
export const scoreText = (score) => (score === null ? NO_SCORE : percent(Math.min(Math.max(score, 0), 1)));

/** What is shown, read out and explained for a mask: {text, spoken, means}. */
export function scoreOf(score, isPaintedMask) {
  if (isPaintedMask) return { text: PAINTED, spoken: PAINTED, means: PAINTED_MEANS };
  if (score === null) return { text: NO_SCORE, spoken: "no score", means: NO_SCORE_MEANS };
  return { text: scoreText(score), spoken: `score ${scoreText(score)}`, means: SCORE_MEANS };
}
