"""`segment_image`: the masks of one image in one call, from Python."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.prompts import BoolArray, Prompt, as_prompts
from sam2_adapter.arguments import path_of, truth_value
from sam2_adapter.config import Config, given_config
from sam2_adapter.errors import ExportError, PromptError
from sam2_adapter.files import refuse_to_replace, write_file
from sam2_adapter.formats.coco.objects import write_coco
from sam2_adapter.formats.label_maps.objects import write_label_map
from sam2_adapter.images.sources import ImageSource, Pixels, as_pixels
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.modes import find_objects
from sam2_adapter.predict.predictor import ModelInfo, Predictor
from sam2_adapter.predict.segment import Segmentation
from sam2_adapter.reports.overlay import draw_overlay
from sam2_adapter.text import plural


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """An image and the objects that were found in it.

    Attributes:
        image: uint8 RGB H x W x 3, upright.
        name: what files call it.
        segmentation: its objects, their prompts, and the prompts without a mask.
        made_by: the model.
    """

    image: Pixels
    name: str
    segmentation: Segmentation
    made_by: ModelInfo

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The objects, in the order of the prompts."""
        return self.segmentation.annotations

    @property
    def masks(self) -> BoolArray:
        """Bool O x H x W, one mask per object."""
        empty = np.zeros((0, *self.image.shape[:2]), np.bool_)
        return np.concatenate([empty, *(entry.mask[None] for entry in self.annotations)])

    def overlay(self) -> Pixels:
        """The picture with masks, prompts, labels and scores drawn over it; uint8 RGB H x W x 3."""
        return draw_overlay(self.image, self.annotations, self.segmentation.prompts)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the objects to a file, whole or not at all.

        Args:
            path: ends in `.json` for COCO with run-length encoded masks, in `.png` for a label map (0 for the background, objects
                from 1), or in `.jpg` for the picture with the objects drawn over it.
            overwrite: replace a file that is there.

        Raises:
            OutputExistsError: the file is there already.
            ExportError: another suffix, or the file cannot be written.
        """
        path = path_of(path, "path", "a file", ExportError)
        if not truth_value(overwrite, "overwrite"):
            refuse_to_replace(path)
        annotated = AnnotatedImage(self.name, (self.image.shape[0], self.image.shape[1]), self.annotations)
        suffix = Path(path).suffix.lower()
        if suffix == ".json":
            write_coco(path, [annotated], self.made_by.name)
        elif suffix == ".png":
            write_label_map(path, annotated)
        elif suffix in (".jpg", ".jpeg"):
            content = io.BytesIO()
            Image.fromarray(self.overlay()).save(content, "JPEG", quality=92)
            write_file(path, lambda file: file.write(content.getvalue()))
        else:
            raise ExportError(
                f"{path}: objects are saved as .json (COCO), .png (label map) or .jpg (overlay), not as {suffix or 'this'}."
            )

    def __repr__(self) -> str:
        """Name, size and objects."""
        found = f"{plural(len(self.annotations), 'object')}, made by {self.made_by.name}"
        return f"SegmentedImage({self.name!r}, {self.image.shape[1]}x{self.image.shape[0]} pixels, {found})"


def segment_image(
    image: ImageSource,
    prompts: Sequence[Prompt | Mapping[str, Any]] | None = None,
    *,
    box: Sequence[float] | None = None,
    points: Sequence[Sequence[float]] | None = None,
    labels: Sequence[int] | None = None,
    model: str | Path | Predictor | None = None,
    config: Config | None = None,
) -> SegmentedImage:
    """Find the masks of objects in one image.

        found = sam2_adapter.segment_image("street.jpg", box=[40, 60, 300, 220])
        found.masks[0], found.annotations[0].iou_score
        found.save("street.jpg-overlay.jpg")

    Args:
        image: a path, the content of a file, a Pillow image, or an array, uint8 RGB H x W x 3 in 0..255.
        prompts: one entry per object, `Prompt` or a dict of the prompts file's form. Without any, and without box and points, the most
            prominent object is found.
        box: (x0, y0, x1, y1) in pixels of the upright image, around one object.
        points: (x, y) each, on one object; with a box, in it.
        labels: one per point, 1 on the object and 0 beside it; all 1 when left out.
        model: name, weights file or directory, or a predictor; `None` takes `model_cfg` of the configuration. The last model that was
            loaded by name is kept for the next call.
        config: settings, such as `clip_to_box`; `None` for the defaults.

    Raises:
        ImageError: the image cannot be read.
        PromptError: a prompt is malformed or lies outside the image, or there are prompts beside a box or points.
        ConfigError: an unknown name or setting.
        CheckpointError: the weights do not fit, or are not there and cannot be fetched.
    """
    config = given_config(config)
    asked = _prompts(prompts, box, points, labels)
    pixels = as_pixels(image)
    predictor = (
        model if isinstance(model, Predictor) else _kept_predictor(config.model_cfg if model is None else model, config)
    )
    found = find_objects(predictor, pixels, predictor.embed(pixels), asked, config.prediction)
    name = os.path.basename(image) if isinstance(image, str | Path) else "image"
    return SegmentedImage(pixels, name, found, predictor.info)


def segment_everything(
    image: ImageSource, *, model: str | Path | Predictor | None = None, config: Config | None = None
) -> SegmentedImage:
    """Find all objects in one image, without prompts.

        found = sam2_adapter.segment_everything("cells.png", config=Config(drop_contained=True))
        len(found.annotations), found.annotations[0].stability_score
        found.save("cells.json")

    Args:
        image: as in `segment_image`.
        model: as in `segment_image`.
        config: settings, such as `points_per_side`, `everything_mode` or `max_objects`; `None` for the defaults.

    Returns:
        The objects, best first. Each has its score, its stability and the point that found it; `segmentation.notes` says where there were
        more than `max_objects`.

    Raises:
        ImageError: the image cannot be read.
        ConfigError: an unknown name or setting.
        CheckpointError: the weights do not fit, or are not there and cannot be fetched.
    """
    config = given_config(config).model_copy(update={"without_prompts": "everything"})
    return segment_image(image, model=model, config=config)


def _prompts(
    prompts: Sequence[Prompt | Mapping[str, Any]] | None,
    box: Sequence[float] | None,
    points: Sequence[Sequence[float]] | None,
    labels: Sequence[int] | None,
) -> list[Prompt]:
    given = {name: value for name, value in (("box", box), ("points", points), ("labels", labels)) if value is not None}
    if prompts is not None and given:
        raise PromptError(f"Give prompts or {' and '.join(given)}, not both: a box and points are one more prompt.")
    return as_prompts([given] if given else prompts)


def _kept_predictor(model: str | Path, config: Config) -> Predictor:
    path_of(model, "model", "a weights file or directory, or the name of a model")
    changed = os.stat(model).st_mtime_ns if os.path.exists(model) else 0
    return _load(str(model), changed, config.device, config.runtime, config.precision)


@lru_cache(maxsize=1)
def _load(model: str, changed: int, device: str, runtime: str, precision: Any) -> Predictor:
    return load_predictor(model, device, runtime, precision)
