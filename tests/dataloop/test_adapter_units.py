"""The parts of the adapter that need no platform: settings, prompts, vectors, and whose prediction is whose."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch

from sam2_adapter.annotations.prompts import RefusedPrompt
from sam2_adapter.config import Config
from sam2_adapter.errors import ConfigError
from tests.small_model import small_predictor


@pytest.fixture(autouse=True)
def _client(dl):
    """The modules under test import the client."""


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
    from sam2_adapter.dataloop.prompts_from_annotations import prompts_from_annotations

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
    from sam2_adapter.dataloop.prompts_from_annotations import prompts_from_annotations

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
    from sam2_adapter.dataloop.prompts_from_annotations import prompts_from_annotations

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


def _settings(**configuration):
    from sam2_adapter.dataloop.settings import read_settings

    return read_settings(configuration)


def test_the_platforms_own_keys_are_known_and_others_ignored_with_one_warning(caplog):
    from sam2_adapter.dataloop.settings import PLATFORM_DEFAULTS

    settings = _settings(**PLATFORM_DEFAULTS, id_to_label_map={}, batch_size=7, patience=None, foo=1, bar=2)
    assert settings.config == Config(batch_size=7)
    assert (settings.subset_limit, settings.overwrite_annotations, settings.weights_sha256) == (1000, True, None)
    assert [record.message for record in caplog.records] == ["configuration: ignored the unknown keys bar, foo"]


def test_the_platforms_keys_are_those_of_the_installed_client():
    from dtlpy.ml.base_model_adapter import AdapterDefaults

    from sam2_adapter.dataloop.settings import PLATFORM_DEFAULTS

    defaults = {field.name: field.default for field in dataclasses.fields(AdapterDefaults)}
    assert defaults.items() <= dict(PLATFORM_DEFAULTS).items()


def test_with_a_preset_keys_at_the_missions_default_count_as_not_given():
    listed = {**Config().model_dump(mode="json"), "preset": "recommended", "patience": 3}
    assert _settings(**listed).config == Config(preset="recommended", patience=3)
    assert _settings(**Config().model_dump(mode="json")).config == Config()


def test_a_wrong_value_is_refused():
    with pytest.raises(ConfigError, match="num_epochs = 0 is not allowed"):
        _settings(num_epochs=0)


@pytest.mark.parametrize("size", [1, 16, 32, 100, 1000])
def test_the_vector_of_an_image_has_the_wanted_length_and_norm_one(size):
    from sam2_adapter.dataloop.embedding import pooled_vector

    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    vector = pooled_vector(small_predictor().embed([image])[0], size)
    assert len(vector) == size
    assert all(type(value) is float for value in vector)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_vector_of_the_models_own_width_is_the_mean_over_space():
    from sam2_adapter.dataloop.embedding import pooled_vector

    (embedding,) = small_predictor().embed([np.full((64, 64, 3), 90, np.uint8)])
    mean = embedding.encoded.image_embedding.mean(dim=(0, 2, 3))
    assert pooled_vector(embedding, len(mean)) == pytest.approx((mean / torch.linalg.norm(mean)).tolist(), abs=1e-5)


@pytest.mark.parametrize(("output_type", "holes_kept"), [("mask", True), ("polygon", False)])
def test_parts_survive_and_holes_survive_or_are_reported(platform, caplog, output_type, holes_kept):
    from sam2_adapter.annotations.objects import Annotation
    from sam2_adapter.dataloop.results import make_collection, make_documents
    from sam2_adapter.dataloop.storing import Owner

    mask = np.zeros((60, 80), bool)
    mask[5:35, 5:35], mask[15:25, 15:25], mask[40:55, 50:75] = True, False, True
    item = platform.item(platform.dataset(), (60, 80), "/ring.png")
    annotation = Annotation.from_mask(mask, "cat", 1.0000001)
    documents = make_documents(item, (60, 80), [annotation], Owner("1", "m"), output_type, label_colors={}, made_by={})

    drawn = np.zeros((60, 80), bool)
    for entry in make_collection(item, documents):
        canvas = np.zeros((60, 80), np.uint8)
        shown = entry.annotation_definition.show(canvas, -1, False, 60, 80, None, 1)
        drawn |= shown.astype(bool)
    filled = mask.copy()
    filled[15:25, 15:25] = True
    assert np.array_equal(drawn, mask if holes_kept else filled)
    assert {d["metadata"]["user"]["model"]["confidence"] for d in documents} == {1.0}
    assert [d["metadata"]["user"]["made_by"]["number"] for d in documents] == list(range(len(documents)))
    assert len({d["metadata"]["system"].get("objectId") for d in documents}) == 1
    assert ("has holes of 100 pixels" in caplog.text) is not holes_kept
