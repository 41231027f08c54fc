"""What the user points at: one `Prompt` per object.

Coordinates are pixels of the original image: pixel (row i, column j) covers [j, j+1) x [i, i+1), x grows to the right, y downwards, and boxes
are half-open.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.prompt_values import (
    BACKGROUND,
    FOREGROUND,
    BoolArray,
    FloatArray,
    as_pairs,
    checked_attributes,
    checked_box,
    checked_mask,
    checked_mask_input,
    checked_number,
    checked_points,
    checked_text,
    default_labels,
    short,
    shown_numbers,
)
from sam2_adapter.errors import PromptError
from sam2_adapter.text import unknown_name

__all__ = [
    "BACKGROUND",
    "FOREGROUND",
    "BoolArray",
    "FloatArray",
    "Prompt",
    "RefusedPrompt",
    "Units",
    "as_prompts",
    "rotated_box_corners",
    "rotated_box_hull",
]

# What the coordinates of boxes and points are: pixels of the image, or fractions of its width and height.
Units = Literal["pixel", "fraction"]


@dataclass(frozen=True, eq=False)
class Prompt:
    """Everything that the user says about one object, checked when built.

    At least one of `box_xyxy`, `point_coords`, `mask_input` and `mask` is given; they combine freely, except that only one of the two mask
    inputs is allowed.

    Attributes:
        box_xyxy: (x0, y0, x1, y1) in pixels of the original image, x0 < x1 and y0 < y1, before rotation.
        box_angle: rotation of the box about its centre in degrees, positive from the x axis towards the y axis (clockwise on screen).
        point_coords: float32 N x 2, (x, y) pixels of the original image; N may be 0.
        point_labels: int64 N; 1 foreground, 0 background.
        mask_input: float32 h x w, low-res logits of an earlier prediction of the same model.
        mask: bool H x W, a mask in the original image's frame, converted to a mask input by the predictor.
        label: class name of the object; `None` takes the configuration's `default_label`.
        attributes: free attributes that travel to the object's mask.
        object_id: identity of the object, travels to its mask.
        parent_id: identity of the object's parent, travels to its mask.
    """

    box_xyxy: tuple[float, float, float, float] | None = None
    box_angle: float = 0.0
    point_coords: FloatArray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    point_labels: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    mask_input: FloatArray | None = None
    mask: BoolArray | None = None
    label: str | None = None
    attributes: Mapping[str, Any] | None = None
    object_id: str | None = None
    parent_id: str | None = None

    def __post_init__(self) -> None:
        """Check every field and bring the arrays to their types."""
        set_field = object.__setattr__
        set_field(self, "box_xyxy", checked_box(self.box_xyxy))
        set_field(self, "box_angle", checked_number("angle", self.box_angle))
        coords, labels = checked_points(self.point_coords, self.point_labels)
        set_field(self, "point_coords", coords)
        set_field(self, "point_labels", labels)
        set_field(self, "mask_input", checked_mask_input(self.mask_input))
        set_field(self, "mask", checked_mask(self.mask))
        set_field(self, "attributes", checked_attributes(self.attributes))
        for key in ("label", "object_id", "parent_id"):
            checked_text(key, getattr(self, key))
        self._check_combination()

    def _check_combination(self) -> None:
        if self.mask is not None and self.mask_input is not None:
            raise PromptError(
                "A prompt takes a mask or earlier logits, not both: leave one of 'mask' and 'mask_input' out."
            )
        if self.box_xyxy is None and not len(self.point_coords) and self.mask is None and self.mask_input is None:
            raise PromptError("A prompt needs at least one of 'box', 'points' and 'mask'; this one has none of them.")
        if self.box_angle and self.box_xyxy is None:
            raise PromptError(f"'angle' ({self.box_angle:g}) turns a box, but this prompt has no 'box'.")
        if not self.has_mask and self.box_xyxy is None and not (self.point_labels == FOREGROUND).any():
            raise PromptError(
                "All points of this prompt are background (label 0); add a foreground point (label 1) or a box."
            )

    def __repr__(self) -> str:
        """Only what is given; masks by their sizes."""
        given: dict[str, object] = {}
        if self.box_xyxy is not None:
            given["box"] = f"({', '.join(f'{value:g}' for value in self.box_xyxy)})"
        if self.box_angle:
            given["angle"] = f"{self.box_angle:g}"
        if len(self.point_coords):
            points = zip(self.point_coords.tolist(), self.point_labels.tolist(), strict=True)
            given["points"] = ", ".join(f"({x:g}, {y:g}) {'in' if label else 'out'}" for (x, y), label in points)
        for name, value in (("mask", self.mask), ("mask_input", self.mask_input)):
            if value is not None:
                given[name] = f"{value.shape[1]}x{value.shape[0]}"
        given |= {
            name: repr(value)
            for name in ("label", "attributes", "object_id", "parent_id")
            if (value := getattr(self, name)) is not None
        }
        return f"Prompt({'; '.join(f'{name} {value}' for name, value in given.items())})"

    @property
    def has_mask(self) -> bool:
        """Whether a mask or earlier logits are part of the prompt."""
        return self.mask is not None or self.mask_input is not None

    @property
    def is_single_click(self) -> bool:
        """Whether the prompt is one foreground point and nothing else, the ambiguous case of promptable segmentation."""
        return len(self.point_coords) == 1 and self.box_xyxy is None and not self.has_mask

    def is_whole_image(self, original_hw: tuple[int, int]) -> bool:
        """Whether the prompt is the box of the whole image of `original_hw` (height, width) and nothing else."""
        height, width = original_hw
        only_box = self.box_xyxy is not None and not len(self.point_coords) and not self.has_mask and not self.box_angle
        return only_box and self.box_xyxy == (0.0, 0.0, float(width), float(height))

    @property
    def box_hull(self) -> tuple[float, float, float, float] | None:
        """The upright box (x0, y0, x1, y1) around the turned box; `None` without a box."""
        return None if self.box_xyxy is None else rotated_box_hull(self.box_xyxy, self.box_angle)

    def fitted_to(self, original_hw: tuple[int, int]) -> Prompt:
        """The same prompt cut to an image of `original_hw` (height, width).

        A box that reaches over the border is cut at the border; rotated boxes keep their size.

        Raises:
            PromptError: a point or the whole box lies outside the image, or the mask has another size than the image.
        """
        height, width = original_hw
        self._check_points_inside(width, height)
        if self.mask is not None and self.mask.shape != (height, width):
            raise PromptError(
                f"The mask of the prompt is {self.mask.shape[1]}x{self.mask.shape[0]} pixels, but the image is {width}x{height}; "
                "give the mask in the size of the (upright) image."
            )
        return self._with_box(self._fitted_box(width, height))

    def _check_points_inside(self, width: int, height: int) -> None:
        for x, y in self.point_coords.tolist():
            if not (0 <= x <= width and 0 <= y <= height):
                raise PromptError(
                    f"Point ({x:g}, {y:g}) lies outside the image, which is {width}x{height} pixels; "
                    f"x must be within 0..{width} and y within 0..{height}."
                )

    def _fitted_box(self, width: int, height: int) -> tuple[float, float, float, float] | None:
        if self.box_xyxy is None:
            return None
        hull = rotated_box_hull(self.box_xyxy, self.box_angle)
        if hull[0] >= width or hull[1] >= height or hull[2] <= 0 or hull[3] <= 0:
            raise PromptError(
                f"Box {shown_numbers(self.box_xyxy)} lies outside the image, which is {width}x{height} pixels."
            )
        if self.box_angle:
            return self.box_xyxy
        x0, y0, x1, y1 = self.box_xyxy
        return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))

    def _with_box(self, box_xyxy: tuple[float, float, float, float] | None) -> Prompt:
        if box_xyxy == self.box_xyxy:
            return self
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Prompt(**{**values, "box_xyxy": box_xyxy})

    @classmethod
    def whole_image(cls, original_hw: tuple[int, int], label: str | None = None) -> Prompt:
        """The prompt of the zero-shot mode: the box of the whole image of `original_hw` (height, width)."""
        height, width = original_hw
        return cls(box_xyxy=(0.0, 0.0, float(width), float(height)), label=label)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Prompt:
        """Build a prompt from an entry of a prompts file, whose masks are arrays already (float logits or a bool mask).

        Args:
            entry: the keys `box`, `angle`, `points`, `labels`, `mask`, `label`, `attributes`, `object_id`, `parent_id`.

        Raises:
            PromptError: an unknown key, or a value of the wrong form; the text names the key.
        """
        if not isinstance(entry, Mapping):
            raise PromptError(f"A prompt is an object with keys such as 'box' or 'points', but got {short(entry)}.")
        unknown = sorted(set(entry) - ENTRY_KEYS)
        if unknown:
            raise PromptError(unknown_name("key of a prompt", unknown[0], sorted(ENTRY_KEYS)))
        if "labels" in entry and "points" not in entry:
            raise PromptError("'labels' says which points are foreground, but this prompt has no 'points'.")
        points: Any = as_pairs(entry.get("points"))
        coords: Any = () if points is None else points
        labels: Any = entry.get("labels")
        mask = entry.get("mask")
        is_logits = isinstance(mask, np.ndarray) and np.issubdtype(mask.dtype, np.floating)
        return cls(
            box_xyxy=entry.get("box"),
            box_angle=entry.get("angle", 0.0),
            point_coords=coords,
            point_labels=default_labels(points) if labels is None else labels,
            mask_input=mask if is_logits else None,
            mask=None if is_logits else mask,
            label=entry.get("label"),
            attributes=entry.get("attributes"),
            object_id=entry.get("object_id"),
            parent_id=entry.get("parent_id"),
        )


# What an entry of a prompts file may say.
ENTRY_KEYS = {"box", "angle", "points", "labels", "mask", "label", "attributes", "object_id", "parent_id"}


@dataclass(frozen=True)
class RefusedPrompt:
    """A prompt that cannot be used; it holds the prompt's position among those of its image.

    Attributes:
        reason: what is wrong with it, one sentence for the user.
    """

    reason: str


def as_prompts(prompts: Sequence[Prompt | RefusedPrompt | Mapping[str, Any]] | None) -> list[Prompt]:
    """Bring `Prompt` objects and dicts of the prompts file's form to a list of `Prompt`.

    Raises:
        PromptError: they are no list, or an entry is malformed or refused; the text names its position, counted from 0.
    """
    if isinstance(prompts, Prompt | Mapping | str | np.ndarray) or not isinstance(prompts, Iterable | None):
        raise PromptError(f"The prompts are a list of prompts, one for each object, but got {short(prompts)}.")
    result = []
    for index, entry in enumerate(prompts or ()):
        if isinstance(entry, RefusedPrompt):
            raise PromptError(f"Prompt {index}: {entry.reason}")
        try:
            result.append(entry if isinstance(entry, Prompt) else Prompt.from_dict(entry))
        except PromptError as error:
            raise PromptError(f"Prompt {index}: {error}") from error
    return result


def rotated_box_corners(box_xyxy: tuple[float, float, float, float], angle: float) -> npt.NDArray[np.float64]:
    """The corners of a box turned about its centre.

    Args:
        box_xyxy: (x0, y0, x1, y1) in pixels.
        angle: degrees, positive from the x axis towards the y axis (clockwise on screen).

    Returns:
        4 x 2 float64, (x, y) pixels, starting at the top left corner of the unturned box, clockwise on screen.
    """
    x0, y0, x1, y1 = box_xyxy
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)
    if not angle:
        return corners
    centre = corners.mean(axis=0)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turned: npt.NDArray[np.float64] = (corners - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre
    return turned


def rotated_box_hull(box_xyxy: tuple[float, float, float, float], angle: float) -> tuple[float, float, float, float]:
    """The upright box (x0, y0, x1, y1) around a box turned by `angle` degrees about its centre."""
    if not angle:
        return box_xyxy
    corners = rotated_box_corners(box_xyxy, angle)
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return x0, y0, x1, y1
