"""Tokens sorted by windows."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.models.engines.openvino.tokens import Run, raster, windows


def test_windows_follow_each_other_and_those_at_the_edges_come_last():
    order = windows(5, 2, 1)
    assert order.runs == (Run(4, 4), Run(2, 2), Run(2, 2), Run(1, 1))
    whole = [0, 1, 5, 6, 2, 3, 7, 8, 10, 11, 15, 16, 12, 13, 17, 18]
    assert order.indices.tolist() == [*whole, 4, 9, 14, 19, 20, 21, 22, 23, 24]


@pytest.mark.parametrize(("side", "window"), [(8, 4), (8, 8), (8, 16), (12, 8), (14, 4), (10, 14), (12, 6)])
def test_pooling_takes_cells_and_keeps_the_windows(side, window):
    order = windows(side, window, 2)
    assert sorted(order.indices) == list(range(side * side))
    pooled = order.pooled(2)
    expected = windows(side // 2, window // 2, 2)
    assert pooled.runs == expected.runs
    assert np.array_equal(pooled.indices, expected.indices)
    values = np.arange(side * side)[order.indices]
    start = 0
    maxima = []
    for count, size in order.runs:
        maxima.append(values[start : start + count * size].reshape(count, 4, -1).max(1).ravel())
        start += count * size
    rows, columns = np.divmod(pooled.indices, side // 2)
    assert np.array_equal(np.concatenate(maxima), (2 * rows + 1) * side + 2 * columns + 1)


def test_a_window_larger_than_the_image_holds_all_of_it():
    order = windows(3, 8, 1)
    assert order.runs == (Run(1, 9),)
    assert np.array_equal(order.indices, raster(3).indices)


def test_positions_lead_from_one_order_to_another():
    order, other = windows(6, 4, 2), windows(6, 3, 1)
    values = np.random.default_rng(0).random(36)
    sorted_values = values[order.indices]
    assert np.array_equal(sorted_values[order.positions_of(other.indices)], values[other.indices])
    assert order.as_one_window().runs == (Run(1, 36),)
