"""Tokens of an image in a known order, as the graph of the image encoder carries them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from openvino import opset15 as ops

from sam2_adapter.models.engines.openvino.ops import concatenated, gather, reshape, shape_of, split
from sam2_adapter.models.engines.openvino.tokens import TokenOrder


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
