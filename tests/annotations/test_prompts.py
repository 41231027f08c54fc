"""Prompts: what is accepted, what is refused and in which words, and the geometry of turned boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.prompts import Prompt, as_prompts, rotated_box_corners, rotated_box_hull
from sam2_adapter.errors import PromptError


def test_a_prompt_keeps_what_it_was_given():
    prompt = Prompt.from_dict(
        {
            "box": [1, 2.5, 30, 40],
            "angle": 15,
            "points": [[5, 6], [7.25, 8]],
            "labels": [1, 0],
            "label": "cat",
            "attributes": {"colour": "black"},
            "object_id": "7",
            "parent_id": "3",
        }
    )
    assert prompt.box_xyxy == (1.0, 2.5, 30.0, 40.0)
    assert prompt.box_angle == 15.0
    assert prompt.point_coords.tolist() == [[5, 6], [7.25, 8]]
    assert prompt.point_labels.tolist() == [1, 0]
    assert (prompt.label, prompt.attributes, prompt.object_id, prompt.parent_id) == (
        "cat",
        {"colour": "black"},
        "7",
        "3",
    )


def test_points_without_labels_are_foreground():
    assert Prompt.from_dict({"points": [[1, 2], [3, 4]]}).point_labels.tolist() == [1, 1]


def test_a_float_mask_is_logits_and_a_bool_mask_is_a_mask():
    logits = Prompt.from_dict({"mask": np.zeros((4, 4), np.float32)})
    mask = Prompt.from_dict({"mask": np.ones((4, 6), bool)})
    assert logits.mask is None
    assert logits.mask_input.shape == (4, 4)
    assert mask.mask_input is None
    assert mask.mask.shape == (4, 6)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({}, "needs at least one of 'box', 'points' and 'mask'"),
        ({"points": []}, "needs at least one of"),
        ({"box": [1, 2, 3]}, "'box' is four numbers x0, y0, x1, y1, but got [1, 2, 3]"),
        ({"box": "1,2,3,four"}, "'box' holds numbers only"),
        ({"box": [5, 5, 5, 9]}, "Box (5, 5, 5, 9) is empty"),
        ({"box": [9, 5, 5, 9]}, "x1 must be greater than x0"),
        ({"box": [0, 0, math.nan, 5]}, "'box' must be finite numbers"),
        ({"box": [0, 0, math.inf, 5]}, "'box' must be finite numbers"),
        ({"box": [0, 0, 10**400, 5]}, "'box' holds numbers only"),
        ({"box": {"x": 1}}, "'box' holds numbers only"),
        ({"points": [1, 2, 3]}, "'points' is a list of [x, y] pairs"),
        ({"points": [[1, 2, 3]]}, "'points' is a list of [x, y] pairs"),
        ({"points": [[1, 2], [3]]}, "'points' holds numbers only"),
        ({"points": 5}, "'points' is a list of [x, y] pairs"),
        ({"points": [[1, 2]], "labels": [1, 0]}, "'labels' needs one value for each of the 1 points"),
        ({"points": [[1, 2]], "labels": [2]}, "'labels' are 1 (foreground) or 0 (background)"),
        ({"points": [[1, 2]], "labels": ["inside"]}, "'labels' holds numbers only"),
        ({"points": [[1, 2]], "labels": [0]}, "All points of this prompt are background"),
        ({"labels": [1]}, "this prompt has no 'points'"),
        ({"angle": 30, "points": [[1, 2]]}, "'angle' (30) turns a box, but this prompt has no 'box'"),
        ({"box": [0, 0, 5, 5], "angle": "steep"}, "'angle' is a finite number, but got 'steep'"),
        ({"box": [0, 0, 5, 5], "label": 3}, "'label' is a text, but got 3"),
        ({"box": [0, 0, 5, 5], "attributes": ["a"]}, "'attributes' is an object"),
        ({"box": [0, 0, 5, 5], "attributes": {"a": [math.nan]}}, "and objects of these, but got {'a': [nan]}"),
        ({"box": [0, 0, 5, 5], "attributes": {"a": {1, 2}}}, "'attributes' holds texts, finite numbers"),
        (
            {"box": [0, 0, 5, 5], "colour": "red"},
            "Unknown key of a prompt 'colour'. The choices are angle, attributes, box",
        ),
        ({"mask": np.zeros((5, 5), bool)}, "mask of the prompt is empty"),
        ({"mask": np.ones((5, 5), np.uint8)}, "'mask' is a bool array"),
        ({"mask": np.full((5, 5), np.nan)}, "Earlier logits must be finite"),
        ({"mask": np.zeros(5)}, "Earlier logits are a float array h x w"),
        ({"mask": np.zeros((0, 4))}, "Earlier logits are a float array h x w"),
        ({"mask": np.full((5, 5), 1e300)}, "which lie far within 1e+06, but some are larger"),
        ({"points": torch.ones(1, 2, requires_grad=True)}, "'points' holds numbers only"),
        ({"points": np.array(5.0)}, "'points' is a list of [x, y] pairs"),
        ([1, 2, 3, 4], "A prompt is an object with keys such as 'box' or 'points', but got [1, 2, 3, 4]"),
    ],
)
def test_a_malformed_prompt_is_refused_in_words(entry, text):
    with pytest.raises(PromptError) as error:
        as_prompts([{"box": [0, 0, 1, 1]}, entry])
    assert str(error.value).startswith("Prompt 1: ")
    assert text in str(error.value)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_arrays_mean_what_lists_mean(make):
    one, two = Prompt.from_dict({"points": make([3, 4])}), Prompt.from_dict({"points": make([[3, 4], [5, 6]])})
    assert one.point_coords.tolist() == [[3, 4]]
    assert one.point_labels.tolist() == [1]
    assert two.point_coords.tolist() == [[3, 4], [5, 6]]
    assert two.point_labels.tolist() == [1, 1]
    for angle in (np.float32(30), np.int64(30)):
        turned = Prompt.from_dict({"box": make([0, 0, 9, 5]), "angle": angle})
        assert (turned.box_xyxy, turned.box_angle) == ((0, 0, 9, 5), 30.0)
        assert type(turned.box_angle) is float


def test_a_mask_and_logits_together_are_refused():
    with pytest.raises(PromptError, match="not both"):
        Prompt(mask=np.ones((3, 3), bool), mask_input=np.zeros((3, 3), np.float32))


@pytest.mark.parametrize("point", [(-1, 5), (5, -0.5), (100.5, 5), (5, 51)])
def test_a_point_outside_the_image_is_refused(point):
    with pytest.raises(PromptError, match=r"lies outside the image, which is 100x50 pixels; x must be within 0..100"):
        Prompt(point_coords=[point], point_labels=[1]).fitted_to((50, 100))


@pytest.mark.parametrize("point", [(0, 0), (100, 50), (99.99, 0)])
def test_a_point_on_the_border_is_inside(point):
    Prompt(point_coords=[point], point_labels=[1]).fitted_to((50, 100))


def test_a_box_over_the_border_is_cut_and_keeps_everything_else():
    prompt = Prompt(box_xyxy=(-5, 10, 300, 40), label="dog", point_coords=[(1, 1)], point_labels=[0]).fitted_to(
        (50, 100)
    )
    assert prompt.box_xyxy == (0, 10, 100, 40)
    assert prompt.label == "dog"
    assert prompt.point_labels.tolist() == [0]


@pytest.mark.parametrize("box", [(100, 0, 120, 20), (-20, 0, 0, 20), (0, 50, 10, 60), (0, -9, 10, -1)])
def test_a_box_outside_the_image_is_refused(box):
    with pytest.raises(PromptError, match="lies outside the image, which is 100x50 pixels"):
        Prompt(box_xyxy=box).fitted_to((50, 100))


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(PromptError, match="mask of the prompt is 5x4 pixels, but the image is 100x50"):
        Prompt(mask=np.ones((4, 5), bool)).fitted_to((50, 100))


def test_which_prompts_are_ambiguous():
    assert Prompt(point_coords=[(1, 1)], point_labels=[1]).is_single_click
    assert not Prompt(point_coords=[(1, 1), (2, 2)], point_labels=[1, 1]).is_single_click
    assert not Prompt(point_coords=[(1, 1)], point_labels=[1], box_xyxy=(0, 0, 5, 5)).is_single_click
    assert Prompt.whole_image((50, 100)).is_whole_image((50, 100))
    assert not Prompt(box_xyxy=(0, 0, 99, 50)).is_whole_image((50, 100))
    assert not Prompt(box_xyxy=(0, 0, 100, 50), point_coords=[(1, 1)], point_labels=[1]).is_whole_image((50, 100))


def test_a_quarter_turn_swaps_the_sides():
    corners = rotated_box_corners((10, 20, 50, 40), 90)
    assert np.allclose(corners, [[40, 10], [40, 50], [20, 50], [20, 10]])
    assert rotated_box_hull((10, 20, 50, 40), 90) == pytest.approx((20, 10, 40, 50))


@given(st.floats(-720, 720), st.floats(-50, 50), st.floats(1, 80), st.floats(1, 80))
def test_turning_keeps_centre_and_lengths(angle, x0, width, height):
    corners = rotated_box_corners((x0, 3, x0 + width, 3 + height), angle)
    assert np.allclose(corners.mean(axis=0), [x0 + width / 2, 3 + height / 2])
    assert np.linalg.norm(corners[1] - corners[0]) == pytest.approx(width)
    assert np.linalg.norm(corners[3] - corners[0]) == pytest.approx(height)


@pytest.mark.parametrize("prompts", [5, "x", {"box": [1, 1, 9, 9]}, Prompt(box_xyxy=(1, 1, 9, 9)), np.zeros((1, 4))])
def test_prompts_are_a_list(prompts):
    with pytest.raises(PromptError, match="The prompts are a list of prompts, one for each object, but got"):
        as_prompts(prompts)


@pytest.mark.parametrize("key", ["label", "object_id", "parent_id"])
def test_texts_are_checked_in_python_too(key):
    with pytest.raises(PromptError, match=f"'{key}' is a text, but got 5"):
        Prompt(box_xyxy=(0, 0, 5, 5), **{key: 5})
    with pytest.raises(PromptError, match="'attributes' holds"):
        Prompt(box_xyxy=(0, 0, 5, 5), attributes={key: math.inf})
