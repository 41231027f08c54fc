"""`Annotation`, one object with its mask, and `AnnotatedImage`, all objects of one image.

Every output format is written from these two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sam2_adapter.annotations.polygons import Polygon, mask_to_polygons, polygons_to_mask
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.annotations.rle import Rle, checked_hw, mask_to_rle, rle_to_mask, rle_to_mask_in_box
from sam2_adapter.arguments import instance_of, is_number
from sam2_adapter.errors import DataError
from sam2_adapter.text import shown

__all__ = [
    "AnnotatedImage",
    "Annotation",
    "Polygon",
    "Rle",
    "mask_to_polygons",
    "mask_to_rle",
    "polygons_to_mask",
    "rle_to_mask",
]


class AnnotationFacts(TypedDict, total=False):
    """What an annotation may say besides its label, its mask and its score; see `Annotation`."""

    attributes: Mapping[str, Any] | None
    object_id: str | None
    parent_id: str | None
    prompt_index: int | None
    stability_score: float | None
    point_xy: tuple[float, float] | None


@dataclass(frozen=True)
class Annotation:
    """One object of one image, checked when built. Its mask is never empty: an empty mask is no annotation.

    Attributes:
        label: class name.
        rle: the mask, run-length encoded in the size of the (upright) original image.
        iou_score: the model's estimate of the mask's IoU, in [0, 1]; 1 for an object that a person drew.
        attributes: free attributes of the object.
        object_id: identity of the object.
        parent_id: identity of the object's parent.
        prompt_index: position of the prompt that the object came from, counted from 0; `None` when it came from no
            prompt.
        stability_score: IoU of the mask at a higher and a lower threshold, in [0, 1]; `None` for an object of a prompt.
        point_xy: the point that an object without a prompt was found with, (x, y) in pixels; `None` for others.
    """

    label: str
    rle: Rle
    iou_score: float = 1.0
    attributes: Mapping[str, Any] | None = None
    object_id: str | None = None
    parent_id: str | None = None
    prompt_index: int | None = None
    stability_score: float | None = None
    point_xy: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.label, str) or not self.label:
            raise DataError(f"An annotation needs a label, a text that is not empty, but got {self.label!r}.")
        instance_of(self.rle, Rle, "rle", "the run lengths of a mask (Rle), which mask_to_rle makes", DataError)
        if not self.rle.area:
            raise DataError(
                f"The mask of an annotation with label {self.label!r} is empty; an object without pixels is no annotation."
            )
        object.__setattr__(self, "iou_score", _checked_score(self.iou_score))
        object.__setattr__(self, "attributes", _checked_attributes(self.attributes))
        for name in ("object_id", "parent_id"):
            _check_text(name, getattr(self, name))
        if self.stability_score is not None:
            object.__setattr__(self, "stability_score", _checked_score(self.stability_score, "stability score"))
        if self.point_xy is not None:
            object.__setattr__(self, "point_xy", _checked_point(self.point_xy))

    @classmethod
    def from_mask(
        cls, mask: BoolArray, label: str, iou_score: float = 1.0, **facts: Unpack[AnnotationFacts]
    ) -> Annotation:
        """Make an annotation of a mask.

        Args:
            mask: bool H x W in the size of the original image, at least one pixel set; look before you call
                (`mask.any()`).
            label: class name.
            iou_score: finite; clamped to [0, 1], since models estimate slightly outside.
            facts: the other attributes, by name.

        Raises:
            DataError: the mask is empty or no bool H x W array, or the score is not finite.
        """
        if getattr(mask, "ndim", None) != 2 or mask.dtype != bool:
            found = f"{mask.dtype} of shape {mask.shape}" if hasattr(mask, "dtype") else type(mask).__name__
            raise DataError(f"The mask of an annotation is a bool array of height x width, but got {found}.")
        return cls.from_rle(mask_to_rle(mask), label, iou_score, **facts)

    @classmethod
    def from_rle(cls, rle: Rle, label: str, iou_score: float = 1.0, **facts: Unpack[AnnotationFacts]) -> Annotation:
        """As `from_mask`, of a mask that is run-length encoded already."""
        if not is_number(iou_score) or not math.isfinite(iou_score):
            raise DataError(f"The IoU score of an annotation must be finite, but got {iou_score!r}.")
        return cls(label, rle, min(max(float(iou_score), 0.0), 1.0), **facts)

    def __repr__(self) -> str:
        """Label, score, area and box; the run lengths are long."""
        return f"Annotation({self.label!r}, IoU score {self.iou_score:.2f}, {self.area} px in {self.box_xyxy})"

    @property
    def mask(self) -> BoolArray:
        """Bool H x W in the size of the original image, decoded again at each call."""
        return rle_to_mask(self.rle)

    @property
    def mask_in_box(self) -> BoolArray:
        """The part of the mask inside `box_xyxy`; cheap for a small object of a large image."""
        return rle_to_mask_in_box(self.rle)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.rle.area

    @property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """The tight half-open box (x0, y0, x1, y1) in pixels of the original image."""
        box = self.rle.box_xyxy
        assert box is not None  # checked when built
        return box

    @property
    def given(self) -> dict[str, Any]:
        """Those of `attributes`, `object_id` and `parent_id` that the object has, plain data."""
        facts = {"attributes": self.attributes, "object_id": self.object_id, "parent_id": self.parent_id}
        return {name: value for name, value in facts.items() if value is not None}

    @property
    def found(self) -> dict[str, Any]:
        """How an object without a prompt was found, plain data: its `stability_score` and `point`; nothing for others."""
        facts = {
            "stability_score": self.stability_score,
            "point": None if self.point_xy is None else list(self.point_xy),
        }
        return {name: value for name, value in facts.items() if value is not None}

    @property
    def original_hw(self) -> tuple[int, int]:
        """(height, width) of the image in pixels."""
        return self.rle.original_hw

    def to_polygons(self, tolerance: float = 1.0) -> list[Polygon]:
        """The outlines of the mask, all parts and holes; see `mask_to_polygons`."""
        x0, y0, _, _ = self.box_xyxy
        return [part.moved(x0, y0) for part in mask_to_polygons(self.mask_in_box, tolerance)]


@dataclass(frozen=True)
class AnnotatedImage:
    """One image and its objects, checked when built.

    Attributes:
        file_name: name of the image, or its path below the image folder with forward slashes.
        original_hw: (height, width) of the upright image in pixels.
        annotations: the objects, possibly none.
    """

    file_name: str
    original_hw: tuple[int, int]
    annotations: tuple[Annotation, ...] = ()

    def __post_init__(self) -> None:
        """Check the name and that every mask has the image's size."""
        if not isinstance(self.file_name, str) or not self.file_name:
            raise DataError(f"An annotated image needs a file name, but got {self.file_name!r}.")
        height, width = checked_hw(self.original_hw, self.file_name)
        object.__setattr__(self, "original_hw", (height, width))
        object.__setattr__(self, "annotations", _checked_annotations(self.annotations, self.file_name))
        for index, annotation in enumerate(self.annotations):
            if annotation.original_hw != (height, width):
                mask_height, mask_width = annotation.original_hw
                raise DataError(
                    f"{self.file_name}: the mask of annotation {index} ({annotation.label!r}) is {mask_width}x{mask_height} pixels, "
                    f"but the image is {width}x{height}."
                )

    def named_annotations(self) -> Iterator[tuple[str, Annotation]]:
        """Every object with what messages call it, counted from 1: `street/a.jpg: object 2 ('dog')`."""
        for number, annotation in enumerate(self.annotations, start=1):
            yield f"{self.file_name}: object {number} ({annotation.label!r})", annotation


def _checked_annotations(given: Any, file_name: str) -> tuple[Annotation, ...]:
    entries = tuple(given) if isinstance(given, Iterable) else None
    if entries is None or not all(isinstance(entry, Annotation) for entry in entries):
        raise DataError(f"{file_name}: the annotations are a list of Annotation, but got {shown(given)}.")
    return entries


def _checked_score(score: Any, name: str = "IoU score") -> float:
    if not is_number(score) or not 0 <= score <= 1:
        raise DataError(f"The {name} of an annotation is a number from 0 to 1, but got {score!r}.")
    return float(score)


def _checked_point(point: Any) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in point)
    except (TypeError, ValueError):
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise DataError(f"The point of an annotation is (x, y) in pixels, but got {point!r}.")
    return x, y


def _checked_attributes(attributes: Any) -> dict[str, Any] | None:
    if attributes is None:
        return None
    if not isinstance(attributes, Mapping):
        raise DataError(f"The attributes of an annotation are names and values, but got {attributes!r}.")
    return dict(attributes)


def _check_text(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise DataError(f"The {name} of an annotation is a text, but got {value!r}.")
