"""Evaluation and embeddings on the platform, through the real SDK."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from sam2_adapter.errors import DataError, PlatformError
from tests.dataloop.adapting import (
    OUTPUT_TYPES,
    Recorder,
    adapter_of,
    disk_image,
    disk_mask,
    make_adapter,
    no_waits,
    predictions,
)
from tests.dataloop.gateway.faults import LOST, TRUNCATED, status


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


def _truth(dl, made, label):
    mask = disk_mask()
    return (
        dl.Segmentation(mask.astype(np.uint8), label) if made == "binary" else dl.Polygon.from_segmentation(mask, label)
    )


@pytest.mark.parametrize("drawn", ["binary", "segment"])
@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_evaluation_scores_drawn_objects_whatever_their_type(platform, dl, gateway, output_type, made, drawn):
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(3)]
    for item, label in zip(items, ["cat", "cat", "dog"], strict=True):
        platform.annotate(item, _truth(dl, drawn, label))
    adapter = make_adapter(platform, dataset, output_type)
    before = {item.id: platform.annotations(item) for item in items}
    progress = Recorder()

    model, evaluated = adapter.evaluate_model(adapter.model_entity, dataset, progress=progress)

    assert (model.id, evaluated) == (adapter.model_entity.id, dataset)
    for item in items:
        assert [p["type"] for p in predictions(platform, item)] == [made]
        assert [a for a in platform.annotations(item) if a not in predictions(platform, item)] == before[item.id]
    rows = _score_table(platform, model)
    assert [row["annotation_type"] for row in rows] == [made] * 3
    assert all(float(row["geometry_score"]) > 0.9 and row["first_id"] and row["second_id"] for row in rows)
    names = {item["name"] for item in platform.store.all("items", dir="/.modelscores")}
    assert names == {f"{model.id}.csv", f"{model.id}-interpolated.json"}
    published = {sample["legend"]: sample["data"]["y"] for sample in platform.store.all("metrics")}
    assert set(published) == {"cat", "dog", "all labels"}
    assert all(0.9 < value <= 1 for value in published.values())
    assert progress.percents == sorted(progress.percents)
    assert progress.told[-1] == (100, "evaluated")
    assert not gateway.requests.unknown


def _score_table(platform, model):
    (item,) = [item for item in platform.store.all("items") if item["name"] == f"{model.id}.csv"]
    return list(csv.DictReader(io.StringIO(platform.store.files[item["id"]].decode())))


def test_items_without_truth_are_not_predicted_and_nothing_to_compare_is_an_error(platform, dl):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    adapter = make_adapter(platform, dataset)
    with pytest.raises(DataError, match="has nothing to compare"):
        adapter.evaluate_model(adapter.model_entity, dataset)
    assert predictions(platform, item) == []


def test_embedding_stores_a_vector_of_the_configured_length(platform, dl, gateway):
    dataset = platform.dataset()
    same, twin = (platform.item(dataset, disk_image(), f"/{n}.png") for n in "ab")
    other = platform.item(dataset, (120, 160), "/c.png")
    adapter = make_adapter(platform, dataset, embeddings_size=100)

    items, vectors = adapter.embed_items([same, twin, other])

    assert items == [same, twin, other]
    assert [len(vector) for vector in vectors] == [100] * 3
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert np.dot(vectors[0], vectors[1]) > 0.999 > np.dot(vectors[0], vectors[2])
    stored = {row["entityId"]: row["value"] for row in platform.store.all("features")}
    assert stored == {item.id: vector for item, vector in zip(items, vectors, strict=True)}


def test_a_broken_item_is_named_when_embedding(platform, dl):
    dataset = platform.dataset()
    broken = platform.item(dataset, b"no picture", "/broken.png")
    with pytest.raises(Exception, match=f"broken.png \\(id {broken.id}\\)"):
        make_adapter(platform, dataset).embed_items([broken])


def test_a_broken_item_costs_only_itself_when_embedding(platform, dl):
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(5)]
    broken = platform.item(dataset, b"no picture", "/2b.png")
    adapter = make_adapter(platform, dataset)

    with pytest.raises(PlatformError, match=rf"1 of 6 items could not be embedded.*\n.*\(id {broken.id}\)"):
        adapter.embed_items([*items[:3], broken, *items[3:]])

    assert sorted(row["entityId"] for row in platform.store.all("features")) == sorted(item.id for item in items)


@pytest.mark.parametrize("fault", [status(500), status(429), status(503), LOST, TRUNCATED], ids=str)
def test_embedding_twice_under_faults_leaves_one_vector_an_item(platform, dl, gateway, fault):
    dataset = platform.dataset()
    for n in range(5):
        platform.item(dataset, disk_image(), f"/{n}.png")
    adapter = make_adapter(platform, dataset)
    gateway.faults.add(fault, path="/features/", occurrences={1, 3, 6, 9, 12, 15})

    adapter.embed_dataset(dataset)
    first = {row["entityId"]: row["value"] for row in platform.store.all("features")}
    adapter.embed_dataset(dataset)

    assert len(gateway.faults.injected) >= 4
    rows = platform.store.all("features")
    assert len(rows) == len(first) == 5
    assert {row["entityId"]: row["value"] for row in rows} == first
    assert {row["featureSetId"] for row in rows} <= {row["id"] for row in platform.store.all("feature_sets")}


def test_vectors_of_another_length_are_refused(platform, dl):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    adapter = make_adapter(platform, dataset, embeddings_size=100)
    adapter.embed_items([item])
    model = dl.models.get(model_id=adapter.model_entity.id)
    model.configuration["embeddings_size"] = 50
    with pytest.raises(PlatformError, match="has vectors of length 100, but embeddings_size = 50"):
        adapter_of(model).embed_items([item])


def test_embedding_without_storing(platform, dl):
    dataset = platform.dataset()
    adapter = make_adapter(platform, dataset)
    _, (vector,) = adapter.embed_items([platform.item(dataset, disk_image())], upload_features=False)
    assert len(vector) == 256
    assert platform.store.all("features") == platform.store.all("feature_sets") == []
