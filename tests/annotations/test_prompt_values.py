"""The forms in which people write the numbers of a prompt."""

from __future__ import annotations

import pytest

from sam2_adapter.annotations.prompt_values import parse_numbers, short
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import PromptError


@pytest.mark.parametrize(
    "text", ["40,60,300,220", "40, 60, 300, 220", " 40 60 300 220 ", "[40, 60, 300, 220]", "(40;60;3e2;220.0)"]
)
def test_numbers_of_a_text(text):
    assert parse_numbers(text) == [40, 60, 300, 220]
    assert Prompt.from_dict({"box": text}).box_xyxy == (40, 60, 300, 220)


@pytest.mark.parametrize("text", ["", "40,x", "40,,60", "ten"])
def test_texts_without_numbers(text):
    assert parse_numbers(text) is None


@pytest.mark.parametrize("points", [[[5, 6]], [5, 6], "5, 6", [["5", "6"]], (5.0, 6.0)])
def test_forms_of_one_point(points):
    prompt = Prompt.from_dict({"points": points})
    assert prompt.point_coords.tolist() == [[5, 6]]
    assert prompt.point_labels.tolist() == [1]


def test_a_box_of_two_corners():
    assert Prompt.from_dict({"box": [[40, 60], [300, 220]]}).box_xyxy == (40, 60, 300, 220)


def test_numbers_of_thousands_of_digits_have_a_short_form():
    assert short(10**5000) == "a number that is too long to show"
    with pytest.raises(PromptError, match="'box'"):
        Prompt.from_dict({"box": [0, 0, 1, 10**5000]})
    with pytest.raises(PromptError, match="'angle' is a finite number"):
        Prompt.from_dict({"box": [0, 0, 1, 1], "angle": 10**400})
