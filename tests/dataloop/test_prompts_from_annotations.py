"""An item's annotations to prompts: which belong together, what is no prompt, and what is refused."""

from __future__ import annotations

import re

import pytest

from sam2_adapter.annotations.prompts import RefusedPrompt
from sam2_adapter.dataloop.prompts_from_annotations import prompts_from_annotations


def _document(kind, coordinates, label="cat", object_id=None, model=None, **metadata):
    system = {**({"objectId": object_id} if object_id else {}), **({"model": model} if model else {}), **metadata}
    return {
        "id": "1",
        "type": kind,
        "coordinates": coordinates,
        "label": label,
        "metadata": {"system": system, "user": {}},
    }


def _point(x, y, label="cat", **rest):
    return _document("point", {"x": x, "y": y, "z": 0}, label, **rest)


def _box(x0, y0, x1, y1, label="cat", angle=None, **rest):
    corners = [{"x": x0, "y": y0, "z": 0}, {"x": x1, "y": y1, "z": 0}]
    return _document("box", corners + ([angle] if angle else []), label, **rest)


def _prompts(*documents, multi_points=False):
    found = [entry.prompt for entry in prompts_from_annotations(documents, multi_points=multi_points)]
    return [(p.box_xyxy, p.box_angle, p.point_coords.tolist(), p.point_labels.tolist(), p.label) for p in found]


def test_every_point_and_box_is_an_object():
    assert _prompts(_point(1, 2), _box(9, 8, 3, 4, "dog", angle=30)) == [
        (None, 0.0, [[1, 2]], [1], "cat"),
        ((3, 4, 9, 8), 30.0, [], [], "dog"),
    ]


def test_what_shares_an_object_id_is_one_object():
    documents = [
        _point(1, 2, "cat", object_id="5"),
        _box(0, 0, 9, 9, "dog", object_id="5"),
        _point(3, 3, object_id="6"),
    ]
    assert _prompts(*documents) == [((0, 0, 9, 9), 0.0, [[1, 2]], [1], "dog"), (None, 0.0, [[3, 3]], [1], "cat")]


def test_boxes_that_share_an_object_id_stay_objects_of_their_own():
    documents = [_box(0, 0, 9, 9, object_id="5"), _box(10, 10, 19, 19, object_id="5"), _point(1, 2, object_id="5")]
    assert [prompt[0] for prompt in _prompts(*documents)] == [(0, 0, 9, 9), (10, 10, 19, 19), None]


def test_points_inside_and_outside_are_grouped_by_object_id():
    documents = [
        _point(1, 1, "inside", object_id="5"),
        _point(2, 2, "Outside", object_id="5"),
        _point(3, 3, "inside"),
        _point(4, 4, "outside"),
        _point(5, 5, "cat"),
    ]
    assert _prompts(*documents, multi_points=True) == [
        (None, 0.0, [[1, 1], [2, 2]], [1, 0], None),
        (None, 0.0, [[3, 3], [4, 4]], [1, 0], None),
        (None, 0.0, [[5, 5]], [1], "cat"),
    ]
    assert [prompt[4] for prompt in _prompts(*documents[2:])] == ["inside", "outside", "cat"]


@pytest.mark.parametrize("made", [{"model": {"name": "m"}}, {}])
def test_only_what_a_person_pointed_at_is_a_prompt(made):
    by_model = _point(1, 1, **made)
    if not made:
        by_model["metadata"]["user"]["model"] = {"name": "m"}
    others = [_document("class", {}), _document("segment", [[]]), _document("binary", "data:")]
    assert _prompts(by_model, *others) == []


def test_attributes_and_parent_travel():
    document = _point(1, 1, object_id="5", parentId="9", attributes={"1": "x"})
    ((_, prompt),) = prompts_from_annotations([document], multi_points=False)
    assert (prompt.attributes, prompt.object_id, prompt.parent_id) == ({"1": "x"}, "5", "9")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (_box(3, 3, 3, 9), "Box .* is empty"),
        (_document("point", {"x": 1}), "Expected the coordinates .* of a point, or .* of a box, but got {'x': 1}"),
        (_document("point", None), "Expected the coordinates"),
        (_document("point", "1, 2"), "Expected the coordinates"),
        (_document("box", [{"x": 1, "y": 1}]), "Expected the coordinates"),
        (_document("box", []), "Expected the coordinates"),
        (_document("box", [{"x": "1", "y": 1}, {"x": "9", "y": 9}]), "'x' is a finite number, but got '1'"),
        (_point(float("nan"), 1), "'x' is a finite number"),
        (_point(1, 10**400), "'y' is a finite number"),
        (_point(1, None), "'y' is a finite number, but got None"),
        (_point(True, 1), "'x' is a finite number, but got True"),
        (_point(1, 1, label=5), "'label' is a text, but got 5"),
        (_point(1, 1, label={"a": 1}), "'label' is a text"),
    ],
)
def test_a_malformed_prompt_is_refused_by_name_and_the_others_stay(document, reason):
    good = {**_point(3, 4), "id": "2"}
    refused, kept = prompts_from_annotations([document, good], multi_points=False)
    assert (refused.name, kept.name) == ("annotation 1", "annotation 2")
    assert isinstance(refused.prompt, RefusedPrompt)
    assert re.search(reason, refused.prompt.reason)
    assert kept.prompt.point_coords.tolist() == [[3, 4]]


@pytest.mark.parametrize(
    "metadata", [None, "text", [], {"system": None}, {"system": "text", "user": 5}, {"user": {"model": 5}}]
)
def test_prompts_do_not_need_their_metadata(metadata):
    document = {**_point(3, 4), "metadata": metadata}
    made_by = isinstance(metadata, dict) and isinstance(metadata.get("user"), dict)
    assert [prompt[2] for prompt in _prompts(document)] == ([] if made_by else [[[3, 4]]])
