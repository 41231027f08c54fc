"""What the user points at: one `Prompt` per object.

Coordinates are pixels of the original image: pixel (row i, column j) covers [j, j+1) x [i, i+1), x grows to the right, y downwards, and boxes
are half-open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_adapter.errors import PromptError

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

FOREGROUND = 1
BACKGROUND = 0


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
        set_field(self, "box_xyxy", _checked_box(self.box_xyxy))
        set_field(self, "box_angle", _checked_number("angle", self.box_angle))
        coords, labels = _checked_points(self.point_coords, self.point_labels)
        set_field(self, "point_coords", coords)
        set_field(self, "point_labels", labels)
        set_field(self, "mask_input", _checked_mask_input(self.mask_input))
        set_field(self, "mask", _checked_mask(self.mask))
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
                f"Box {_numbers(self.box_xyxy)} lies outside the image, which is {width}x{height} pixels."
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
            raise PromptError(f"A prompt is an object with keys such as 'box' or 'points', but got {_short(entry)}.")
        unknown = sorted(set(entry) - _ENTRY_KEYS)
        if unknown:
            raise PromptError(f"Unknown key {unknown[0]!r} in a prompt; the keys are {', '.join(sorted(_ENTRY_KEYS))}.")
        if "labels" in entry and "points" not in entry:
            raise PromptError("'labels' says which points are foreground, but this prompt has no 'points'.")
        points: Any = entry.get("points")
        coords: Any = () if points is None else points
        labels: Any = entry.get("labels")
        mask = entry.get("mask")
        is_logits = isinstance(mask, np.ndarray) and np.issubdtype(mask.dtype, np.floating)
        return cls(
            box_xyxy=entry.get("box"),
            box_angle=entry.get("angle", 0.0),
            point_coords=coords,
            point_labels=_default_labels(points) if labels is None else labels,
            mask_input=mask if is_logits else None,
            mask=None if is_logits else mask,
            label=_checked_text("label", entry.get("label")),
            attributes=_checked_attributes(entry.get("attributes")),
            object_id=_checked_text("object_id", entry.get("object_id")),
            parent_id=_checked_text("parent_id", entry.get("parent_id")),
        )


_ENTRY_KEYS = {"box", "angle", "points", "labels", "mask", "label", "attributes", "object_id", "parent_id"}


def as_prompts(prompts: Sequence[Prompt | Mapping[str, Any]] | None) -> list[Prompt]:
    """Bring `Prompt` objects and dicts of the prompts file's form to a list of `Prompt`.

    Raises:
        PromptError: an entry is malformed; the text names its position, counted from 0.
    """
    result = []
    for index, entry in enumerate(prompts or ()):
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


def _checked_box(box: Any) -> tuple[float, float, float, float] | None:
    if box is None:
        return None
    values = _as_array("box", box)
    if values.shape != (4,):
        raise PromptError(f"'box' is four numbers x0, y0, x1, y1, but got {_short(box)}.")
    x0, y0, x1, y1 = values.tolist()
    if not (x1 > x0 and y1 > y0):
        raise PromptError(
            f"Box {_numbers((x0, y0, x1, y1))} is empty: x1 must be greater than x0 and y1 greater than y0."
        )
    return x0, y0, x1, y1


def _checked_points(coords: Any, labels: Any) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    points = _as_array("points", coords)
    points = points.reshape(0, 2) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise PromptError(f"'points' is a list of [x, y] pairs, but got {_short(coords)}.")
    values = _as_array("labels", labels)
    if values.shape != (len(points),):
        raise PromptError(f"'labels' needs one value for each of the {len(points)} points, but got {_short(labels)}.")
    if not np.isin(values, (BACKGROUND, FOREGROUND)).all():
        raise PromptError(f"'labels' are 1 (foreground) or 0 (background), but got {_short(labels)}.")
    return points.astype(np.float32), values.astype(np.int64)


def _checked_mask_input(mask_input: Any) -> FloatArray | None:
    if mask_input is None:
        return None
    logits = np.asarray(mask_input)
    if logits.ndim != 2 or not np.issubdtype(logits.dtype, np.floating):
        raise PromptError(f"Earlier logits are a float array h x w, but got {logits.dtype} of shape {logits.shape}.")
    if not np.isfinite(logits).all():
        raise PromptError("Earlier logits must be finite, but some are NaN or infinite.")
    return logits.astype(np.float32)


def _checked_mask(mask: Any) -> BoolArray | None:
    if mask is None:
        return None
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
        raise PromptError(f"'mask' is a bool array of the image's height x width, but got {_short(mask)}.")
    if not mask.any():
        raise PromptError("The mask of the prompt is empty: no pixel is set.")
    return mask


def _as_array(key: str, value: Any) -> npt.NDArray[np.float64]:
    try:
        array: npt.NDArray[np.float64] = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise PromptError(f"'{key}' holds numbers only, but got {_short(value)}.") from None
    if not np.isfinite(array).all():
        raise PromptError(f"'{key}' must be finite numbers, but got {_short(value)}.")
    return array


def _checked_number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise PromptError(f"'{key}' is a finite number, but got {_short(value)}.")
    return float(value)


def _checked_text(key: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise PromptError(f"'{key}' is a text, but got {_short(value)}.")
    return value


def _checked_attributes(value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise PromptError(f"'attributes' is an object of names and values, but got {_short(value)}.")
    return value


def _default_labels(points: Any) -> Any:
    return [FOREGROUND] * (len(points) if isinstance(points, Sequence | np.ndarray) else 0)


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{v:g}" for v in values) + ")"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
