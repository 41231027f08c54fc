"""Ground truth to objects and prompts; what is malformed affects its own object only."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.dataloop.truth import ask_truth, drawn_by_people
from sam2_adapter.formats.dataloop.objects import mask_to_data_url

HW = (60, 80)
RING = [{"x": 10, "y": 10}, {"x": 29, "y": 10}, {"x": 29, "y": 24}, {"x": 10, "y": 24}]


def _polygon(identifier, ring=RING, label="cat", **system):
    return {"id": identifier, "type": "segment", "label": label, "coordinates": [ring], "metadata": {"system": system}}


def _mask(identifier, mask):
    return {"id": identifier, "type": "binary", "label": "dog", "coordinates": mask_to_data_url(mask, (1, 2, 3))}


def test_objects_become_the_prompts_of_their_boxes():
    mask = np.zeros(HW, bool)
    mask[40:50, 60:75] = True
    asked = ask_truth([_polygon("1", objectId="7", parentId="9", attributes={"a": 1}), _mask("2", mask)], HW)
    assert [annotation.area for annotation in asked.truth] == [300, 150]
    first, second = (entry.prompt for entry in asked.prompts)
    assert (first.box_xyxy, first.label, first.object_id, first.parent_id) == ((10, 10, 30, 25), "cat", "7", "9")
    assert (first.attributes, second.box_xyxy, second.label) == ({"a": 1}, (60, 40, 75, 50), "dog")


def test_only_what_people_drew_is_truth():
    by_model = _polygon("1", model={"name": "m"})
    box = {"id": "2", "type": "box", "coordinates": []}
    drawn = _polygon("3")
    assert drawn_by_people([by_model, box, {"id": "4"}, drawn]) == [drawn]
    assert ask_truth([by_model, box], HW).prompts == ()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (_polygon("b", None), "coordinates must be finite; got [None]"),
        (_polygon("b", []), "a polygon needs at least one vertex"),
        (_polygon("b", [{"x": 1, "y": None}]), "must be finite"),
        (_polygon("b", [{"x": "left", "y": 1}]), "the coordinates of a polygon are"),
        (_polygon("b", [{"x": 500, "y": 500}] * 3), "covers no pixel of the image"),
        (_polygon("b", label=5), "'label' is a text, but got 5"),
        ({**_polygon("b"), "coordinates": None}, "the coordinates of a polygon are"),
        ({**_polygon("b"), "type": "binary"}, "the coordinates of a mask are a text"),
        ({**_polygon("b"), "type": "binary", "coordinates": "data:image/png;base64,AAAA"}, "not an image"),
        (_mask("b", np.ones((3000, 40), bool)), "40x3000"),
        (_mask("b", np.zeros(HW, bool)), "covers no pixel of the image"),
    ],
)
def test_what_is_malformed_is_left_out_by_name_and_the_others_stay(broken, reason, caplog):
    asked = ask_truth([_polygon("a"), broken, _polygon("c", label="dog")], HW)
    assert [annotation.label for annotation in asked.truth] == ["cat", "dog"]
    assert len(asked.prompts) == 2
    assert "Annotation b" in caplog.text
    assert reason in caplog.text


@pytest.mark.parametrize("missing", [None, ""])
def test_objects_without_a_label_are_objects(missing):
    assert [annotation.label for annotation in ask_truth([_polygon("a", label=missing)], HW).truth] == ["object"]


def test_a_polygon_of_one_or_two_vertices_covers_what_the_platform_draws():
    asked = ask_truth([_polygon("a", RING[:1]), _polygon("b", RING[:2])], HW)
    assert [annotation.area for annotation in asked.truth] == [1, 20]
