"""Before and after in pictures: the best, the median and the worst validation object."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image

from sam2_adapter.annotations.masks import clipped_to_box, mask_iou
from sam2_adapter.annotations.prompts import BoolArray, Prompt
from sam2_adapter.embeddings.keys import Image as Picture
from sam2_adapter.training.optim import put
from sam2_adapter.training.quality import ObjectQuality
from sam2_adapter.training.setup import Parts

# Around an object as much again is shown on each side as this share of its box.
_MARGIN = 0.4

_SHOWN_PX = 360
_PREDICTED = np.array([0, 114, 178], np.float32)
_TRUTH = (255, 200, 0)
_OPACITY = 0.5


@dataclass(frozen=True)
class Example:
    """One object before and after training, prompted with its exact box.

    Attributes:
        rank: which one it is: best, median or worst.
        sample: name of its image.
        label: its class.
        iou_before: IoU of the untouched model's mask.
        iou_after: IoU of the trained model's mask.
        before: picture as a data URL, the mask in blue and the outline of the truth in yellow.
        after: the same of the trained model.
    """

    rank: str
    sample: str
    label: str
    iou_before: float
    iou_after: float
    before: str
    after: str


def make_examples(
    parts: Parts,
    objects: Sequence[ObjectQuality],
    untouched: Mapping[str, torch.Tensor],
    trained: Mapping[str, torch.Tensor],
) -> list[Example]:
    """Show the objects whose mask from the exact box has the best, the median and the worst IoU with the trained model.

    Args:
        parts: the run; its model has the trained weights afterwards.
        objects: the trained model's validation.
        untouched: trained part of the model before training.
        trained: the same after training.
    """
    if not objects:
        return []
    ranked = sorted(objects, key=lambda item: item.box.mask_iou, reverse=True)
    chosen = {0: "best", len(ranked) // 2: "median", len(ranked) - 1: "worst"}
    masks = {}
    for when, weights in (("before", untouched), ("after", trained)):
        put(parts.parameters, weights)
        masks[when] = [_predicted(parts, ranked[position]) for position in chosen]
    ranks = zip(chosen.items(), masks["before"], masks["after"], strict=True)
    return [_example(parts, ranked[position], rank, before, after) for (position, rank), before, after in ranks]


def _predicted(parts: Parts, item: ObjectQuality) -> BoolArray:
    annotation = parts.samples[item.position].objects[item.box.object_index]
    embedding = parts.image_embedding(item.position)
    mask: BoolArray = parts.predictor.predict(embedding, [Prompt(box_xyxy=annotation.box_xyxy)]).masks[0, 0]
    return clipped_to_box(mask, annotation.box_xyxy) if parts.config.clip_to_box else mask


def _example(parts: Parts, item: ObjectQuality, rank: str, before: BoolArray, after: BoolArray) -> Example:
    sample = parts.samples[item.position]
    annotation = sample.objects[item.box.object_index]
    image, truth = sample.read_image(), annotation.mask
    pictures = [_picture(image, mask, truth, annotation.box_xyxy) for mask in (before, after)]
    ious = mask_iou(sample.counted(before), truth), mask_iou(sample.counted(after), truth)
    return Example(rank, sample.name, annotation.label, *ious, *pictures)


def _picture(image: Picture, mask: BoolArray, truth: BoolArray, box_xyxy: tuple[int, int, int, int]) -> str:
    window = _window(box_xyxy, image.shape)
    shown, scale = _enlarged(image[window])
    tinted = _resized(mask[window], shown)[..., None] * _OPACITY
    picture = (shown * (1 - tinted) + _PREDICTED * tinted).round().astype(np.uint8)
    outline = cv2.findContours(_resized(truth[window], shown).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outline[0], -1, _TRUTH, max(2, round(scale / 4)))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _window(box_xyxy: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """A square around a box with a margin, as far as the image has one."""
    x0, y0, x1, y1 = box_xyxy
    longer = max(x1 - x0, y1 - y0)
    side = longer + 2 * max(4, round(_MARGIN * longer))
    return _span(y0, y1, side, shape[0]), _span(x0, x1, side, shape[1])


def _span(start: int, stop: int, length: int, limit: int) -> slice:
    """`length` pixels around start to stop, moved into 0 to `limit`; all of them where there are fewer."""
    length = min(length, limit)
    first = min(max(0, (start + stop - length) // 2), limit - length)
    return slice(first, first + length)


def _enlarged(image: Picture) -> tuple[Picture, float]:
    scale = _SHOWN_PX / max(image.shape[:2])
    width, height = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method).astype(np.uint8, copy=False), scale


def _resized(mask: BoolArray, like: Picture) -> BoolArray:
    values = mask.astype(np.uint8)
    resized = cv2.resize(values, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_NEAREST)
    found: BoolArray = resized > 0
    return found
