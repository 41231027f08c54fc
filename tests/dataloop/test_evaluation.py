"""Evaluation on the platform, through the real SDK: scores of drawn objects of either type, and what happens when something fails."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from sam2_adapter.errors import DataError, PlatformError
from tests.dataloop.adapting import OUTPUT_TYPES, Recorder, disk_image, disk_mask, make_adapter, no_waits, predictions
from tests.dataloop.gateway.faults import status


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


def _drawn(platform, dl, count):
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(count)]
    for item in items:
        platform.annotate(item, dl.Segmentation(disk_mask().astype(np.uint8), "cat"))
    return dataset, items


def test_an_evaluation_whose_item_is_broken_names_it_and_predicts_the_others(platform, dl, gateway):
    dataset, items = _drawn(platform, dl, 3)
    gateway.faults.add(status(500), path=f"{items[1].id}/stream")
    adapter = make_adapter(platform, dataset)
    with pytest.raises(PlatformError, match=f"1 of 3 items could not be predicted.*\n.*{items[1].id}"):
        adapter.evaluate_model(adapter.model_entity, dataset)
    assert [len(predictions(platform, item)) for item in items] == [1, 0, 1]
    assert not platform.store.all("items", dir="/.modelscores")


def test_score_files_that_do_not_arrive_are_an_error_and_come_with_the_next_evaluation(platform, dl, gateway):
    dataset, _ = _drawn(platform, dl, 2)
    adapter = make_adapter(platform, dataset)
    gateway.faults.add(status(500), method="POST", route="/datasets/{dataset_id}/items")
    with pytest.raises(PlatformError, match="are stored, but not their scores"):
        adapter.evaluate_model(adapter.model_entity, dataset)
    gateway.faults.clear()
    adapter.evaluate_model(adapter.model_entity, dataset)
    model_id = adapter.model_entity.id
    names = sorted(row["name"] for row in platform.store.all("items", dir="/.modelscores"))
    assert names == [f"{model_id}-interpolated.json", f"{model_id}.csv"]


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_a_damaged_object_costs_only_itself_and_sizes_of_any_kind_are_understood(platform, dl, output_type, made):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image(), "/0.png")
    platform.annotate(item, _truth(dl, made, "cat"))
    (damaged,) = platform.annotate(item, _truth(dl, made, "dog"))
    coordinates = "a mask" if made == "binary" else [[{"x": None, "y": 1}]]
    platform.store.get("annotations", damaged["id"])["coordinates"] = coordinates
    system = platform.store.get("items", item.id)["metadata"]["system"]
    system.update(width=None, height="tall", exif={"Orientation": None})
    adapter = make_adapter(platform, dataset, output_type)

    model, _ = adapter.evaluate_model(adapter.model_entity, dataset)

    assert [p["label"] for p in predictions(platform, item)] == ["cat"]
    (row,) = _score_table(platform, model)
    assert (row["first_label"], row["second_label"], row["annotation_type"]) == ("cat", "cat", made)
    assert float(row["geometry_score"]) > 0.9
