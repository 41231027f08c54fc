"""Prompting a model for the objects of one image and measuring its answers, a few objects at a time.

Pixels of the image's ignored region count in no measure and get no click.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sam2_adapter.annotations.clicks import Click, clicks_to_arrays, evaluation_click
from sam2_adapter.annotations.masks import box_region, clipped_to_box, mask_iou
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompt_sampling import jitter_box
from sam2_adapter.annotations.prompts import BoolArray, FloatArray, Prompt
from sam2_adapter.annotations.rle import mask_to_rle, rle_overlaps
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.evaluation.asking import Reply, ask, ask_again
from sam2_adapter.evaluation.metrics import boundary_f, inscribed_ellipse, mask_dice
from sam2_adapter.evaluation.proposals import assign, ious_by_count
from sam2_adapter.evaluation.scores import CLICKS_REPORTED, EvaluationSettings, ObjectScore, PromptMode
from sam2_adapter.formats.sample import Sample
from sam2_adapter.predict.everything.segment_all import segment_all
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.windows import WindowedImage

Box = tuple[float, float, float, float]

# In place of a mask that nobody looks at again.
_NO_MASK = np.zeros((0, 0), np.bool_)


def measure_image(
    predictor: Predictor,
    sample: Sample,
    objects: Sequence[int],
    embedding: ImageEmbedding,
    mode: PromptMode,
    settings: EvaluationSettings,
    clicked_to_the_end: Collection[int] | None = None,
    windowed: WindowedImage | None = None,
) -> list[ObjectScore]:
    """Measure one image with one kind of prompt.

    Args:
        predictor: the model.
        sample: the image's ground truth.
        objects: positions of the objects that are measured; masks are held against these only.
        embedding: the encoded image.
        mode: kind of prompt.
        settings: how prompts are made.
        clicked_to_the_end: the objects that get up to `settings.max_clicks` clicks, where the others get as many as are reported; by default
            all objects.
        windowed: the image's pixels, and which prompts are answered in windows; `None` for none.

    Returns:
        One row per object, in order; for `zero_shot` one row, about the object that the mask fits best.
    """
    if not objects:
        return []
    if mode == "zero_shot":
        return [_measure_zero_shot(predictor, sample, objects, embedding)]
    if mode == "everything":
        rows = _measure_everything(predictor, sample, objects, embedding, settings)
    elif mode == "clicks":
        fewer = min(settings.max_clicks, max(CLICKS_REPORTED))
        limits = [
            settings.max_clicks if clicked_to_the_end is None or index in clicked_to_the_end else fewer
            for index in objects
        ]
        rows = _measure_clicks(
            predictor, sample, dict(zip(objects, limits, strict=True)), embedding, settings, windowed
        )
    else:
        rows = _measure_once(predictor, sample, objects, embedding, mode, settings, windowed)
    return sorted(rows, key=lambda row: row.object_index)


def _measure_everything(
    predictor: Predictor,
    sample: Sample,
    objects: Sequence[int],
    embedding: ImageEmbedding,
    settings: EvaluationSettings,
) -> Iterator[ObjectScore]:
    """Find everything, and hold what was found against the objects, each with at most one."""
    chosen = EverythingSettings(**(settings.everything or {}))
    image = sample.read_image() if chosen.crop_n_layers or chosen.tile_size else None
    found = segment_all(predictor, image, embedding, chosen).annotations
    masks = [sample.counted(entry.mask) for entry in found]
    rles = [mask_to_rle(mask) for mask in masks]
    ious = rle_overlaps([sample.objects[index].rle for index in objects], rles)
    by_count = ious_by_count(ious)
    partner = assign(ious)
    for row, index in enumerate(objects):
        has_one = partner[row] >= 0
        mask = masks[partner[row]] if has_one else np.zeros(sample.original_hw, np.bool_)
        score = found[partner[row]].iou_score if has_one else 0.0
        truth = sample.objects[index]
        measured = _score(sample, index, truth.mask, mask, score, truth.box_xyxy)
        yield replace(measured, iou_by_count=tuple(by_count[row].tolist()), num_found=len(found))


def first_click_prompt(annotation: Annotation) -> Prompt:
    """The one click that an object is measured with, in its middle."""
    return _click_prompt([_first_click(annotation)])


def _measure_zero_shot(
    predictor: Predictor, sample: Sample, objects: Sequence[int], embedding: ImageEmbedding
) -> ObjectScore:
    prediction = predictor.predict(embedding)
    mask, score = sample.counted(prediction.masks[0, 0]), float(prediction.iou_scores[0, 0])
    best = max(objects, key=lambda index: mask_iou(mask, sample.objects[index].mask))
    height, width = sample.original_hw
    return _score(sample, best, sample.objects[best].mask, mask, score, (0.0, 0.0, float(width), float(height)))


def _measure_once(
    predictor: Predictor,
    sample: Sample,
    objects: Sequence[int],
    embedding: ImageEmbedding,
    mode: PromptMode,
    settings: EvaluationSettings,
    windowed: WindowedImage | None,
) -> Iterator[ObjectScore]:
    """One box or one click for every object, all objects in one call."""
    boxes = [_box(sample, index, settings) for index in objects]
    if mode == "box":
        prompts = [Prompt(box_xyxy=box) for box in boxes]
    else:
        prompts = [first_click_prompt(sample.objects[index]) for index in objects]
    for reply in ask(predictor, embedding, prompts, windowed):
        mask, index = reply.mask, objects[reply.position]
        if mode == "box" and settings.clip_to_box:
            mask = clipped_to_box(mask, boxes[reply.position])
        mask = sample.counted(mask)
        yield _score(sample, index, sample.objects[index].mask, mask, reply.iou_score, boxes[reply.position])


@dataclass
class _Clicked:
    """An object that is being clicked on."""

    index: int
    max_clicks: int
    clicks: list[Click]
    last: Reply | None = None
    ious: list[float] = field(default_factory=list)


def _measure_clicks(
    predictor: Predictor,
    sample: Sample,
    max_clicks: Mapping[int, int],
    embedding: ImageEmbedding,
    settings: EvaluationSettings,
    windowed: WindowedImage | None,
) -> Iterator[ObjectScore]:
    """Click on all objects, so many times at most, together: each round is one call with one more click for every object that is not good enough yet."""
    pending = [_Clicked(index, limit, [_first_click(sample.objects[index])]) for index, limit in max_clicks.items()]
    while pending:
        unfinished = []
        prompts = [
            _click_prompt(item.clicks, None if item.last is None else item.last.low_res_logits) for item in pending
        ]
        known = [item.last.window for item in pending if item.last is not None]
        for reply in ask_again(predictor, prompts, known) if known else ask(predictor, embedding, prompts, windowed):
            item, mask = pending[reply.position], sample.counted(reply.mask)
            gt_mask = sample.objects[item.index].mask
            item.ious.append(mask_iou(mask, gt_mask))
            click = _next_click(item, gt_mask, mask, settings)
            if click is None:
                box = sample.objects[item.index].box_xyxy
                yield _score(sample, item.index, gt_mask, mask, reply.iou_score, box, tuple(item.ious))
                continue
            item.clicks.append(click)
            item.last = replace(reply, mask=_NO_MASK)
            unfinished.append(item)
        pending = unfinished


def _next_click(item: _Clicked, gt_mask: BoolArray, mask: BoolArray, settings: EvaluationSettings) -> Click | None:
    """The next click; `None` when the object is good enough, has had all its clicks or has no error left to click."""
    is_good = item.ious[-1] >= settings.stop_iou and len(item.ious) >= max(CLICKS_REPORTED)
    if is_good or len(item.ious) >= item.max_clicks:
        return None
    return evaluation_click(gt_mask, mask, clicks_to_arrays(item.clicks)[0])


def _score(
    sample: Sample,
    index: int,
    gt_mask: BoolArray,
    mask: BoolArray,
    iou_score: float,
    box_xyxy: Box,
    iou_by_click: tuple[float, ...] = (),
) -> ObjectScore:
    """Hold a mask against the truth; both only of pixels that count."""
    annotation = sample.objects[index]
    box = sample.counted(box_region(sample.original_hw, box_xyxy))
    ellipse = sample.counted(inscribed_ellipse(sample.original_hw, box_xyxy))
    return ObjectScore(
        sample=sample.name,
        object_index=index,
        label=annotation.label,
        area_px=annotation.area,
        mask_iou=mask_iou(mask, gt_mask),
        dice=mask_dice(mask, gt_mask),
        boundary_f=boundary_f(mask, gt_mask),
        iou_score=iou_score,
        box_iou=mask_iou(box, gt_mask),
        ellipse_iou=mask_iou(ellipse, gt_mask),
        iou_by_click=iou_by_click,
    )


def _box(sample: Sample, index: int, settings: EvaluationSettings) -> Box:
    # A generator for each object: the same box whatever else is measured, in whatever order.
    rng = np.random.default_rng([settings.seed, zlib.crc32(sample.name.encode()), index])
    return jitter_box(sample.objects[index].box_xyxy, sample.original_hw, rng, jitter=settings.box_jitter)


def _first_click(annotation: Annotation) -> Click:
    click = evaluation_click(annotation.mask_in_box)
    assert click is not None  # annotations are never empty
    x0, y0, _, _ = annotation.box_xyxy
    return click._replace(x=click.x + x0, y=click.y + y0)


def _click_prompt(clicks: list[Click], logits: FloatArray | None = None) -> Prompt:
    coords, labels = clicks_to_arrays(clicks)
    return Prompt(point_coords=coords, point_labels=labels, mask_input=logits)
