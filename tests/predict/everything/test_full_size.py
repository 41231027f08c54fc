"""Cut low-res logits give at full size what all of them give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.predict.everything.full_size import CutLogits, FullSize


@settings(max_examples=60, deadline=None)
@given(
    hw=st.tuples(st.integers(5, 90), st.integers(5, 90)),
    resize=st.sampled_from(["stretch", "pad"]),
    seed=st.integers(0, 1000),
    threshold=st.sampled_from([0.0, -1.0]),
)
def test_masks_are_those_of_the_geometry(hw: tuple[int, int], resize: Any, seed: int, threshold: float) -> None:
    geometry = Geometry(hw, 64, resize)
    rng = np.random.default_rng(seed)
    logits = np.full((16, 16), -3, np.float32)
    top, left = rng.integers(0, 12, 2)
    logits[top : top + 4, left : left + 4] = rng.normal(0, 3, (4, 4))
    expected = geometry.logits_to_masks(logits[None])[0]
    cut = CutLogits.of(logits, threshold)
    found = np.zeros_like(expected)
    if cut is not None:
        mask, (x, y) = FullSize(geometry, (16, 16)).mask(cut)
        found[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    # OpenCV and a product of matrices round differently where a logit is 0.
    assert np.count_nonzero(found != expected) <= 2


def test_nothing_above_the_threshold_is_no_mask() -> None:
    assert CutLogits.of(np.full((8, 8), -1, np.float32), 0.0) is None


def test_a_small_mask_costs_its_part_only() -> None:
    logits = np.full((64, 64), -5, np.float32)
    logits[30:32, 40:43] = 5
    cut = CutLogits.of(logits, 0.0)
    assert cut is not None
    assert cut.logits.shape == (6, 7)
    full_size = FullSize(Geometry((640, 640), 256), (64, 64))
    pixels, (x, y) = full_size(cut)
    assert pixels.shape[0] <= 40
    assert (x, y) == full_size.reach(cut)[:2]
    assert full_size.mask(cut)[0].sum() == pytest.approx(20 * 30, rel=0.4)
