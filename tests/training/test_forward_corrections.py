"""Correction clicks of training: at an error, in pixels of the model's square, and never in the padding."""

from __future__ import annotations

import numpy as np
import torch

from sam2_adapter.training.forward import correction_clicks
from sam2_adapter.training.losses import MaskTargets

GRID, IMAGE_SIZE = 8, 64
CELL = IMAGE_SIZE // GRID


def _targets(masks, height=GRID, width=GRID):
    inside = torch.zeros(len(masks), GRID, GRID)
    inside[:, :height, :width] = 1
    return MaskTargets(torch.stack(masks), inside)


def _grid(*cells, value=1.0):
    grid = torch.zeros(GRID, GRID)
    for y, x in cells:
        grid[y, x] = value
    return grid


def _clicks(logits, targets, seed=0):
    generators = [np.random.default_rng([seed, index]) for index in range(len(logits))]
    coords, labels = correction_clicks(logits, targets, IMAGE_SIZE, generators)
    return coords, labels


def _cells(coords):
    return [(int(y // CELL), int(x // CELL)) for x, y in coords[:, 0].tolist()]


def test_a_missed_cell_is_clicked_as_foreground_and_one_too_many_as_background():
    missed, too_many = _grid((2, 3)), _grid((2, 3))
    logits = torch.stack([_grid(value=0) - 1, _grid((2, 3), (6, 7)) - 0.5])
    seen = set()
    for seed in range(20):
        coords, labels = _clicks(logits, _targets([missed, too_many]), seed)
        assert (coords.shape, labels.shape, coords.dtype, labels.dtype) == (
            (2, 1, 2),
            (2, 1),
            torch.float32,
            torch.int64,
        )
        (first, second), (first_label, second_label) = _cells(coords), labels[:, 0].tolist()
        assert (first, first_label) == ((2, 3), 1)
        seen.add((second, second_label))
    # Some clicks are drawn from the object whatever the error is.
    assert ((6, 7), 0) in seen
    assert seen <= {((6, 7), 0), ((2, 3), 1)}


def test_nobody_clicks_into_the_padding():
    everywhere = torch.ones(1, GRID, GRID)
    for seed in range(30):
        coords, labels = _clicks(everywhere, _targets([_grid((0, 0))], height=4, width=6), seed)
        ((y, x),) = _cells(coords)
        assert y < 4
        assert x < 6
        assert labels.item() == int((y, x) == (0, 0))


def test_an_object_smaller_than_a_cell_is_where_it_covers_most():
    faint = _grid((1, 1), value=0.1) + _grid((5, 4), value=0.3)
    coords, labels = _clicks(torch.full((1, GRID, GRID), -1.0), _targets([faint]))
    assert (_cells(coords), labels.tolist()) == ([(5, 4)], [[1]])


def test_equal_generators_give_equal_clicks():
    logits, targets = torch.stack([_grid((1, 1)) - 0.5]), _targets([_grid((3, 3), (4, 4))])
    first, second = _clicks(logits, targets), _clicks(logits, targets)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_nobody_clicks_into_the_ignored_region():
    masks, inside = torch.zeros(1, 16, 16), torch.ones(1, 16, 16)
    masks[:, 4:8, 4:8] = 1
    inside[:, :4], inside[:, 8:], inside[:, :, :3] = 0, 0, 0
    targets = MaskTargets(masks, inside, inside == 0)
    for seed in range(20):
        coords, labels = correction_clicks(torch.ones(1, 16, 16), targets, 64, [np.random.default_rng(seed)])
        x, y = (coords[0, 0] / 4).long().tolist()
        assert inside[0, y, x] == 1
        assert labels.item() == masks[0, y, x]
