"""Low-res logits to masks of the image's size: where they are above 0 after bilinear upsampling.

    upsampled_masks(logits, (3000, 4000))    # all pixels, bool
    mask_bounds(logits, (3000, 4000))        # only where the mask begins and ends, at a small part of the cost

Both decide every pixel by the same arithmetic, so that they agree to the last bit, on every processor and wherever values lie in memory: first
between columns, then between rows, each product and each sum rounded to float32. Only what can be mask is computed: between cells that are all
above 0, or all not, so is every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Pixels that are computed together: their values stay in a processor's cache.
_PIXELS_AT_ONCE = 2**16

# Between two logits above this a product with a weight cannot vanish, so that every pixel between them is above 0.
_SURELY_ABOVE = np.float32(1e-25)


@dataclass(frozen=True, eq=False)
class Side:
    """How the pixels of one side of an image lie between the cells of the logits; centres count, and borders are repeated.

    Attributes:
        lower: int64 pixels, the cell before each pixel.
        upper: int64 pixels, the cell after it.
        weight: float32 pixels, how much the cell after it counts.
    """

    lower: IntArray
    upper: IntArray
    weight: FloatArray

    def reached(self, cells: IntArray) -> slice:
        """The pixels that lie before or after cells of rising numbers; a small image may have none there."""
        if not len(cells):
            return slice(0, 0)
        return slice(
            int(np.searchsorted(self.upper, cells[0])), int(np.searchsorted(self.lower, cells[-1], side="right"))
        )

    def between(self, values: FloatArray, pixels: slice, first_cell: int = 0) -> FloatArray:
        """Rows of cells, from `first_cell` on, to rows of pixels: cells x n to pixels x n."""
        before, after = self._parts(values, pixels, first_cell)
        before += after
        return before

    def is_above(self, values: FloatArray, pixels: slice, first_cell: int, found: BoolArray) -> None:
        """Where `between` is above 0, into `found`; a sum is above 0 where one part is above the other one's negative."""
        before, after = self._parts(values, pixels, first_cell, sign=-1)
        np.greater(before, after, out=found)

    def _parts(
        self, values: FloatArray, pixels: slice, first_cell: int, sign: int = 1
    ) -> tuple[FloatArray, FloatArray]:
        weight = self.weight[pixels, None]
        before, after = values[self.lower[pixels] - first_cell], values[self.upper[pixels] - first_cell]
        before *= 1 - weight
        after *= sign * weight
        return before, after


@lru_cache(maxsize=32)
def side_of(pixels: int, cells: int) -> Side:
    """How so many pixels lie between so many cells."""
    position = np.clip((np.arange(pixels) + 0.5) * (cells / pixels) - 0.5, 0, cells - 1)
    lower = np.floor(position).astype(np.int64)
    return Side(lower, np.minimum(lower + 1, cells - 1), (position - lower).astype(np.float32))


