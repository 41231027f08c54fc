// What a score is: the number beside masks, in lists and in the review.

import { percent } from "./elements.js";

/** What it means. */
export const SCORE_MEANS = "The score is the model's own guess of how well a mask fits.";

/** What stands in place of a score where there is none. */
export const PAINTED = "painted";
export const PAINTED_MEANS = "Painted masks have no score: the model has not guessed how well they fit.";

/** Whether the mask of an object is what somebody painted or erased; a click after that has the model's answer. */
export const isPainted = ({ steps }) => Boolean(steps?.at(-1)?.painted);

/** The model's own guess may lie a little outside 0 to 1. */
export const scoreText = (score) => percent(Math.min(Math.max(score, 0), 1));
