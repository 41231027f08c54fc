"""Evaluation, training data, label colours and empty masks when something goes wrong; memory over many items."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from sam2_adapter.errors import PlatformError
from tests.dataloop.adapting import (
    BOX,
    OUTPUT_TYPES,
    disk_image,
    disk_mask,
    make_adapter,
    no_waits,
    predictions,
)
from tests.dataloop.flows import FLOWS
from tests.dataloop.gateway.faults import status


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


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


def test_a_training_on_fewer_items_does_not_pass_for_one_on_all(platform, gateway):
    scene = FLOWS["train"].scene(platform)
    missing = platform.store.all("items", name="1.png")[0]["id"]
    gateway.faults.add(status(503), path=f"{missing}/stream")
    with pytest.raises(PlatformError, match=rf"Subset 'train': 1 of 3 items were not delivered.*id {missing}"):
        FLOWS["train"].act(scene)


def test_label_colours_that_cannot_be_had_cost_no_prediction(platform, dl, gateway, caplog):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    platform.annotate(item, dl.Box(*BOX, label="dog"))
    adapter = make_adapter(platform, dataset)
    gateway.faults.add(status(500), path="/(recipes|ontologies)/")
    adapter.predict_items([dl.items.get(item_id=item.id)])
    assert gateway.faults.injected
    assert len(predictions(platform, item)) == 1
    assert f"Dataset {dataset.id}: no label colours" in caplog.text


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_a_mask_that_is_empty_gives_no_annotation_and_removes_the_earlier_one(platform, dl, output_type, made):
    dataset = platform.dataset()
    nothing, something = (platform.item(dataset, disk_image(), f"/{name}.png") for name in ("nothing", "something"))
    adapter = make_adapter(platform, dataset, output_type)
    adapter.predict_items([nothing])
    assert [p["type"] for p in predictions(platform, nothing)] == [made]
    # No centre of a pixel lies in it, so that the mask cut at the box is empty whatever the model answers.
    sliver = dl.Box(80.6, 20, 81.4, 100, label="cat")
    platform.annotate(nothing, sliver)
    platform.annotate(something, sliver, dl.Box(*BOX, label="dog"))

    _, annotations = adapter.predict_items([nothing, something])

    assert predictions(platform, nothing) == []
    assert [(p["type"], p["label"]) for p in predictions(platform, something)] == [(made, "dog")]
    assert len(annotations) == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_items(platform, dl):
    """What Python and NumPy hold at the most; images and masks are in it."""
    dataset = platform.dataset()
    for number in range(144):
        folder = "warm-up" if number < 4 else "few" if number < 44 else "many"
        item = platform.item(dataset, disk_image(), f"/{folder}/{number}.png")
        platform.annotate(item, dl.Box(*BOX, label="cat"))
    adapter = make_adapter(platform, dataset)

    def peak(folder):
        filters = dl.Filters(field="dir", values=f"/{folder}")
        gc.collect()
        tracemalloc.start()
        try:
            adapter.predict_dataset(dataset, filters)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak("warm-up")
    few, many = peak("few"), peak("many")
    # A page of items is held as it was listed, about 20 kB an item; the images of 60 items more are not.
    assert many < few + 40 * disk_image().nbytes
