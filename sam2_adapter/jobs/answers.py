"""What a job makes of one image: the answer to its prompts, and what became of the image."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt, Units
from sam2_adapter.annotations.usable_prompts import fit_prompts
from sam2_adapter.config_views import PredictionSettings
from sam2_adapter.errors import PromptError, Sam2AdapterError
from sam2_adapter.images.sources import Pixels
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.models.engines.base import is_out_of_memory
from sam2_adapter.predict.everything.segment_all import OnPoints
from sam2_adapter.predict.modes import find_objects
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import Segmentation
from sam2_adapter.predict.window import RegionSource, hw_of

logger = logging.getLogger(__name__)

# An image whose prompts are all refused is told with the reasons of so many of them.
_MOST_REASONS = 3


@dataclass(frozen=True)
class ImageAnswer:
    """The objects of an image, and what could not be answered. Positions count from 0 among all prompts of the image.

    Attributes:
        segmentation: its objects; their `prompt_index` is the position.
        refused_prompts: position to reason of the prompts that cannot be used; the others were answered.
        warnings: position to a sentence on a prompt that was hardly meant so.
    """

    segmentation: Segmentation
    refused_prompts: Mapping[int, str] = field(default_factory=dict)
    warnings: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageResult:
    """What became of one image.

    Attributes:
        task: the image.
        segmentation: its objects; `None` when it failed.
        files: what was written for this image alone.
        seconds: time of its prompts and its files; of an image that failed, until it did.
        error: why it failed, one message that names the image; `None` when it did not.
        is_kept: whether it was done by an earlier run and only taken over.
        refused_prompts: as in `ImageAnswer`.
        warnings: as in `ImageAnswer`.
        notes: what of the file is not in the picture, such as "5 pages, of which the first one is read".
    """

    task: ImageTask
    segmentation: Segmentation | None
    files: tuple[Path, ...]
    seconds: float
    error: str | None = None
    is_kept: bool = False
    refused_prompts: Mapping[int, str] = field(default_factory=dict)
    warnings: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def answer(
    predictor: Predictor,
    image: Pixels | RegionSource,
    embedding: ImageEmbedding | None,
    prompts: Sequence[Prompt | RefusedPrompt],
    options: PredictOptions,
    on_points: OnPoints | None = None,
) -> ImageAnswer:
    """Answer the prompts of one image, as `answer_usable`.

    Raises:
        PromptError: none of the prompts can be used; the text numbers them from 1.
    """
    found = answer_usable(predictor, image, embedding, prompts, options.prediction, options.units, on_points)
    return require_usable(found, prompts)


def require_usable(found: ImageAnswer, prompts: Sequence[Prompt | RefusedPrompt]) -> ImageAnswer:
    """The answer to these prompts, of which at least one could be used.

    Raises:
        PromptError: none could; the text numbers them from 1.
    """
    if prompts and len(found.refused_prompts) == len(prompts):
        raise PromptError(told_prompts(found.refused_prompts, _MOST_REASONS))
    return found


def answer_usable(
    predictor: Predictor,
    image: Pixels | RegionSource,
    embedding: ImageEmbedding | None,
    prompts: Sequence[Prompt | RefusedPrompt],
    settings: PredictionSettings,
    units: Units = "pixel",
    on_points: OnPoints | None = None,
) -> ImageAnswer:
    """Answer those prompts of one image that can be used; without any prompt, in the zero-shot mode.

    Args:
        predictor: the model.
        image: uint8 RGB H x W x 3, or something that reads parts of it.
        embedding: the same, encoded whole; `None` where it is too large for that.
        prompts: one per object; one that cannot be used does not affect the others.
        settings: see `PredictionSettings`.
        units: of the coordinates.
        on_points: told how far the search for everything is.
    """
    usable = fit_prompts(prompts, hw_of(image), units=units)
    if prompts and not usable.prompts:
        return ImageAnswer(Segmentation((), (), ()), usable.refused)
    found = find_objects(predictor, image, embedding, usable.prompts, settings, on_points=on_points)
    if prompts:
        found = found.at_positions(usable.positions)
    return ImageAnswer(found, usable.refused, usable.warnings)


def told_prompts(reasons: Mapping[int, str], most: int | None = None) -> str:
    """Sentences on prompts, which people count from 1."""
    told = [f"prompt {position + 1}: {reason}" for position, reason in sorted(reasons.items())]
    more = len(told) - most if most is not None else 0
    return " ".join(told[:most]) + (f" And {more} more prompts cannot be used." if more > 0 else "")


def failed(task: ImageTask, error: Exception, seconds: float) -> ImageResult:
    """The result of an image that failed."""
    return ImageResult(task, None, (), seconds, task.named(reason_of_failure(error)))


def reason_of_failure(error: Exception) -> str:
    """Why an image failed, in one sentence; what nobody foresaw is logged with its traceback."""
    if isinstance(error, Sam2AdapterError):
        return str(error)
    if is_out_of_memory(error):
        return "not enough memory for this image."
    logger.debug("unexpected error", exc_info=error)
    return f"unexpected {type(error).__name__}: {error}"
