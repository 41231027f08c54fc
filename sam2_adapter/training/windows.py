"""Training on windows: each image becomes the windows in which its objects would be answered.

A model that is tuned on windows sees things as large as prediction will show them. So the windows are planned by the same rule: around boxes,
in object sizes, and around clicks, in pixels; and each of them is then an image like any other, encoded once, kept and shared by its objects.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.annotations.rle import mask_to_rle, rle_to_mask
from sam2_adapter.config import Config
from sam2_adapter.config_views import LARGEST_WINDOW, SMALLEST_WINDOW
from sam2_adapter.evaluation.measure import first_click_prompt
from sam2_adapter.formats.sample import Sample
from sam2_adapter.images.read import MAX_PIXELS
from sam2_adapter.images.sources import Pixels
from sam2_adapter.models.network.preprocess import Geometry, ModelWindow
from sam2_adapter.predict.window import pixels_of
from sam2_adapter.predict.window_plan import OBJECT_SIZES, WindowRule, plan_windows
from sam2_adapter.text import plural
from sam2_adapter.training.variants import LEAST_VISIBLE

logger = logging.getLogger(__name__)

# With `auto`, windows of clicks are so many times as large as three quarters of the objects, in whole steps.
_CLICK_SIZES, _QUANTILE, _STEP = 3.0, 0.75, 8

_NO_LIMIT = 2**31


class _LastImage:
    """The image that was read last: windows of one image are read one after another."""

    def __init__(self) -> None:
        self._name, self._pixels = "", np.zeros((0, 0, 3), np.uint8)

    def read(self, sample: Sample, max_pixels: int) -> Pixels:
        name, pixels = self._name, self._pixels
        if name != sample.name:
            pixels = sample.read_image(max_pixels)
            self._name, self._pixels = sample.name, pixels
        return pixels


@dataclass(frozen=True, kw_only=True)
class WindowSample(Sample):
    """A window of a sample, as a sample.

    Attributes:
        whole: the sample.
        region: where the window lies in it.
        images: what reads it.
    """

    whole: Sample
    region: Region
    images: _LastImage = field(compare=False, repr=False)

    def read_image(self, max_pixels: int = MAX_PIXELS) -> Pixels:
        """The pixels of the window, as `Sample.read_image`."""
        return np.ascontiguousarray(pixels_of(self.images.read(self.whole, max_pixels), self.region))


def window_of(config: Config, training: Sequence[Sample]) -> ModelWindow | None:
    """What a model is tuned on: the setting `window`, whose `auto` goes by the objects; `None` for whole images."""
    if config.window == "off":
        return None
    if config.window != "auto":
        return ModelWindow(OBJECT_SIZES, int(config.window))
    boxes = np.array([annotation.box_xyxy for sample in training for annotation in sample.objects], np.float64)
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    pixels = round(_CLICK_SIZES * float(np.quantile(longest, _QUANTILE)) / _STEP) * _STEP
    return ModelWindow(OBJECT_SIZES, min(max(pixels, 2 * SMALLEST_WINDOW), LARGEST_WINDOW))


def windows_of_samples(samples: Sequence[Sample], window: ModelWindow | None) -> list[Sample]:
    """The windows of all samples, or the samples themselves where there is no window."""
    if window is None:
        return list(samples)
    images = _LastImage()
    found = [entry for sample in samples for entry in _windows(sample, window, images)]
    logger.info("%s in %s", plural(len(found), "window"), plural(len(samples), "image"))
    return found


def _windows(sample: Sample, window: ModelWindow, images: _LastImage) -> list[Sample]:
    boxes = [Prompt(box_xyxy=annotation.box_xyxy) for annotation in sample.objects]
    clicks = [first_click_prompt(annotation) for annotation in sample.objects]
    # The sides of the square and of the mask do not matter where every prompt gets a window.
    geometry, rule = Geometry(sample.original_hw, 1), WindowRule(max_windows=_NO_LIMIT, model=window)
    found: list[Sample] = []
    for prompts in (boxes, clicks):
        for planned in plan_windows(prompts, geometry, (1, 1), rule).windows:
            objects = [_cut(sample.objects[position], planned.region) for position in planned.prompts]
            shown = tuple(entry for entry in objects if entry is not None)
            if shown:
                found.append(_sample(sample, planned.region, shown, images))
    return found


def _sample(whole: Sample, region: Region, objects: tuple[Annotation, ...], images: _LastImage) -> WindowSample:
    ignored = None
    if whole.ignored is not None:
        part = region.cut(rle_to_mask(whole.ignored))
        ignored = mask_to_rle(part) if part.any() else None
    name = f"{whole.name} {region}"
    return WindowSample(
        name, whole.image_path, region.size_hw, objects, ignored, whole=whole, region=region, images=images
    )


def _cut(annotation: Annotation, region: Region) -> Annotation | None:
    """An object as its window shows it; `None` where that is too little of it."""
    part = region.cut(annotation.mask)
    return replace(annotation, rle=mask_to_rle(part)) if part.sum() >= LEAST_VISIBLE * annotation.area else None
