"""Training, artifacts, metrics, exports and evaluation with the real base class against the emulator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.dataloop.trivial_adapter import SETTINGS, BrightAdapter, bright_square


@pytest.fixture
def dataset(platform):
    return platform.dataset()


def _subsets(dl):
    return {name: dl.Filters(field="dir", values=f"/{name}") for name in ("train", "validation")}


def _fill(platform, dataset, count):
    """`count` items per subset, all of which have a box, a polygon, a mask, and a prediction of another model."""
    dl = platform.dl
    mask = np.zeros((60, 80), np.uint8)
    mask[:, 40:] = 1
    items = {}
    for subset in ("train", "validation"):
        for i in range(count):
            item = platform.item(dataset, bright_square(), f"/{subset}/{i}.png")
            polygon = dl.Polygon(geo=[[1, 1], [50, 1], [50, 50]], label="cat")
            platform.annotate(item, dl.Box(1, 1, 9, 9, "cat"), polygon, dl.Segmentation(geo=mask, label="cat"))
            platform.annotate(item, polygon, model_info={"name": "other", "model_id": "1" * 24, "confidence": 0.5})
            items[item.filename] = item
    return items


def test_training_on_polygons_reads_the_filtered_export(platform, gateway, dataset):
    _fill(platform, dataset, 2)
    model = platform.model(dataset, output_type="segment", configuration=dict(SETTINGS), subsets=_subsets(platform.dl))
    adapter = BrightAdapter(model)
    adapter.train_model(model)
    expected = ["segment", "binary"]
    assert adapter.seen == {f"{s}/json/{s}/{i}.json": expected for s in ("train", "validation") for i in range(2)}
    stored = platform.stored_model(model)
    assert stored["status"] == "trained"
    assert len(stored["artifacts"]) == 1
    assert [(row["legend"], row["data"]) for row in gateway.store.all("metrics")] == [
        ("train", {"x": 0, "y": 1.0}),
        ("train", {"x": 1, "y": 0.5}),
    ]
    assert gateway.requests.by_route()["POST /datasets/{dataset_id}/export"] == 2
    assert not gateway.requests.unknown


def test_training_on_masks_reads_a_zip_with_everything(platform, gateway, dataset):
    _fill(platform, dataset, 2)
    model = platform.model(dataset, output_type="binary", configuration=dict(SETTINGS), subsets=_subsets(platform.dl))
    adapter = BrightAdapter(model)
    adapter.train_model(model)
    assert sorted(adapter.seen) == [f"{s}/json/{s}/{i}.json" for s in ("train", "validation") for i in range(2)]
    assert all(sorted(types) == ["binary", "box", "segment", "segment"] for types in adapter.seen.values())
    assert not gateway.requests.unknown


@pytest.mark.parametrize(("output_type", "documents"), [("segment", 2), ("binary", 0)])
def test_a_subset_of_one_item_has_no_json_for_masks(platform, dataset, output_type, documents):
    _fill(platform, dataset, 1)
    model = platform.model(
        dataset, output_type=output_type, configuration=dict(SETTINGS), subsets=_subsets(platform.dl)
    )
    adapter = BrightAdapter(model)
    adapter.train_model(model)
    assert len(adapter.seen) == documents


def test_a_fresh_adapter_loads_the_trained_artifact(platform, dataset):
    _fill(platform, dataset, 1)
    model = platform.model(dataset, output_type="segment", configuration=dict(SETTINGS), subsets=_subsets(platform.dl))
    BrightAdapter(model).train_model(model)
    fresh = BrightAdapter(platform.dl.models.get(model_id=model.id))
    assert fresh.loaded_from == ["weights.json"]
    assert fresh.threshold == 100


def test_artifacts_of_a_model_whose_name_begins_alike_are_taken_too(platform, dataset):
    small = platform.model(
        dataset, name="sam", artifacts={"weights.json": b'{"threshold": 1}'}, configuration=dict(SETTINGS)
    )
    platform.model(dataset, name="sam-large", artifacts={"weights.json": b'{"threshold": 2}'})
    adapter = BrightAdapter(small)
    assert adapter.threshold == 1
    adapter.save_to_model()
    names = [
        platform.store.get("items", row["itemId"])["filename"] for row in platform.stored_model(small)["artifacts"]
    ]
    assert sorted(names) == ["/artifacts/models/sam-large/weights.json", "/artifacts/models/sam/weights.json"]


def test_evaluation_writes_score_files(platform, gateway, dataset):
    pytest.importorskip("dtlpymetrics", reason="scores of predictions come from the platform's own package")
    dl = platform.dl
    for i in range(2):
        item = platform.item(dataset, bright_square(), f"/{i}.png")
        platform.annotate(item, dl.Polygon(geo=[[20, 10], [59, 10], [59, 39], [20, 39]], label="cat"))
    model = platform.model(dataset, output_type="segment", configuration=dict(SETTINGS))
    BrightAdapter(model).evaluate_model(model, dataset)
    scores = [item for item in gateway.store.all("items", datasetId=dataset.id) if item["hidden"]]
    assert f"/.modelscores/{model.id}.csv" in [item["filename"] for item in scores]
    table = gateway.store.files[scores[0]["id"]].decode().splitlines()
    assert len(table) == 3
    assert not gateway.requests.unknown


def test_the_items_of_an_export_carry_the_annotations_of_the_query(platform, dataset, tmp_path):
    dl = platform.dl
    items = _fill(platform, dataset, 2)
    only_boxes = dl.Filters(resource=dl.FiltersResource.ANNOTATION, field="type", values="box")
    path = dataset.export(
        local_path=str(tmp_path),
        filters=dl.Filters(field="dir", values="/train"),
        annotation_filters=only_boxes,
        include_annotations=True,
    )
    documents = json.loads(Path(path).read_text())
    assert {row["id"] for row in documents} == {item.id for name, item in items.items() if name.startswith("/train")}
    assert [[annotation["type"] for annotation in row["annotations"]] for row in documents] == [["box"], ["box"]]
