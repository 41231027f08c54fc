"""Answers in what is looked at of an image: all of it, a region, or windows of an image that is too large to be encoded whole.

Prompts and objects are in pixels of the whole image throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import FOREGROUND, Prompt, RefusedPrompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.annotations.rle import placed_mask_to_rle
from sam2_adapter.annotations.usable_prompts import UsablePrompts, fit_prompts
from sam2_adapter.errors import PromptError
from sam2_adapter.jobs.answers import ImageAnswer, answer, answer_usable, require_usable
from sam2_adapter.jobs.job_image import JobImage
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.predict.everything.segment_all import OnPoints
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import Segmentation, click_of
from sam2_adapter.predict.window import Frame, moved_logits
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.predict.windows import WindowedImage, prompts_without_window


def answer_opened(
    predictor: Predictor,
    opened: JobImage,
    embedding: ImageEmbedding | None,
    prompts: Sequence[Prompt | RefusedPrompt],
    options: PredictOptions,
    on_points: OnPoints | None = None,
) -> ImageAnswer:
    """Answer the prompts of an image; without any, in the zero-shot mode.

    Args:
        predictor: the model.
        opened: the image.
        embedding: its `pixels`, encoded; `None` where it has none.
        prompts: one per object, in pixels of the whole image.
        options: of the job.
        on_points: told how far the search for everything is.

    Raises:
        PromptError: none of the prompts can be used, or there are none and the image is too large for that.
    """
    if opened.region is not None:
        return _answered_in_region(predictor, opened, opened.region, embedding, prompts, options, on_points)
    if embedding is None:
        return _answered_in_windows(predictor, opened, prompts, options)
    return answer(predictor, opened.seen, embedding, prompts, options, on_points)


def _answered_in_windows(
    predictor: Predictor, opened: JobImage, prompts: Sequence[Prompt | RefusedPrompt], options: PredictOptions
) -> ImageAnswer:
    """Answer prompts of an image that is too large to be encoded whole; those without a window are refused, each for itself."""
    height, width = opened.original_hw
    if not prompts:
        raise PromptError(
            f"The image has {width}x{height} pixels, too many to look at all of it without prompts. Give the region to look at (region, on the "
            "command line --region X0,Y0,X1,Y1), or boxes."
        )
    settings = options.prediction
    if settings.window == "off":
        settings = replace(settings, window="auto")  # there is no other way to answer
    windowed = WindowedImage(opened.seen, WindowRule.of(settings, predictor.info.window))
    usable = fit_prompts(prompts, opened.original_hw, units=options.units)
    without = prompts_without_window(predictor, usable.prompts, windowed, options.max_pixels)
    asked = list(prompts)
    for index, reason in without.items():
        asked[usable.positions[index]] = RefusedPrompt(reason)
    return answer(predictor, opened.seen, None, asked, replace(options, prediction=settings))


def _answered_in_region(
    predictor: Predictor,
    opened: JobImage,
    region: Region,
    embedding: ImageEmbedding | None,
    prompts: Sequence[Prompt | RefusedPrompt],
    options: PredictOptions,
    on_points: OnPoints | None,
) -> ImageAnswer:
    """Answer prompts as if the region were the image, and put what is found back to its place."""
    usable = fit_prompts(prompts, opened.original_hw, units=options.units)
    refused, moved = dict(usable.refused), {}
    for position, prompt in zip(usable.positions, usable.prompts, strict=True):
        try:
            moved[position] = _in_region(predictor, prompt, region, opened.original_hw)
        except PromptError:
            refused[position] = f"It lies outside the region {region} that is looked at; give a larger region."
    if prompts and not moved:
        return require_usable(ImageAnswer(Segmentation((), (), ()), refused), prompts)
    found = answer_usable(
        predictor, opened.seen, embedding, list(moved.values()), options.prediction, "pixel", on_points
    )
    inner = found.segmentation
    if prompts:
        positions = list(moved)
        inner = inner.at_positions(positions)
        refused |= {positions[index]: reason for index, reason in found.refused_prompts.items()}
    return require_usable(
        ImageAnswer(_at_place(inner, region, opened.original_hw, usable), refused, usable.warnings), prompts
    )


def _in_region(predictor: Predictor, prompt: Prompt, region: Region, original_hw: tuple[int, int]) -> Prompt:
    """A prompt in pixels of the region; earlier logits, which are those of the whole image, are cut out as a mask is."""
    if prompt.mask_input is None:
        return region.prompt_in(prompt)
    frames = (Frame(place, predictor.geometry_of(place.size_hw)) for place in (Region.whole(original_hw), region))
    logits = moved_logits(prompt.mask_input, *frames)
    moved = region.prompt_in(replace(prompt, mask_input=logits))
    is_placed = moved.box_xyxy is not None or (moved.point_labels == FOREGROUND).any() or (logits > 0).any()
    if not is_placed:
        raise PromptError(f"Nothing of the prompt lies in the region {region}: {prompt!r}.")
    return moved


def _at_place(found: Segmentation, region: Region, original_hw: tuple[int, int], usable: UsablePrompts) -> Segmentation:
    """The objects of a region as objects of the image."""
    annotations = tuple(_moved(entry, region, original_hw) for entry in found.annotations)
    by_position = dict(zip(usable.positions, usable.prompts, strict=True))
    asked = tuple(_prompt_of(entry, by_position, region) for entry in annotations)
    return replace(found, annotations=annotations, prompts=asked)


def _moved(entry: Annotation, region: Region, original_hw: tuple[int, int]) -> Annotation:
    x0, y0, _, _ = entry.box_xyxy
    rle = placed_mask_to_rle(entry.mask_in_box, (region.x0 + x0, region.y0 + y0), original_hw)
    point = entry.point_xy
    return replace(entry, rle=rle, point_xy=None if point is None else (region.x0 + point[0], region.y0 + point[1]))


def _prompt_of(entry: Annotation, by_position: Mapping[int, Prompt], region: Region) -> Prompt:
    if entry.point_xy is not None:
        return click_of(entry.point_xy)
    asked = by_position.get(entry.prompt_index or 0)
    return Prompt(box_xyxy=(region.x0, region.y0, region.x1, region.y1)) if asked is None else asked
