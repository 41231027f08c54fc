"""`Rle`: a mask as COCO's compressed run-length encoding, small enough to keep hundreds of large masks.

Runs alternate between unset and set pixels, starting with unset, in column-major order (down the first column, then the
second). Reading is done here rather than in pycocotools, which trusts its input and only decodes whole images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from sam2_adapter.annotations.masks import mask_to_box_xyxy
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.errors import DataError
from sam2_adapter.text import shown

IntArray = npt.NDArray[np.int64]

# COCO writes five bits per character; more characters than this would not fit in 64 bits.
_MAX_CHARACTERS_A_RUN = 12


@dataclass(frozen=True)
class Rle:
    """A run-length encoded mask, checked when built.

    Attributes:
        counts: the runs in COCO's compressed text form.
        original_hw: (height, width) of the mask in pixels.
    """

    counts: str
    original_hw: tuple[int, int]

    def __post_init__(self) -> None:
        """Check that the runs cover the mask exactly."""
        height, width = checked_hw(self.original_hw)
        object.__setattr__(self, "original_hw", (height, width))
        covered = sum(_counts_to_runs(self.counts).tolist())
        if covered != height * width:
            raise DataError(
                f"RLE: the runs cover {covered} pixels, but a mask of {width}x{height} has {height * width}."
            )

    @property
    def area(self) -> int:
        """Number of set pixels."""
        starts, ends = _set_runs(self)
        return int((ends - starts).sum())

    @property
    def box_xyxy(self) -> tuple[int, int, int, int] | None:
        """The tight half-open box (x0, y0, x1, y1) around the set pixels; `None` when there are none."""
        starts, ends = _set_runs(self)
        if not len(starts):
            return None
        height = self.original_hw[0]
        x0, x1 = int(starts[0]) // height, int(ends[-1] - 1) // height + 1
        if (
            starts // height != (ends - 1) // height
        ).any():  # a run that goes on in the next column touches both borders
            return x0, 0, x1, height
        return x0, int((starts % height).min()), x1, int(((ends - 1) % height).max()) + 1


def runs_to_rle(runs: IntArray, original_hw: tuple[int, int]) -> Rle:
    """Compress runs.

    Args:
        runs: lengths in pixels, alternating between unset and set, starting with unset, column-major.
        original_hw: (height, width) of the mask.

    Raises:
        DataError: the runs are negative or do not cover the mask.
    """
    height, width = checked_hw(original_hw)
    lengths = [int(length) for length in runs]
    if min(lengths, default=0) < 0 or sum(lengths) != height * width:
        raise DataError(
            f"RLE: the runs must be positive and cover the {height * width} pixels of a mask of {width}x{height}."
        )
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": lengths}, height, width)
    return Rle(encoded["counts"].decode("ascii"), (height, width))


def mask_to_rle(mask: BoolArray) -> Rle:
    """Encode a bool H x W mask; exact.

    Raises:
        DataError: it is no array of two axes.
    """
    if getattr(mask, "ndim", None) != 2:
        raise DataError(f"RLE: a mask is a bool array of height x width, but got {shown(mask)}.")
    return placed_mask_to_rle(mask, (0, 0), (mask.shape[0], mask.shape[1]))


def placed_mask_to_rle(mask: BoolArray, offset_xy: tuple[int, int], original_hw: tuple[int, int]) -> Rle:
    """Encode the mask of an image of which only a part is given; exact, at the cost of that part.

    Args:
        mask: bool h x w, the part; nothing is set outside it.
        offset_xy: (x, y) pixel of the image where the part begins; the part lies inside the image.
        original_hw: (height, width) of the image.
    """
    height, width = original_hw
    box = mask_to_box_xyxy(mask)
    if box is None:
        return runs_to_rle(np.array([height * width]), (height, width))
    x0, y0, x1, y1 = box
    columns = np.zeros((x1 - x0, y1 - y0 + 2), np.bool_)
    columns[:, 1:-1] = mask[y0:y1, x0:x1].T
    column, row = np.divmod(np.flatnonzero(columns[:, 1:] != columns[:, :-1]), y1 - y0 + 1)
    return bounds_to_rle(
        _without_empty_runs((offset_xy[0] + x0 + column) * height + offset_xy[1] + y0 + row), original_hw
    )


def bounds_to_rle(bounds: IntArray, original_hw: tuple[int, int]) -> Rle:
    """Encode a mask of which the places are known where it changes.

    Args:
        bounds: rising positions, column-major, at which a run of set pixels begins, and at every other one ends.
        original_hw: (height, width) of the mask.
    """
    height, width = original_hw
    runs = np.diff(np.concatenate([[0], bounds, [height * width]]))
    return runs_to_rle(runs if runs[-1] else runs[:-1], original_hw)


def union_rle(rles: Sequence[Rle]) -> Rle:
    """The pixels that are set in any of one or more masks of one size, without decoding them."""
    if len(rles) == 1:
        return rles[0]
    merged = coco_mask.merge([_encoded(rle) for rle in rles])
    return Rle(merged["counts"].decode("ascii"), rles[0].original_hw)


def rle_inside(rle: Rle, box_xyxy: tuple[int, int, int, int]) -> Rle:
    """The pixels of a mask that lie in a box (x0, y0, x1, y1) of whole pixels, without decoding it."""
    return _common(rle, bounds_to_rle(_without_empty_runs(_box_bounds(box_xyxy, rle.original_hw)), rle.original_hw))


def rle_outside(rle: Rle, box_xyxy: tuple[int, int, int, int]) -> Rle:
    """The pixels of a mask that lie outside a box (x0, y0, x1, y1) of whole pixels, without decoding it."""
    height, width = rle.original_hw
    around = np.concatenate([[0], _box_bounds(box_xyxy, rle.original_hw), [height * width]])
    return _common(rle, bounds_to_rle(_without_empty_runs(around), rle.original_hw))


def coco_rings_to_rle(rings: Sequence[Sequence[float]], original_hw: tuple[int, int]) -> Rle:
    """Fill polygons the way COCO's own tools do, to a fifth of a pixel; all rings are parts, none a hole.

    Args:
        rings: x, y, x, y, ... each, in pixels along pixel edges, at least three points.
        original_hw: (height, width) of the mask.
    """
    height, width = original_hw
    filled = coco_mask.merge(coco_mask.frPyObjects([list(ring) for ring in rings], height, width))
    return Rle(filled["counts"].decode("ascii"), original_hw)


def rle_iou(first: Rle, second: Rle) -> float:
    """Intersection over union of two masks of one size, in [0, 1], without decoding them."""
    return float(rle_overlaps([first], [second])[0, 0])


def rle_overlaps(
    first: Sequence[Rle], second: Sequence[Rle], of: Literal["union", "first"] = "union"
) -> npt.NDArray[np.float64]:
    """The pixels that masks of one size share, without decoding them.

    Args:
        first: P masks.
        second: Q masks.
        of: as a share of the pixels in either (IoU), or of those of the first one.

    Returns:
        float64 P x Q in [0, 1].
    """
    if not first or not second:
        return np.zeros((len(first), len(second)))
    encoded = [_encoded(rle) for rle in first], [_encoded(rle) for rle in second]
    return np.asarray(coco_mask.iou(*encoded, [int(of == "first")] * len(second)), np.float64)


def rle_to_mask(rle: Rle) -> BoolArray:
    """Decode to a bool H x W mask; exact."""
    mask = np.zeros(rle.original_hw, np.bool_)
    box = rle.box_xyxy
    if box is not None:
        x0, y0, x1, y1 = box
        mask[y0:y1, x0:x1] = rle_to_mask_in_box(rle)
    return mask


def rle_to_mask_in_box(rle: Rle) -> BoolArray:
    """Decode only the part inside `rle.box_xyxy`, at the cost of that part.

    Returns:
        bool of the box's height x width; 0 x 0 for an empty mask.
    """
    box = rle.box_xyxy
    if box is None:
        return np.zeros((0, 0), np.bool_)
    x0, y0, x1, y1 = box
    height = rle.original_hw[0]
    bounds = np.stack(_set_runs(rle), axis=1).ravel() - x0 * height
    runs = np.diff(np.concatenate([[0], bounds, [(x1 - x0) * height]]))
    is_set = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(is_set, runs).reshape(x1 - x0, height).T[y0:y1])


def _box_bounds(box_xyxy: tuple[int, int, int, int], original_hw: tuple[int, int]) -> IntArray:
    """Where the runs of the part of a box that lies in the image begin and end, column by column; none where no part does."""
    height, width = original_hw
    x0, x1 = (min(max(x, 0), width) for x in box_xyxy[::2])
    y0, y1 = (min(max(y, 0), height) for y in box_xyxy[1::2])
    if x0 >= x1 or y0 >= y1:
        return np.zeros(0, np.int64)
    bounds: IntArray = (np.arange(x0, x1)[:, None] * height + np.array([y0, y1])).ravel()
    return bounds


def _common(first: Rle, second: Rle) -> Rle:
    """The pixels that are set in both masks."""
    kept = coco_mask.merge([_encoded(first), _encoded(second)], intersect=True)
    return Rle(kept["counts"].decode("ascii"), first.original_hw)


def _encoded(rle: Rle) -> dict[str, object]:
    return {"size": list(rle.original_hw), "counts": rle.counts.encode("ascii")}


def _set_runs(rle: Rle) -> tuple[IntArray, IntArray]:
    """First and one-past-last column-major positions of the non-empty runs of set pixels."""
    bounds = np.cumsum(_counts_to_runs(rle.counts))
    bounds = bounds[: len(bounds) // 2 * 2].reshape(-1, 2)
    bounds = bounds[bounds[:, 0] < bounds[:, 1]]
    return bounds[:, 0], bounds[:, 1]


def _without_empty_runs(bounds: IntArray) -> IntArray:
    # A run that ends at the foot of a column and goes on at the head of the next one is a single run.
    repeated = np.flatnonzero(bounds[1:] == bounds[:-1])
    return np.delete(bounds, np.concatenate([repeated, repeated + 1]))


def _counts_to_runs(counts: str) -> IntArray:
    """Parse COCO's compressed text.

    Numbers are little-endian groups of five bits; from the fourth on they are differences to the run before the last.
    The format is defined by rleToString in pycocotools' common/maskApi.c.
    """
    characters = _checked_characters(counts)
    is_last = (characters & 0x20) == 0
    ends = np.flatnonzero(is_last) + 1
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    if lengths.max() > _MAX_CHARACTERS_A_RUN:
        raise DataError("RLE: 'counts' holds a number that is too large.")
    position = np.arange(len(characters)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((characters & 0x1F) << (5 * position), starts)
    is_negative = (characters[ends - 1] & 0x10) != 0
    runs -= is_negative.astype(np.int64) << (5 * lengths)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    if (runs < 0).any():
        raise DataError("RLE: 'counts' holds a run of negative length.")
    return runs


def _checked_characters(counts: str) -> IntArray:
    if not isinstance(counts, str) or not counts or not counts.isascii():
        raise DataError(f"RLE: 'counts' is a text in COCO's compressed form, but got {repr(counts)[:40]}.")
    characters = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    if characters.min() < 0 or characters.max() > 0x3F or characters[-1] & 0x20:
        raise DataError(f"RLE: 'counts' is not in COCO's compressed form or is cut off: {counts[:40]!r}.")
    return characters


def checked_hw(original_hw: object, name: str = "RLE") -> tuple[int, int]:
    """(height, width) of a mask in whole pixels; `name` is what has it.

    Raises:
        DataError: they are something else, not positive, or of more pixels than run lengths count.
    """
    try:
        height, width = (_whole(value) for value in ("" if isinstance(original_hw, str) else original_hw))  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{name}: the size is (height, width) in whole pixels, but got {original_hw!r}.") from None
    if height < 1 or width < 1 or height * width >= 2**32:
        raise DataError(
            f"{name}: height and width must be positive and below 2**32 pixels together, but got {height} and {width}."
        )
    return height, width


def _whole(value: object) -> int:
    number = float(value)  # type: ignore[arg-type]
    if number != int(number):
        raise ValueError(value)
    return int(number)
