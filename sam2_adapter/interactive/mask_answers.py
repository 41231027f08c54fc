"""`Answer`: one mask for what was pointed at. How a step becomes a prompt that refines the answer before it, and how the model's masks become answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sam2_adapter.annotations.masks import MaskPrediction
from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND, BoolArray, FloatArray, Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.annotations.rle import (
    Rle,
    mask_to_rle,
    placed_mask_to_rle,
    rle_inside,
    rle_outside,
    rle_to_mask,
    union_rle,
)
from sam2_adapter.interactive.steps import Step
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import Window, moved_logits, predict_in_window, predict_window_parts


@dataclass(frozen=True, eq=False)
class Answer:
    """One mask for what was pointed at.

    Attributes:
        rle: the mask in the size of the image, run-length encoded: the answers to many clicks on a large image are kept.
        iou_score: the model's estimate of the mask's IoU; not clamped.
        low_res_logits: float32 h x w, what the next click refines.
        is_cut: the mask reaches the edge of the view that it was asked in, so that the object may go on beyond it.
    """

    rle: Rle
    iou_score: float
    low_res_logits: FloatArray
    is_cut: bool = False

    @property
    def mask(self) -> BoolArray:
        """Bool H x W in the size of the image, decoded again at each call."""
        return rle_to_mask(self.rle)


@dataclass(frozen=True, eq=False)
class Taken:
    """A step that was taken: everything that was pointed at up to it, the answer, and where that was looked for."""

    prompt: Prompt
    answer: Answer
    window: Window


def answer_prompt(predictor: Predictor, embedding: ImageEmbedding | Window, prompt: Prompt) -> Answer:
    """The answer to one prompt, for callers that keep what was pointed at themselves.

    Args:
        predictor: the model.
        embedding: the encoded image, or a window of it.
        prompt: one object; `mask_input` or `mask` is the answer that it refines, the logits of one in the same window.

    Raises:
        PromptError: the prompt lies outside the image, or its mask has another size.
    """
    if not isinstance(embedding, Window):
        return Answer(*predictor.predict_rles(embedding, prompt)[0])
    found = predict_in_window(predictor, embedding, [prompt.fitted_to(embedding.image_hw)])
    return _with_rle(found, 0, mask_to_rle(found.masks[0, 0]))


def pointed(last: Taken | None, step: Step, window: Window) -> Prompt:
    """The prompt of a step: with the points and the box before it, and the answer to them, which is to be refined in a window."""
    if step.mask is not None:
        return Prompt(mask=rle_to_mask(step.mask))
    if step.box_xyxy is not None:
        changed: dict[str, object] = {"box_xyxy": step.box_xyxy}
    else:
        points = [] if last is None else last.prompt.point_coords.tolist()
        labels = [] if last is None else last.prompt.point_labels.tolist()
        label = FOREGROUND if step.foreground else BACKGROUND
        changed = {"point_coords": [*points, step.point_xy], "point_labels": [*labels, label]}
    if last is None:
        return Prompt(**changed)  # type: ignore[arg-type]
    logits = last.answer.low_res_logits
    if window is not last.window:
        logits = moved_logits(logits, last.window, window)
    return replace(last.prompt, mask=None, mask_input=logits, **changed)  # type: ignore[arg-type]


def answers_in(
    predictor: Predictor,
    window: Window,
    prompt: Prompt,
    before: Taken | None,
    multimask_output: bool | None = None,
    limit: tuple[int, int, int, int] | None = None,
) -> list[Answer]:
    """The masks that the model gives for a prompt in a window; what lies outside the window stays as in the earlier answer.

    Args:
        predictor: the model.
        window: where to look.
        prompt: one object.
        before: the step before.
        multimask_output: as in `Predictor.predict`.
        limit: the box that the masks end at; see `limit_of`.
    """
    found = _answers_in(predictor, window, prompt, before, multimask_output)
    return found if limit is None else [_limited(answer, limit, window.region) for answer in found]


def _limited(answer: Answer, limit: tuple[int, int, int, int], view: Region) -> Answer:
    """An answer that ends at a box, and so reaches the edge of the view only where the box does."""
    x0, y0, x1, y1 = limit
    is_in_view = view.x0 < x0 and view.y0 < y0 and x1 < view.x1 and y1 < view.y1
    return replace(answer, rle=rle_inside(answer.rle, limit), is_cut=answer.is_cut and not is_in_view)


def _answers_in(
    predictor: Predictor, window: Window, prompt: Prompt, before: Taken | None, multimask_output: bool | None
) -> list[Answer]:
    if window.is_whole:
        return [Answer(*found) for found in predictor.predict_rles(window.embedding, prompt, multimask_output)]
    # A view leaves out what lies outside it; what lies outside the image is refused as ever.
    ((_, found),) = predict_window_parts(predictor, window, [prompt.fitted_to(window.image_hw)], multimask_output)
    return [_answer_in_view(found, index, window, before) for index in range(found.masks.shape[1])]


def _answer_in_view(found: MaskPrediction, index: int, window: Window, before: Taken | None) -> Answer:
    """The answer of a prediction whose masks are those of a view; outside the view the earlier answer stays."""
    seen, region = found.masks[0, index], window.region
    part, inside = region.part_inside(seen, window.image_hw)
    rle = placed_mask_to_rle(part, (inside.x0, inside.y0), window.image_hw)
    if before is not None:
        rle = union_rle([rle, rle_outside(before.answer.rle, (inside.x0, inside.y0, inside.x1, inside.y1))])
    return _with_rle(found, index, rle, is_cut=region.cuts_off(seen, window.image_hw))


def _with_rle(found: MaskPrediction, index: int, rle: Rle, *, is_cut: bool = False) -> Answer:
    scores, logits = found.iou_scores[0, index], found.low_res_logits[0, index]
    return Answer(rle, float(scores), logits.copy(), is_cut)
