"""Boxes and points of labelling tools as prompts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import RefusedPrompt
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.shape_prompts import HintedImage, collect_prompts, prompts_of_shapes
from sam2_adapter.formats.shapes import Shape
from tests.formats.folders import write_image


def box(*box_xyxy, where="x", label="cat", **more):
    return Shape(where, "box", label, box_xyxy=box_xyxy, **more)


def points(*pairs, label="cat", **more):
    return Shape("x", "points", label, points=np.array(pairs, float), **more)


def test_each_shape_is_a_prompt_and_each_group_is_one():
    turned, grouped, clicks = prompts_of_shapes(
        [
            box(1, 2, 3, 4, angle=30, attributes={"colour": "red"}, object_id="7"),
            points((1, 1), group="g"),
            box(0, 0, 9, 9, group="g"),
            points((5, 5), (6, 6), label=""),
        ]
    )
    assert (turned.box_xyxy, turned.box_angle, turned.attributes, turned.object_id) == (
        (1, 2, 3, 4),
        30,
        {"colour": "red"},
        "7",
    )
    assert (grouped.box_xyxy, grouped.point_coords.tolist()) == ((0, 0, 9, 9), [[1, 1]])
    assert (clicks.label, clicks.point_coords.tolist(), clicks.point_labels.tolist()) == (
        None,
        [[5, 5], [6, 6]],
        [1, 1],
    )


def test_a_second_box_and_an_empty_one_are_refused():
    second, empty = prompts_of_shapes(
        [box(1, 2, 3, 4, group="g"), box(1, 2, 3, 4, where="y", group="g"), box(3, 3, 3, 3)]
    )
    assert isinstance(second, RefusedPrompt)
    assert second.reason.startswith("y: a second box in group g, but an object has one box")
    assert isinstance(empty, RefusedPrompt)
    assert empty.reason.startswith("x: ")


def test_images_of_one_name_are_put_together_and_those_without_prompts_are_not_listed():
    images = [HintedImage("a", [box(1, 2, 3, 4)]), HintedImage("b", []), HintedImage("a", [], ["broken"])]
    found = collect_prompts(images, LeftOut(), Path("x.xml"))
    assert list(found) == ["a"]
    assert found["a"][1] == RefusedPrompt("broken")


def test_nothing_is_an_error_that_says_what_could_not_be_read():
    left_out = LeftOut()
    left_out.add_image(Reason.BROKEN_FILE, "a.json")
    with pytest.raises(PromptError, match=r"x\.xml: there is no box and no point in it(.|\n)*a\.json"):
        collect_prompts([], left_out, Path("x.xml"))


def test_what_was_drawn_on_an_image_of_another_size_is_refused(tmp_path):
    image = write_image(tmp_path / "a.png")
    drawn = [box(1, 2, 3, 4), box(1, 2, 3, 5)]
    for listed_hw in ((24, 32), (None, 32), (None, None)):
        (prompt, _) = collect_prompts([HintedImage("a.png", drawn, (), listed_hw)], LeftOut(), tmp_path, [image])[
            "a.png"
        ]
        assert prompt.box_xyxy == (1, 2, 3, 4)
    refused = collect_prompts([HintedImage("a.png", drawn, (), (48, 64))], LeftOut(), tmp_path, [image])["a.png"]
    assert [type(prompt) for prompt in refused] == [RefusedPrompt, RefusedPrompt]
    assert refused[0].reason.startswith("a.png: this was drawn on an image of 64x48 pixels, but the image has 32x24.")
    (unknown, _) = collect_prompts([HintedImage("b.png", drawn, (), (48, 64))], LeftOut(), tmp_path, [image])["b.png"]
    assert unknown.box_xyxy == (1, 2, 3, 4)