def upsampled(logits: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    """Float32 h x w logits, upsampled bilinearly to (height, width) pixels."""
    rows, columns = _sides(logits, size_hw)
    across = columns.between(_turned(logits), slice(None))
    return rows.between(_turned(across), slice(None))


def upsampled_masks(logits: FloatArray, size_hw: tuple[int, int]) -> BoolArray:
    """Masks of all pixels.

    Args:
        logits: float32 N x h x w.
        size_hw: (height, width) of the masks.

    Returns:
        bool N x height x width, where the upsampled logits are above 0.
    """
    masks = np.zeros((len(logits), *size_hw), np.bool_)
    for one, mask in zip(logits, masks, strict=True):
        _fill(one, mask)
    return masks


def _fill(logits: FloatArray, mask: BoolArray) -> None:
    """Set the pixels of a mask that are above 0; it is empty before."""
    is_above = logits > 0
    rows, columns = _sides(logits, mask.shape)
    y, x = (side.reached(np.flatnonzero(is_above.any(axis=axis))) for side, axis in ((rows, 1), (columns, 0)))
    if y.start >= y.stop or x.start >= x.stop:
        return
    first_cell, last_cell = rows.lower[y.start], rows.upper[y.stop - 1]
    across = columns.between(_turned(logits[first_cell : last_cell + 1]), x)
    across = _turned(across)
    step = max(1, _PIXELS_AT_ONCE // across.shape[1])
    for start in range(y.start, y.stop, step):
        part = slice(start, min(start + step, y.stop))
        rows.is_above(across, part, first_cell, mask[part, x])


def mask_bounds(logits: FloatArray, size_hw: tuple[int, int]) -> IntArray:
    """Where a mask changes, in the order of run lengths.

    Args:
        logits: float32 h x w.
        size_hw: (height, width) of the mask.

    Returns:
        int64, rising: positions, counted down the first column, then the second, at which a run of set pixels begins, and at every other one
        ends. The last may be height x width.
    """
    height = size_hw[0]
    rows, sides = _sides(logits, size_hw)
    x = sides.reached(np.flatnonzero((logits > 0).any(axis=0)))
    if x.start >= x.stop:
        return np.zeros(0, np.int64)
    columns = sides.between(_turned(logits), x)  # pixels x cells
    spans = _spans(height, logits.shape[0])
    before, after = columns[:, spans.lower], columns[:, spans.upper]
    is_on = (before > _SURELY_ABOVE) & (after > _SURELY_ABOVE)
    open_column, open_span = np.nonzero(~is_on & ~((before <= 0) & (after <= 0)))

    # The pixels of the spans that are neither on nor off.
    ends, number, y = _pixels_of(spans, open_span)
    weight = rows.weight[y]
    values = before[open_column, open_span][number] * (1 - weight)
    values += after[open_column, open_span][number] * weight
    is_set = values > 0

    # In the order of run lengths each span begins with a state and ends with one; a bound is where the state changes.
    at_start, at_end = is_on.ravel(), is_on.flatten()
    place = open_column * len(spans.start) + open_span
    at_start[place], at_end[place] = is_set[ends - spans.length[open_span]], is_set[ends - 1]
    starts = (np.arange(len(columns))[:, None] * height + spans.start).ravel()
    is_changed = at_start.copy()
    is_changed[1:] ^= at_end[:-1]
    inside = np.flatnonzero((is_set[1:] != is_set[:-1]) & (number[1:] == number[:-1])) + 1
    bounds = [starts[is_changed], open_column[number[inside]] * height + y[inside]]
    if at_end[-1]:
        bounds.append(np.array([len(columns) * height]))
    found: IntArray = np.sort(np.concatenate(bounds)) + x.start * height
    return found


def _turned(values: FloatArray) -> FloatArray:
    """The transpose in memory of its own; in blocks, several times as fast as a strided copy."""
    return np.asarray(cv2.transpose(values), np.float32)


def _sides(logits: FloatArray, size_hw: tuple[int, ...]) -> tuple[Side, Side]:
    """Those of the rows and of the columns."""
    height, width = size_hw
    return side_of(height, logits.shape[0]), side_of(width, logits.shape[1])


@dataclass(frozen=True, eq=False)
class _Spans:
    """Pixels of a column that lie between the same two cells: int64 each, the cells, the first pixel, how many."""

    lower: IntArray
    upper: IntArray
    start: IntArray
    length: IntArray


@lru_cache(maxsize=32)
def _spans(pixels: int, cells: int) -> _Spans:
    side = side_of(pixels, cells)
    lower, start, length = np.unique(side.lower, return_index=True, return_counts=True)
    return _Spans(lower, side.upper[start], start, length)


def _pixels_of(spans: _Spans, chosen: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """The pixels of some spans, one span after the other: where each span ends among them, and for each pixel its span and its row."""
    lengths = spans.length[chosen]
    ends = np.cumsum(lengths)
    number = np.repeat(np.arange(len(lengths)), lengths)
    return ends, number, np.arange(len(number)) - (ends - lengths)[number] + spans.start[chosen][number]
