"""Ground truth on the grid of the logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.training.batches import (
    draw_question,
    draw_rounds,
    inside_on_grid,
    loss_grid_hw,
    mask_on_grid,
    targets_on_grid,
    training_objects,
)
from sam2_adapter.training.variants import VARIANTS
from tests.formats.folders import rectangle
from tests.training.small_run import small_config_of_run


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


def test_the_corrections_of_a_step_are_always_as_many_or_spread_over_all_doublings():
    fixed = small_config_of_run(correction_rounds=3)
    assert {draw_rounds(1, step, fixed) for step in range(20)} == {3}
    assert draw_rounds(1, 0, small_config_of_run(correction_rounds=0, correction_spread=True)) == 0
    spread = small_config_of_run(correction_rounds=15, correction_spread=True)
    drawn = np.array([draw_rounds(2, step, spread) for step in range(4000)])
    assert (drawn.min(), drawn.max()) == (1, 15)
    for low in (1, 2, 4, 8):
        assert ((drawn >= low) & (drawn < 2 * low)).mean() == pytest.approx(0.25, abs=0.03)
    assert [draw_rounds(2, step, spread) for step in range(50)] == drawn[:50].tolist()
    assert [draw_rounds(3, step, spread) for step in range(50)] != drawn[:50].tolist()


def test_corrected_objects_of_a_step_get_the_number_that_was_drawn():
    sample = Sample("a", "a.png", (32, 32), (Annotation.from_mask(rectangle(4, 4, 20, 20, (32, 32)), "x"),))
    (item,) = training_objects([sample])
    config = small_config_of_run(correction_share=1.0, correction_rounds=9)
    assert draw_question(item, 1, config, 64, 4).num_corrections == 4
    assert draw_question(item, 1, config, 64).num_corrections == 9
    assert draw_question(item, 1, small_config_of_run(correction_share=0.0), 64, 4).num_corrections == 0


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


def test_ignored_cells_do_not_count():
    """8 x 8 pixels on 2 x 2 cells: the object's share is that of the pixels that count."""
    mask, ignored = rectangle(0, 0, 2, 4, (8, 8)), rectangle(2, 0, 6, 4, (8, 8)) | rectangle(0, 4, 4, 8, (8, 8))
    targets = targets_on_grid(mask, ignored, Geometry((8, 8), 16), (2, 2))
    torch.testing.assert_close(targets.inside, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    torch.testing.assert_close(targets.masks, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert targets.ignored.tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize("original_hw", [(100, 60), (37, 111), (300, 10), (5, 7)])
@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_targets_hold_the_counted_area(original_hw, resize):
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 3, original_hw)
    geometry = Geometry(original_hw, 64, resize)
    plain = targets_on_grid(numbers == 1, None, geometry, (16, 16))
    assert torch.equal(plain.masks, mask_on_grid(numbers == 1, geometry, (16, 16)))
    assert torch.equal(plain.inside, inside_on_grid(geometry, (16, 16)))
    assert plain.ignored is None
    targets = targets_on_grid(numbers == 1, numbers == 2, geometry, (16, 16))
    full = plain.inside == 1
    torch.testing.assert_close((targets.masks * targets.inside)[full], plain.masks[full], rtol=0, atol=1e-4)
    assert (targets.inside <= plain.inside).all()
    assert targets.masks.min() >= 0
    assert targets.masks.max() <= 1
    assert not targets.ignored[plain.inside == 0].any()


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_the_ignored_region_moves_with_the_mask(tmp_path, variant):
    mask, ignored = rectangle(20, 15, 44, 33, (48, 64)), rectangle(2, 3, 15, 40, (48, 64))
    sample = Sample("a.png", tmp_path, (48, 64), (Annotation.from_mask(mask, "a"),), mask_to_rle(ignored))
    (item,) = training_objects([sample])
    question = draw_question(item, 1, small_config_of_run(variants=(variant,)), 64)
    np.testing.assert_array_equal(question.ignored, VARIANTS[question.variant].mask(ignored))
    assert question.ignored.shape == question.mask.shape
    assert not (question.ignored & question.mask).any()
    (plain,) = training_objects([Sample("a.png", tmp_path, (48, 64), sample.objects)])
    assert draw_question(plain, 1, small_config_of_run(variants=(variant,)), 64).ignored is None
