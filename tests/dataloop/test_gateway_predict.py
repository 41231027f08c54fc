"""Prediction flows of the real base class against the emulator; what an adapter relies on, and where it bites."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.dataloop.trivial_adapter import SETTINGS, BrightAdapter, bright_square

RECTANGLE = (slice(10, 40), slice(20, 60))


@pytest.fixture
def dataset(platform):
    return platform.dataset()


def _mask(document):
    data = base64.b64decode(document["coordinates"].partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))[..., 3] > 127


def _predictions(platform, item):
    return [row for row in platform.annotations(item) if "model" in row["metadata"]["user"]]


def test_predictions_are_stored_with_model_and_confidence(platform, gateway, dataset):
    items = [platform.item(dataset, bright_square(), f"/{name}.png") for name in "abc"]
    model = platform.model(dataset, configuration=dict(SETTINGS))
    _, annotations = BrightAdapter(model).predict_items(items)
    assert [annotation.type for annotation in annotations] == ["binary"] * 3
    for item in items:
        (document,) = platform.annotations(item)
        expected = np.zeros((60, 80), bool)
        expected[RECTANGLE] = True
        np.testing.assert_array_equal(_mask(document), expected)
        assert document["metadata"]["system"]["model"] == {"model_id": model.id, "name": "model", "confidence": 0.75}
        assert document["metadata"]["user"]["model"]["model_id"] == model.id
        assert item.id in gateway.requests.by_item()
    assert not gateway.requests.unknown


def test_predicting_again_replaces_the_predictions_of_the_same_model_name_only(platform, dataset):
    dl = platform.dl
    item = platform.item(dataset, bright_square())
    platform.annotate(item, dl.Box(10, 20, 40, 60, "cat"))
    platform.annotate(
        item, dl.Box(1, 1, 5, 5, "cat"), model_info={"name": "other", "model_id": "1" * 24, "confidence": 0.5}
    )
    adapter = BrightAdapter(platform.model(dataset, output_type="segment", configuration=dict(SETTINGS)))
    adapter.predict_items([item])
    first = {row["id"] for row in platform.annotations(item)}
    adapter.predict_items([item])
    rows = platform.annotations(item)
    assert sorted(row["type"] for row in rows) == ["box", "box", "segment"]
    assert len({row["id"] for row in rows} - first) == 1, "the prediction was stored again, the rest was left alone"


def test_a_construction_on_all_settings_sends_no_patch_and_reading_a_missing_one_does(platform, gateway, dataset):
    adapter = BrightAdapter(platform.model(dataset, configuration=dict(SETTINGS)))
    assert gateway.requests.by_route()["PATCH /ml/models/{model_id}"] == 0
    adapter.configuration.get("no_such_setting", 7)
    assert gateway.requests.by_route()["PATCH /ml/models/{model_id}"] == 1
    assert platform.stored_model(adapter.model_entity)["configuration"]["no_such_setting"] == 7


def test_that_patch_takes_back_what_another_process_has_stored(platform, dataset):
    adapter = BrightAdapter(platform.model(dataset, configuration=dict(SETTINGS)))
    other = platform.dl.models.get(model_id=adapter.model_entity.id)
    other.status = "trained"
    other.update()
    assert platform.stored_model(other)["status"] == "trained"
    adapter.configuration.get("no_such_setting", 7)
    assert platform.stored_model(other)["status"] == "pre-trained"


def test_an_item_that_cannot_be_read_arrives_as_none_and_fails_its_batch(platform, dataset):
    items = [platform.item(dataset, bright_square(), "/a.png"), platform.item(dataset, b"no image", "/b.png")]
    items += [platform.item(dataset, bright_square(), f"/{name}.png") for name in "cd"]
    with pytest.raises(Exception, match="Failed to predict all items") as failure:
        BrightAdapter(platform.model(dataset, configuration=dict(SETTINGS))).predict_items(items)
    assert all(item.id in str(failure.value) for item in items[:2])
    assert [len(platform.annotations(item)) for item in items] == [0, 0, 1, 1]


def test_an_exception_while_preparing_an_item_loses_the_rest(platform, dataset):
    class Refusing(BrightAdapter):
        def prepare_item_func(self, item):
            raise ValueError(f"cannot prepare {item.name}")

    items = [platform.item(dataset, bright_square(), f"/{name}.png") for name in "abcd"]
    with pytest.raises(ValueError, match="cannot prepare"):
        Refusing(platform.model(dataset, configuration=dict(SETTINGS))).predict_items(items)
    assert [len(platform.annotations(item)) for item in items] == [0, 0, 0, 0]


def test_a_dataset_is_predicted_by_filter(platform, gateway, dataset):
    dl = platform.dl
    items = [
        platform.item(dataset, bright_square(), name) for name in ("/a/1.png", "/a/2.png", "/b/1.png", "/.hidden/1.png")
    ]
    adapter = BrightAdapter(platform.model(dataset, configuration=dict(SETTINGS)))
    adapter.predict_dataset(dataset, filters=dl.Filters(field="dir", values="/a"))
    assert [len(_predictions(platform, item)) for item in items] == [1, 1, 0, 0]
    adapter.predict_dataset(dataset)
    assert [len(_predictions(platform, item)) for item in items] == [1, 1, 1, 0]
    assert not gateway.requests.unknown


def test_more_items_than_the_limit_need_a_deployed_service(platform, dataset):
    for i in range(5):
        platform.item(dataset, bright_square(), f"/{i}.png")
    model = platform.model(dataset, configuration={**SETTINGS, "predict_embed_subset_limit": 2})
    with pytest.raises(ValueError, match="doesnt have any associated services"):
        BrightAdapter(model).predict_dataset(dataset)


def test_requests_per_item(platform, gateway, dataset):
    items = [platform.item(dataset, bright_square(), f"/{i}.png") for i in range(8)]
    adapter = BrightAdapter(platform.model(dataset, configuration=dict(SETTINGS)))
    adapter.predict_items(items[:2])
    with gateway.counting() as requests:
        adapter.predict_items(items[2:])
    assert requests.by_item() == {item.id: 3 for item in items[2:]}, "stream, delete, upload"
    assert requests.of("GET /items/{item_id}/stream").total == 6
