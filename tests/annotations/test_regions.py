"""Regions: cutting, pasting and moving prompts, exact to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import PromptError

HW = (30, 40)
IMAGE = np.random.default_rng(0).integers(0, 256, (*HW, 3), np.uint8)


def some_regions():
    """Regions that overlap the image, also beyond its sides."""
    low, side = st.integers(-9, 29), st.integers(1, 60)
    return st.builds(lambda x, y, w, h: Region(x, y, max(x + w, 1), max(y + h, 1)), low, low, side, side)


@given(some_regions())
def test_a_cut_shows_the_image_where_there_is_one_and_the_filling_elsewhere(region):
    cut = region.cut(IMAGE, (1, 2, 3))
    assert cut.shape == (*region.size_hw, 3)
    for y in range(region.y0, region.y1, 7):
        for x in range(region.x0, region.x1, 7):
            there = IMAGE[y, x] if 0 <= y < HW[0] and 0 <= x < HW[1] else (1, 2, 3)
            assert tuple(cut[y - region.y0, x - region.x0]) == tuple(there)


@given(some_regions(), st.integers(0, 2**32 - 1))
def test_a_mask_goes_to_a_region_and_back(region, seed):
    mask = np.random.default_rng(seed).random(HW) < 0.5
    shown = np.zeros(HW, np.bool_)
    shown[max(0, region.y0) : region.y1, max(0, region.x0) : region.x1] = True
    assert np.array_equal(region.paste(region.cut(mask), HW), mask & shown)


@given(st.floats(-10, 50), st.floats(-10, 50), st.integers(1, 60), st.integers(1, 60))
def test_a_region_around_a_point_has_the_wanted_size_as_far_as_the_image_goes(x, y, height, width):
    region = Region.around((x, y), (height, width), HW)
    assert region.size_hw == (min(height, HW[0]), min(width, HW[1]))
    assert region.within(HW) == region
    padded = Region.padded_around((x, y), (height, width), HW)
    assert padded.size_hw == (height, width)
    assert padded.within(HW) == region


def test_cutting_inside_the_image_copies_nothing():
    assert np.shares_memory(Region(3, 4, 20, 10).cut(IMAGE), IMAGE)


@pytest.mark.parametrize(
    ("region", "pixel_yx", "is_cut"),
    [
        (Region(10, 10, 20, 20), (0, 5), True),
        (Region(10, 10, 20, 20), (9, 5), True),
        (Region(10, 10, 20, 20), (5, 0), True),
        (Region(10, 10, 20, 20), (5, 9), True),
        (Region(10, 10, 20, 20), (5, 5), False),
        (Region(0, 0, 40, 30), (0, 0), False),  # the image ends there, too
        (Region(-5, -5, 45, 35), (0, 0), False),
    ],
)
def test_a_mask_at_a_side_may_go_on_where_the_image_does(region, pixel_yx, is_cut):
    mask = np.zeros(region.size_hw, np.bool_)
    mask[pixel_yx] = True
    assert region.cuts_off(mask, HW) is is_cut


def test_a_prompt_moves_with_the_corner():
    prompt = Prompt(
        box_xyxy=(12, 11, 20.5, 18), box_angle=30, point_coords=[[13, 12], [2, 2]], point_labels=[1, 0], label="cell"
    )
    moved = Region(10, 10, 30, 25).prompt_in(prompt)
    assert moved.box_xyxy == (2, 1, 10.5, 8)
    assert moved.box_angle == 30
    assert moved.label == "cell"
    assert moved.point_coords.tolist() == [[3, 2]]  # the other point lies outside
    assert moved.point_labels.tolist() == [1]


def test_a_mask_is_cut_and_logits_stay():
    mask = np.zeros(HW, np.bool_)
    mask[12, 13] = True
    moved = Region(10, 10, 30, 25).prompt_in(Prompt(mask=mask))
    assert moved.mask.shape == (15, 20)
    assert np.argwhere(moved.mask).tolist() == [[2, 3]]
    logits = np.ones((4, 4), np.float32)
    assert np.array_equal(Region(1, 1, 3, 3).prompt_in(Prompt(mask_input=logits)).mask_input, logits)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(point_coords=[[2, 2]], point_labels=[1]),
        Prompt(point_coords=[[2, 2], [15, 15]], point_labels=[1, 0]),
        Prompt(box_xyxy=(0, 0, 10, 10)),
        Prompt(mask=np.eye(*HW, dtype=bool) & (np.arange(HW[1]) < 5)),
    ],
)
def test_a_prompt_with_nothing_in_the_region_is_refused(prompt):
    with pytest.raises(PromptError, match=r"Nothing of the prompt lies in the region \(10, 10, 30, 25\)"):
        Region(10, 10, 30, 25).prompt_in(prompt)


def test_what_is_left_of_a_prompt_is_enough():
    moved = Region(10, 10, 30, 25).prompt_in(Prompt(box_xyxy=(0, 0, 5, 5), point_coords=[[15, 15]], point_labels=[1]))
    assert moved.box_xyxy is None
    assert moved.point_coords.tolist() == [[5, 5]]


@pytest.mark.parametrize("numbers", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9)])
def test_a_region_has_pixels(numbers):
    with pytest.raises(PromptError, match="is empty: a region is x0, y0, x1, y1 in whole pixels"):
        Region(*numbers)


def test_a_region_overlaps_its_image():
    with pytest.raises(PromptError, match=r"Region \(40, 0, 50, 5\) lies outside the image, which is 40x30 pixels"):
        Region(40, 0, 50, 5).cut(IMAGE)


def test_the_region_of_a_box_covers_it():
    region = Region.covering((2.5, 3, 7.1, 9))
    assert region == Region(2, 3, 8, 9)
    assert region.contains((2.5, 3, 7.1, 9))
    assert not region.contains((1.9, 3, 7.1, 9))
