"""Every argument of the studio's functions: what is taken, and the one error that names what is not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.dataloop import studio_arguments as arguments
from sam2_adapter.errors import PromptError
from tests.shapes import FEW

CLICK = {"x": 5, "y": 6.5, "in": True}
HUGE = 10**400
TOO_LONG_TO_WRITE = 10**5000
NO_NUMBERS = [None, "5", "", True, float("nan"), float("inf"), HUGE, TOO_LONG_TO_WRITE, [5], {"x": 5}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "in", "type"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_clicks_are_places_and_sides():
    assert arguments.checked_clicks([]) == ([], [])
    assert arguments.checked_clicks(({"x": np.float32(1.5), "y": 2}, {"x": 3, "y": 4, "in": False}, CLICK)) == (
        [(1.5, 2.0), (3.0, 4.0), (5.0, 6.5)],
        [1, 0, 1],
    )


@pytest.mark.parametrize("points", [None, "", "[]", "text", 5, True, {"x": 1, "y": 2}, b"x", {1, 2}])
def test_what_is_no_list_of_clicks_is_named(points):
    with pytest.raises(PromptError, match=r"^points: expected a list of clicks .*, but got "):
        arguments.checked_clicks(points)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: str(type(value)))
def test_a_click_has_two_finite_numbers(axis, value):
    for entry in ({**CLICK, axis: value}, {key: kept for key, kept in CLICK.items() if key != axis}):
        with pytest.raises(PromptError, match=r"^points, click 2: expected \{'x': number, 'y': number\} .*, but got "):
            arguments.checked_clicks([CLICK, entry])


@pytest.mark.parametrize("entry", [None, "click", 5, [1, 2], (1, 2)])
def test_a_click_is_an_object(entry):
    with pytest.raises(PromptError, match=r"^points, click 1: expected"):
        arguments.checked_clicks([entry])


@pytest.mark.parametrize("side", ["false", "true", "", None, 0, 1, float("nan"), [], "outside"])
def test_a_click_is_inside_or_outside_and_nothing_else(side):
    with pytest.raises(PromptError, match=r"^points, click 1, 'in': expected true .* or false .*, but got "):
        arguments.checked_clicks([{**CLICK, "in": side}])


def test_corners_make_a_box_in_any_order():
    assert arguments.checked_corners(None) is None
    for first, second in [((1, 2), (5, 9)), ((5, 9), (1, 2)), ((5, 2), (1, 9))]:
        corners = [{"x": x, "y": y, "z": 0} for x, y in (first, second)]
        assert arguments.checked_corners(corners) == (1.0, 2.0, 5.0, 9.0)


@pytest.mark.parametrize(
    ("bb", "named"),
    [
        ("box", "bb"),
        ({}, "bb"),
        (False, "bb"),
        ([], "bb"),
        ([CLICK], "bb"),
        ([CLICK] * 3, "bb"),
        ([CLICK, None], "bb, corner 2"),
        ([CLICK, {"x": "1", "y": 2}], "bb, corner 2"),
        ([{"x": HUGE, "y": 2}, CLICK], "bb, corner 1"),
    ],
)
def test_what_is_no_box_is_named(bb, named):
    with pytest.raises(PromptError, match=f"^{named}: expected "):
        arguments.checked_corners(bb)


def test_the_mask_to_refine_is_a_text():
    assert arguments.checked_mask_uri(None) is arguments.checked_mask_uri("") is None
    assert arguments.checked_mask_uri("data:") == "data:"
    for value in (5, False, b"data:", ["data:"], {}):
        with pytest.raises(PromptError, match=r"^mask_uri: expected a text"):
            arguments.checked_mask_uri(value)


def test_colours_are_three_numbers_of_a_byte():
    assert arguments.checked_color(None) == (255, 255, 255)
    assert arguments.checked_color([0, 255, 12.7]) == arguments.checked_color((0, 255, 12, 99)) == (0, 255, 12)
    for value in (
        "green",
        "123",
        [],
        [1, 2],
        [1, 2, 3, 4, 5],
        [256, 0, 0],
        [-1, 0, 0],
        *([1, 2, v] for v in NO_NUMBERS),
    ):
        with pytest.raises(PromptError, match=r"^color: expected \(red, green, blue\)"):
            arguments.checked_color(value)


def test_the_radius_of_a_click_is_a_number():
    for value in (None, 0, 4, 2.5):
        arguments.check_click_radius(value)
    for value in (-1, *NO_NUMBERS[1:]):
        with pytest.raises(PromptError, match=r"^click_radius: expected a number of pixels"):
            arguments.check_click_radius(value)


def test_boxes_are_documents():
    assert arguments.checked_boxes(({"type": "box"},)) == [{"type": "box"}]
    for value in (None, "box", 5, {"type": "box"}):
        with pytest.raises(PromptError, match=r"^annotations: expected a list of annotation documents, but got "):
            arguments.checked_boxes(value)
    for value in (None, "box", 5, [{}]):
        with pytest.raises(PromptError, match=r"^annotations, entry 2: expected an annotation document"):
            arguments.checked_boxes([{}, value])


def test_items_and_progress_are_what_the_platform_hands_over():
    arguments.check_item(SimpleNamespace(id="1", filename="/a.png"))
    for value in (None, "item", {"id": "1"}, SimpleNamespace(id=None, filename="a")):
        with pytest.raises(PromptError, match=r"^item: expected an item of the platform"):
            arguments.check_item(value)
    assert arguments.checked_progress(None) is None
    with pytest.raises(PromptError, match=r"^progress: expected the platform's progress object"):
        arguments.checked_progress("50 %")


@FEW
@given(JSON)
def test_any_document_is_taken_or_refused_in_a_short_message(value):
    for check in (
        arguments.checked_clicks,
        arguments.checked_corners,
        arguments.checked_mask_uri,
        arguments.check_click_radius,
        arguments.checked_color,
        arguments.checked_boxes,
    ):
        for given_value in (value, [value], [value, value]):
            message = ""
            try:
                check(given_value)
            except PromptError as error:
                message = str(error)
            assert len(message) < 300
