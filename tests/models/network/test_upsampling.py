"""Masks from low-res logits: all pixels, and the places alone where a mask changes, agree to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.rle import bounds_to_rle, mask_to_rle
from sam2_adapter.models.network.upsampling import mask_bounds, upsampled, upsampled_masks
from tests.shapes import QUICK


@st.composite
def logits_and_sizes(draw):
    """Logits of all kinds: noise, one object, values around 0, nothing at all; images smaller and larger than they, also of one pixel."""
    cells = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    size_hw = draw(st.tuples(st.integers(1, 150), st.integers(1, 150)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "object", "near 0", "set", "unset"]))
    logits = rng.normal(0, 4, cells).astype(np.float32)
    if kind == "object":
        y, x = np.mgrid[: cells[0], : cells[1]]
        distance = np.hypot(y - rng.uniform(0, cells[0]), x - rng.uniform(0, cells[1]))
        logits = (rng.uniform(0, 8) - distance).astype(np.float32)
    elif kind == "near 0":
        logits = np.sign(logits) * rng.choice(np.float32([0, 1e-45, 1e-38, 1e-30, 1e-8, 1]), cells)
    elif kind != "noise":
        logits = np.abs(logits) if kind == "set" else -np.abs(logits)
    return logits.astype(np.float32), size_hw


@QUICK
@given(logits_and_sizes())
def test_bounds_are_those_of_all_pixels(case):
    logits, size_hw = case
    everywhere = upsampled(logits, size_hw) > 0
    (mask,) = upsampled_masks(logits[None], size_hw)
    assert np.array_equal(mask, everywhere)
    bounds = mask_bounds(logits, size_hw)
    assert (np.diff(bounds) > 0).all()
    assert bounds_to_rle(bounds, size_hw) == mask_to_rle(everywhere)


def test_a_photograph_of_many_megapixels_has_the_same_bounds():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:64, :64]
    logits = (20 - np.hypot(y - 30, x - 50) + rng.normal(0, 2, (64, 64))).astype(np.float32)
    (mask,) = upsampled_masks(logits[None], (1500, 2000))
    assert mask[:, -1].any()  # the object is cut by the border
    assert bounds_to_rle(mask_bounds(logits, (1500, 2000)), (1500, 2000)) == mask_to_rle(mask)


@pytest.mark.parametrize("size_hw", [(97, 143), (20, 300), (16, 16), (5, 7)])
def test_values_are_those_of_bilinear_interpolation(size_hw):
    logits = np.random.default_rng(1).normal(0, 3, (16, 16)).astype(np.float32)
    expected = F.interpolate(torch.from_numpy(logits)[None, None], size_hw, mode="bilinear")[0, 0].numpy()
    assert np.allclose(upsampled(logits, size_hw), expected, atol=1e-4)


def test_equal_logits_give_equal_bits_wherever_they_lie_in_memory():
    logits = np.random.default_rng(1).normal(0, 3, (16, 16)).astype(np.float32)
    apart = np.zeros((33, 48), np.float32)
    apart[1::2, ::3] = logits
    assert np.array_equal(upsampled(apart[1::2, ::3], (101, 77)), upsampled(logits, (101, 77)))
    assert np.array_equal(mask_bounds(apart[1::2, ::3], (101, 77)), mask_bounds(logits, (101, 77)))
