"""`MaskPrediction`, the result of one prediction, and pure operations on masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.prompts import BoolArray, FloatArray, rotated_box_corners
from sam2_adapter.arguments import path_of, truth_value
from sam2_adapter.errors import ExportError
from sam2_adapter.files import refuse_to_replace, write_file
from sam2_adapter.text import plural

# Scores that a short description shows.
_SHOWN_SCORES = 5


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """The masks of all objects of one image, checked when built.

    Attributes:
        masks: bool O x M x H x W (objects, masks per object, original height and width).
        iou_scores: float32 O x M, the model's estimate of each mask's IoU; not clamped.
        low_res_logits: float32 O x M x h x w in the model's frame; usable as `Prompt.mask_input`.
    """

    masks: BoolArray
    iou_scores: FloatArray
    low_res_logits: FloatArray

    def __post_init__(self) -> None:
        """Check that the three arrays describe the same objects and masks."""
        expected = self.masks.shape[:2]
        if self.masks.ndim != 4 or self.masks.dtype != np.bool_:
            raise ValueError(
                f"masks: expected bool O x M x H x W, but got {self.masks.dtype} of shape {self.masks.shape}"
            )
        if self.iou_scores.shape != expected:
            raise ValueError(f"iou_scores: expected shape {expected}, but got {self.iou_scores.shape}")
        if self.low_res_logits.ndim != 4 or self.low_res_logits.shape[:2] != expected:
            raise ValueError(f"low_res_logits: expected shape {expected} + (h, w), but got {self.low_res_logits.shape}")

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.masks)

    def __repr__(self) -> str:
        """How many masks of which size, and their scores."""
        objects, masks, height, width = self.masks.shape
        scores = ", ".join(f"{score:.2f}" for score in self.iou_scores.ravel()[:_SHOWN_SCORES].tolist())
        more = ", ..." if self.iou_scores.size > _SHOWN_SCORES else ""
        kinds = plural(objects, "object") + (f" x {masks} masks" if masks > 1 else "")
        return f"MaskPrediction({kinds}, {width}x{height} pixels, IoU scores {scores}{more})"

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the masks to a file, whole or not at all.

        Args:
            path: ends in `.npz` for the three arrays by their names; that of one object can be the `mask` of a prompts file. Or
                in `.png` for a label map: 0 for the background, objects from 1, each over the larger ones.
            overwrite: replace a file that is there.

        Raises:
            OutputExistsError: the file is there already.
            ExportError: another suffix, a label map of several masks per object or too many objects, or the file cannot be written.
        """
        path = path_of(path, "path", "a file", ExportError)
        if not truth_value(overwrite, "overwrite"):
            refuse_to_replace(path)
        suffix = Path(path).suffix.lower()
        if suffix == ".npz":
            write_file(
                path,
                lambda file: np.savez_compressed(
                    file, masks=self.masks, iou_scores=self.iou_scores, low_res_logits=self.low_res_logits
                ),
            )
        elif suffix == ".png":
            content = cv2.imencode(".png", self._label_map(path))[1].tobytes()
            write_file(path, lambda file: file.write(content))
        else:
            raise ExportError(
                f"{path}: masks are saved as .npz (arrays) or .png (label map), not as {suffix or 'this'}."
            )

    def _label_map(self, path: str | Path) -> npt.NDArray[np.unsignedinteger]:
        objects, masks = self.masks.shape[:2]
        if masks != 1 or objects > np.iinfo(np.uint16).max:
            raise ExportError(
                f"{path}: a label map holds one mask for each of at most 65,535 objects, but there are {objects} objects with {masks} "
                "masks each; save them as .npz."
            )
        label_map = np.zeros(self.masks.shape[2:], np.uint8 if objects < 256 else np.uint16)
        for index in np.argsort(-self.masks.sum(axis=(1, 2, 3)), kind="stable").tolist():
            label_map[self.masks[index, 0]] = index + 1
        return label_map


def box_region(
    original_hw: tuple[int, int], box_xyxy: tuple[float, float, float, float], angle: float = 0.0
) -> BoolArray:
    """The pixels whose centres lie inside a box.

    Args:
        original_hw: (height, width) of the image.
        box_xyxy: (x0, y0, x1, y1) in pixels, half-open.
        angle: rotation of the box about its centre in degrees, clockwise on screen.

    Returns:
        bool H x W.
    """
    height, width = original_hw
    if angle:
        return _turned_box_region(original_hw, rotated_box_corners(box_xyxy, angle))
    x = np.arange(width, dtype=np.float64) + 0.5
    y = np.arange(height, dtype=np.float64) + 0.5
    x0, y0, x1, y1 = box_xyxy
    return ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None, :]


def clipped_to_box(mask: BoolArray, box_xyxy: tuple[float, float, float, float], angle: float = 0.0) -> BoolArray:
    """A mask, bool H x W, without what lies outside a box; arguments as in `box_region`."""
    height, width = mask.shape
    return mask & box_region((height, width), box_xyxy, angle)


def _turned_box_region(original_hw: tuple[int, int], corners: npt.NDArray[np.float64]) -> BoolArray:
    height, width = original_hw
    # Only the hull of the corners is computed: an image has far more pixels.
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
    x = np.arange(left, right, dtype=np.float64) + 0.5
    y = np.arange(top, bottom, dtype=np.float64) + 0.5
    region = np.zeros(original_hw, np.bool_)
    region[top:bottom, left:right] = _inside_parallelogram(x[None, :], y[:, None], corners)
    return region


def _inside_parallelogram(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], corners: npt.NDArray[np.float64]
) -> BoolArray:
    origin, along_width, along_height = corners[0], corners[1] - corners[0], corners[3] - corners[0]
    dx, dy = x - origin[0], y - origin[1]
    u = (dx * along_width[0] + dy * along_width[1]) / (along_width @ along_width)
    v = (dx * along_height[0] + dy * along_height[1]) / (along_height @ along_height)
    inside: BoolArray = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    return inside


def mask_to_box_xyxy(mask: BoolArray) -> tuple[int, int, int, int] | None:
    """The tight half-open box (x0, y0, x1, y1) around the set pixels of a bool H x W mask; `None` when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def looks_inverted(mask: BoolArray) -> bool:
    """Whether a bool H x W mask covers the whole border and most of the picture, but not everything, as a background does."""
    border = mask[0].all() and mask[-1].all() and mask[:, 0].all() and mask[:, -1].all()
    return bool(border and mask.size < 2 * np.count_nonzero(mask) < 2 * mask.size)


def mask_iou(first: BoolArray, second: BoolArray) -> float:
    """Intersection over union of two bool masks of one shape, in [0, 1]; two empty masks agree (1.0)."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def distances_to(region: BoolArray) -> FloatArray:
    """Distance of every pixel to the nearest pixel of a region, from centre to centre, in pixels.

    Each value is the float32 nearest to the root of a whole number: pixels that are equally far away have equal values, whichever machine
    computes them and wherever the mask lies in memory.

    Args:
        region: bool H x W with at least one pixel set.

    Returns:
        float32 H x W; 0 inside the region.
    """
    with _without_ipp():
        distances = cv2.distanceTransform((~region).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distances.astype(np.float32, copy=False)


@contextmanager
def _without_ipp() -> Iterator[None]:
    """Keep this thread's OpenCV off Intel's primitives, whose distances differ in the last bit with the position of the input in memory."""
    was_on = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(was_on)
