// What a score is: the number beside masks, in lists and in the review.

import { percent } from "./elements.js";

/** What it means. */
export const SCORE_MEANS = "The score is the model's own guess of how well a mask fits.";

/** The model's own guess may lie a little outside 0 to 1. */
export const scoreText = (score) => percent(Math.min(Math.max(score, 0), 1));
