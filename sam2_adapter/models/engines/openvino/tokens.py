"""Order of an image's tokens in which the windows of attention are runs of tokens.

Norms, projections and residuals treat each token alone, and attention does not care in which order its keys come. So tokens are sorted by
windows once, instead of being cut into windows and put together again in every block.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from openvino import opset15 as ops

from sam2_adapter.models.engines.openvino.ops import concatenated, gather, reshape, shape_of, split

Indices = npt.NDArray[np.int64]


class Run(NamedTuple):
    """Windows of one size that follow each other.

    Attributes:
        num_windows: how many.
        num_tokens: of each; fewer than others where a window reaches beyond the image.
    """

    num_windows: int
    num_tokens: int


class TokenOrder(NamedTuple):
    """The tokens of a square image, window by window.

    Attributes:
        indices: row * side + column of each token.
        runs: the windows.
    """

    indices: Indices
    runs: tuple[Run, ...]

    @property
    def side(self) -> int:
        """Tokens along one side of the image."""
        return math.isqrt(len(self.indices))

    def as_one_window(self) -> TokenOrder:
        """The same order, all tokens in one window."""
        return TokenOrder(self.indices, (Run(1, len(self.indices)),))

    def pooled(self, stride: int) -> TokenOrder:
        """Order of cells of stride x stride tokens; `windows` was called with this stride."""
        area, start, firsts = stride * stride, 0, []
        for count, size in self.runs:
            stop = start + count * size
            firsts.append(self.indices[start:stop].reshape(count, area, -1)[:, 0].ravel())
            start = stop
        rows, columns = np.divmod(np.concatenate(firsts), self.side)
        cells = rows // stride * (self.side // stride) + columns // stride
        return TokenOrder(cells, tuple(Run(count, size // area) for count, size in self.runs))

    def positions_of(self, indices: Indices) -> Indices:
        """Where in this order tokens are."""
        positions = np.empty_like(self.indices)
        positions[self.indices] = np.arange(len(positions))
        return positions[indices]


def raster(side: int) -> TokenOrder:
    """Row by row, in one window."""
    return TokenOrder(np.arange(side * side), (Run(1, side * side),))


def windows(side: int, window: int, stride: int) -> TokenOrder:
    """Windows of window x window tokens, from the top left; those that reach beyond the image are smaller and come last.

    Each window is stride^2 equal parts that follow each other; the tokens at the same place of all parts are a cell of stride x stride. Each
    part is made of parts in the same way, as often as `stride` divides it, so that it is a window after pooling.
    """
    whole, rest = divmod(side, window)
    # Starts and length of windows along one side.
    spans = [(np.arange(whole) * window, window), (np.array([whole * window]), rest)]
    spans = [(starts, length) for starts, length in spans if len(starts) and length]
    indices, runs = [], []
    for (tops, height), (lefts, width) in product(spans, spans):
        corners = np.add.outer(tops * side, lefts).reshape(-1, 1)
        rows, columns = _cells(height, width, stride)
        indices.append((corners + rows * side + columns).ravel())
        runs.append(Run(len(corners), height * width))
    return TokenOrder(np.concatenate(indices), tuple(runs))


def _cells(height: int, width: int, stride: int) -> tuple[Indices, Indices]:
    """Rows and columns of the tokens of a window."""
    if stride == 1 or height % stride or width % stride:
        rows, columns = np.divmod(np.arange(height * width), width)
        return rows, columns
    rows, columns = _cells(height // stride, width // stride, stride)
    down, right = np.divmod(np.arange(stride * stride).reshape(-1, 1), stride)
    return (rows * stride + down).ravel(), (columns * stride + right).ravel()


class Tokens(NamedTuple):
    """Tokens and their order.

    Attributes:
        values: N x C.
        order: of the N tokens.
    """

    values: Any
    order: TokenOrder

    @property
    def channels(self) -> int:
        """C."""
        channels: int = self.values.get_output_shape(0)[1]
        return channels

    def sorted(self, order: TokenOrder) -> Tokens:
        """The same tokens in another order."""
        if np.array_equal(order.indices, self.order.indices):
            return Tokens(self.values, order)
        return Tokens(gather(self.values, self.order.positions_of(order.indices)), order)

    def windows(self) -> list[Any]:
        """The windows of each run, W x T x C."""
        runs = self.order.runs
        return [reshape(part, *run, -1) for part, run in zip(self._parts(), runs, strict=True)]

    def pooled(self, stride: int) -> Tokens:
        """Maxima of cells of stride x stride tokens; the order is of `windows` with this stride."""
        if stride == 1:
            return self
        parts = []
        for part, (count, _) in zip(self._parts(), self.order.runs, strict=True):
            maxima = ops.reduce_max(reshape(part, count, stride * stride, -1), shape_of(1), False)
            parts.append(reshape(maxima, -1, self.channels))
        return Tokens(concatenated(parts), self.order.pooled(stride))

    def _parts(self) -> list[Any]:
        """The tokens of each run."""
        return split(self.values, [count * size for count, size in self.order.runs])
