"""Low-res logits that keep only what can become mask, and how they are upsampled to pixels of the image.

Upsampling is bilinear, so it is a product with one matrix for rows and one for columns, of the weights that `models/network/upsampling` has for
whole masks; only the sums are rounded in another order. A mask that fills a part of the picture costs that part only, in memory and in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sam2_adapter.annotations.prompts import BoolArray, FloatArray
from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.models.network.upsampling import side_of

# Cells around those above the threshold that upsampling can reach.
_MARGIN = 2


@dataclass(frozen=True, eq=False)
class CutLogits:
    """The part of low-res logits that is above a threshold, with a margin.

    Attributes:
        logits: float h x w, the part.
        row: of the low-res logits where the part begins.
        column: where it begins.
        inner: (top, left, bottom, right) cells of the part that are above the threshold, half-open.
    """

    logits: FloatArray
    row: int
    column: int
    inner: tuple[int, int, int, int]

    @classmethod
    def of(cls, logits: FloatArray, threshold: float) -> CutLogits | None:
        """Cut float32 h x w low-res logits; `None` where nothing is above the threshold."""
        above = logits > threshold
        rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
        if not len(rows):
            return None
        top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
        row, column = max(0, top - _MARGIN), max(0, left - _MARGIN)
        part = logits[row : bottom + _MARGIN, column : right + _MARGIN].copy()
        return cls(part, row, column, (top, left, bottom, right))


class FullSize:
    """Upsamples the low-res logits of one image."""

    def __init__(self, geometry: Geometry, low_res_hw: tuple[int, int]) -> None:
        """For logits of `low_res_hw` (h, w) cells of an image that lies in the model's square as `geometry` says."""
        sides = zip(geometry.original_hw, geometry.input_hw, low_res_hw, strict=True)
        square = geometry.image_size if geometry.resize == "pad" else None
        matrices = [_matrix(side, part, square, cells) for side, part, cells in sides]
        (self._rows, self._row_reach), (self._columns, self._column_reach) = matrices

    def __call__(self, cut: CutLogits) -> tuple[FloatArray, tuple[int, int]]:
        """The logits at full size around what is above the threshold that they were cut with.

        Returns:
            float32 h x w, and the pixel (x, y) of the image where they begin; 0 x 0 where no pixel of the image lies there.
        """
        x0, y0, x1, y1 = self._reached(cut)
        height, width = cut.logits.shape
        rows = self._rows[y0:y1, cut.row : cut.row + height]
        columns = self._columns[x0:x1, cut.column : cut.column + width]
        logits: FloatArray = (rows @ cut.logits.astype(np.float32)) @ columns.T
        return logits, (x0, y0)

    def reach(self, cut: CutLogits) -> tuple[int, int, int, int]:
        """The first and last pixel, (x0, y0, x1, y1), that what is above the threshold can reach."""
        x0, y0, x1, y1 = self._reached(cut)
        return x0, y0, x1 - 1, y1 - 1

    def _reached(self, cut: CutLogits) -> tuple[int, int, int, int]:
        top, left, bottom, right = cut.inner
        y0, y1 = _between(self._row_reach, top, bottom)
        x0, x1 = _between(self._column_reach, left, right)
        return x0, y0, x1, y1

    def mask(self, cut: CutLogits) -> tuple[BoolArray, tuple[int, int]]:
        """The mask, where the logits are above 0: bool h x w, and the pixel (x, y) where it begins."""
        logits, offset = self(cut)
        return logits > 0, offset


def _between(reach: tuple[np.ndarray, np.ndarray], start: int, end: int) -> tuple[int, int]:
    first, last = int(reach[0][start:end].min()), int(reach[1][start:end].max())
    return first, max(first, last)


@lru_cache(maxsize=8)
def _matrix(
    side: int, input_side: int, padded_square: int | None, cells: int
) -> tuple[FloatArray, tuple[np.ndarray, np.ndarray]]:
    """float32 pixels x cells, and for every cell the first pixel and the one past the last that it counts for."""
    if padded_square is None:
        matrix = _bilinear(side, cells)
    else:
        matrix = _bilinear(side, input_side) @ _bilinear(padded_square, cells)[:input_side]
    counts = matrix > 0
    is_used = counts.any(axis=0)
    first = np.where(is_used, counts.argmax(axis=0), side)
    last = np.where(is_used, side - counts[::-1].argmax(axis=0), 0)
    matrix.setflags(write=False)
    return matrix, (first, last)


def _bilinear(pixels: int, cells: int) -> FloatArray:
    """The matrix that resamples `cells` values to `pixels`, half-pixel centres, borders repeated."""
    side = side_of(pixels, cells)
    matrix = np.zeros((pixels, cells), np.float32)
    np.add.at(matrix, (np.arange(pixels), side.lower), 1 - side.weight)
    np.add.at(matrix, (np.arange(pixels), side.upper), side.weight)
    return matrix
