"""Asking a model about an image as prediction does: on the whole image or in windows, once or click after click."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sam2_adapter.annotations.prompts import BoolArray, FloatArray, Prompt
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import Window, predict_window_parts
from sam2_adapter.predict.windows import PlacedAnswers, WindowedImage, predict_in_places


@dataclass(frozen=True, eq=False)
class Reply:
    """The answer to one prompt.

    Attributes:
        position: of the prompt.
        mask: bool H x W of the whole image.
        iou_score: the model's estimate.
        low_res_logits: of the window, for the next click.
        window: where it was answered, and where the next click on this object is.
    """

    position: int
    mask: BoolArray
    iou_score: float
    low_res_logits: FloatArray
    window: Window


def ask(
    predictor: Predictor, embedding: ImageEmbedding, prompts: Sequence[Prompt], windowed: WindowedImage | None
) -> Iterator[Reply]:
    """Answer first prompts; `windowed` as in `predict_in_places`."""
    for answers in predict_in_places(predictor, embedding, prompts, windowed):
        yield from _replies(answers)


def ask_again(predictor: Predictor, prompts: Sequence[Prompt], windows: Sequence[Window]) -> Iterator[Reply]:
    """Answer further clicks, each where its object was answered before; earlier logits are those of that window."""
    for window in {id(entry): entry for entry in windows}.values():
        members = [position for position, entry in enumerate(windows) if entry is window]
        for indices, part in predict_window_parts(predictor, window, [prompts[position] for position in members]):
            yield from _replies(PlacedAnswers([members[index] for index in indices], window, part))


def _replies(answers: PlacedAnswers) -> Iterator[Reply]:
    found, window = answers.prediction, answers.window
    for row, position in enumerate(answers.positions):
        mask = found.masks[row, 0] if window.is_whole else window.region.paste(found.masks[row, 0], window.image_hw)
        # A view would keep the whole part in memory.
        logits = np.array(found.low_res_logits[row, 0])
        yield Reply(position, mask, float(found.iou_scores[row, 0]), logits, window)
