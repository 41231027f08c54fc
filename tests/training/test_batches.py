"""Ground truth on the grid of the logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.training.batches import inside_on_grid, loss_grid_hw, mask_on_grid


def test_each_cell_holds_the_share_that_the_object_covers():
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = mask[4:, 4:] = True
    on_grid = mask_on_grid(mask, Geometry((8, 8), 16), (2, 2))
    assert torch.equal(on_grid, torch.tensor([[1 / 16, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("original_hw", [(100, 60), (37, 111), (20, 20), (300, 10)])
@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_area_is_kept(original_hw, resize):
    rng = np.random.default_rng(0)
    mask = rng.random(original_hw) > 0.5
    geometry = Geometry(original_hw, 64, resize)
    on_grid, inside = mask_on_grid(mask, geometry, (16, 16)), inside_on_grid(geometry, (16, 16))
    assert on_grid.min() >= 0
    assert on_grid.max() <= 1
    assert (on_grid <= inside + 1e-6).all()
    assert (on_grid.sum() / inside.sum()).item() == pytest.approx(mask.mean(), abs=0.03)


def test_padding_is_outside():
    inside = inside_on_grid(Geometry((30, 60), 64, "pad"), (16, 16))
    assert torch.equal(inside[:8], torch.ones(8, 16))
    assert not inside[8:].any()
    assert torch.equal(inside_on_grid(Geometry((30, 60), 64), (16, 16)), torch.ones(16, 16))


def test_targets_lie_where_prediction_puts_masks():
    """A mask brought to the grid, read as logits and brought back by the predictor's geometry, is the mask again."""
    mask = np.zeros((90, 120), bool)
    mask[20:70, 30:100] = True
    for resize in ("stretch", "pad"):
        geometry = Geometry((90, 120), 128, resize)
        logits = mask_on_grid(mask, geometry, (32, 32)) * 2 - 1
        (back,) = geometry.logits_to_masks(logits[None].numpy())
        assert (back & mask).sum() / (back | mask).sum() > 0.95


@pytest.mark.parametrize(("low_res", "least", "grid"), [(64, 128, 128), (64, 100, 128), (256, 128, 256), (32, 1, 32)])
def test_the_grid_of_the_loss_is_a_multiple_of_the_logits(low_res, least, grid):
    assert loss_grid_hw((low_res, low_res), least) == (grid, grid)
