"""Prompts that can be used, and the reason of each one that cannot."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt, as_prompts
from sam2_adapter.annotations.usable_prompts import check_prompts, fit_prompts, look_like_fractions
from sam2_adapter.errors import PromptError
from tests.shapes import QUICK

HW = (48, 64)
GOOD = {"box": [8, 8, 28, 30]}


def fit(*entries, **options):
    return fit_prompts(check_prompts(entries), HW, **options)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"points": [[64.4, 20]]}, r"Point \(64.4, 20\) lies outside the image, which is 64x48 pixels"),
        ({"box": [100, 8, 128, 30]}, r"Box \(100, 8, 128, 30\) lies outside the image"),
        ({"box": [28, 30, 8, 8]}, r"Box \(28, 30, 8, 8\) is empty: .* top left corner first"),
        ({"box": [8, 8, 8, 30]}, "is empty"),
        ({"box": [8, math.nan, 28, 30]}, "'box' must be finite numbers"),
        ({"box": "wide"}, "'box' holds numbers only"),
        ({"points": [[1e300, 5]]}, "lies outside the image"),
        ({"mask": np.ones((4, 4), np.bool_)}, "The mask of the prompt is 4x4 pixels, but the image is 64x48"),
        (17, "A prompt is an object with keys"),
        (RefusedPrompt("Said before."), "Said before."),
    ],
)
def test_a_prompt_that_cannot_be_used_is_the_only_one_refused(entry, reason):
    found = fit(GOOD, entry, GOOD)
    assert found.positions == (0, 2)
    assert [prompt.box_xyxy for prompt in found.prompts] == [(8, 8, 28, 30)] * 2
    assert list(found.refused) == [1]
    assert re.search(reason, found.refused[1])


def test_a_refused_prompt_is_an_error_where_all_are_needed():
    with pytest.raises(PromptError, match=r"Prompt 1: Said before\."):
        as_prompts([GOOD, RefusedPrompt("Said before.")])


def test_boxes_are_cut_at_the_border():
    (prompt,) = fit({"box": [-5, -5, 30, 99]}).prompts
    assert prompt.box_xyxy == (0, 0, 30, 48)


@pytest.mark.parametrize("box", [[-1e6, -1e6, 1e6, 1e6], [10, 10, 200, 40], [10, -40, 30, 40]])
def test_a_box_far_outside_is_used_with_a_warning(box):
    found = fit(GOOD, {"box": box})
    assert found.positions == (0, 1)
    assert list(found.warnings) == [1]
    assert "reaches far over the image, which is 64x48 pixels" in found.warnings[1]
    assert not fit({"box": [-5, -5, 70, 50]}).warnings


@pytest.mark.parametrize(
    "entry", [{"box": [0.1, 0.2, 0.5, 0.6]}, {"points": [[0.5, 0.5], [1, 0]]}, {"box": [0, 0, 1, 1]}]
)
def test_coordinates_between_0_and_1_are_said_to_look_like_fractions(entry):
    assert look_like_fractions(Prompt.from_dict(entry))
    assert "--units fraction" in fit(entry).warnings[0]


@pytest.mark.parametrize("entry", [{"points": [[0, 0]]}, {"points": [[1, 1]]}, {"box": [0.1, 0.2, 1.5, 0.6]}])
def test_other_coordinates_do_not(entry):
    assert not look_like_fractions(Prompt.from_dict(entry))
    assert not fit(entry).warnings


def test_in_an_image_of_one_pixel_no_coordinates_look_like_fractions():
    asked = [Prompt.from_dict({"points": [[0.5, 0.5]]}), Prompt.from_dict({"box": [0, 0, 1, 1]})]
    assert not fit_prompts(asked, (1, 1)).warnings
    assert set(fit_prompts(asked, (1, 2)).warnings) == {0, 1}


def test_fractions_become_pixels_of_the_image():
    found = fit(
        {"box": [0.25, 0.5, 0.75, 1], "points": [[0.5, 0.75]], "label": "roof"},
        {"points": [[300, 20]]},
        units="fraction",
    )
    (prompt,) = found.prompts
    assert prompt.box_xyxy == (16, 24, 48, 48)
    assert prompt.point_coords.tolist() == [[32, 36]]
    assert prompt.label == "roof"
    assert not found.warnings
    assert found.refused[1].startswith(
        "The coordinates are fractions of the image, from 0 to 1, but one of them is 300"
    )


numbers = st.floats(-100, 200) | st.sampled_from([0, 1, 48, 64, math.inf, math.nan])


@QUICK
@given(
    boxes=st.lists(st.lists(numbers, min_size=4, max_size=4), max_size=5), units=st.sampled_from(["pixel", "fraction"])
)
def test_every_position_is_used_or_refused(boxes, units):
    found = fit(*({"box": box} for box in boxes), units=units)
    assert sorted([*found.positions, *found.refused]) == list(range(len(boxes)))
    for prompt in found.prompts:
        x0, y0, x1, y1 = prompt.box_xyxy
        assert 0 <= x0 < x1 <= 64
        assert 0 <= y0 < y1 <= 48


def test_a_mask_that_looks_inverted_is_used_with_a_warning():
    mask = np.ones(HW, np.bool_)
    mask[10:20, 10:30] = False
    found = fit({"mask": mask}, {"mask": ~mask}, {"mask": np.ones(HW, np.bool_)})
    assert found.positions == (0, 1, 2)
    assert list(found.warnings) == [0]
    assert "if that is the background, invert the mask" in found.warnings[0]
