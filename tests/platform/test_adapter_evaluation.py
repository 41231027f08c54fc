"""Evaluation and embeddings on the platform, through the real SDK."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from sam2_adapter.errors import DataError
from tests.platform.adapting import OUTPUT_TYPES, Recorder, disk_image, disk_mask, make_adapter, no_waits, predictions


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
