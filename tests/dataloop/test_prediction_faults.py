"""Prediction when the platform fails: retried or reported, never less in silence, nothing twice, nothing deleted too early."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.errors import PlatformError
from tests.dataloop.adapting import BOX, OUTPUT_TYPES, disk_image, make_adapter, no_waits, predictions
from tests.dataloop.gateway.faults import DROPPED, LOST, TRUNCATED, status

STREAM, QUERY, UPLOAD = "/items/{item_id}/stream", "/datasets/{dataset_id}/query", "/items/{item_id}/annotations"


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.fixture
def scene(platform, dl):
    """A dataset of four items with a box each, predicted once, and its adapter."""
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(4)]
    for item in items:
        platform.annotate(item, dl.Box(*BOX, label="cat"), dl.Box(0, 0, 160, 120, label="dog"))
    adapter = make_adapter(platform, dataset)
    adapter.predict_items(items)
    return adapter, items, {item.id: _content(platform, item) for item in items}


def _content(platform, item):
    return [(a["label"], a["coordinates"]) for a in predictions(platform, item)]


@pytest.mark.parametrize("route", [STREAM, QUERY, UPLOAD])
@pytest.mark.parametrize(
    "fault", [status(500), status(429), status(429, 0), status(503), DROPPED, LOST, TRUNCATED], ids=str
)
def test_every_call_survives_every_fault(platform, gateway, scene, route, fault):
    adapter, items, before = scene
    gateway.faults.add(fault, route=route, occurrences={1, 3, 4, 6, 9})

    adapter.predict_items(items, batch_size=2)

    assert len(gateway.faults.injected) >= 3
    assert {item.id: _content(platform, item) for item in items} == before


def test_a_download_that_fails_for_good_is_reported_and_deletes_nothing(platform, gateway, scene):
    adapter, items, before = scene
    gateway.faults.add(status(500), path=f"{items[1].id}/stream")
    with pytest.raises(PlatformError, match=f"id {items[1].id}.*could not be downloaded"):
        adapter.predict_items(items)
    assert {item.id: _content(platform, item) for item in items} == before


@pytest.mark.parametrize("fault", [status(500), status(400), status(413), DROPPED], ids=str)
def test_an_upload_that_fails_for_good_leaves_the_earlier_predictions(platform, gateway, scene, fault):
    adapter, items, before = scene
    kept = {item.id: predictions(platform, item) for item in items}
    gateway.faults.add(fault, method="POST", path=f"/items/{items[2].id}/annotations")
    with pytest.raises(PlatformError, match=f"1 of 4 items.*\n.*{items[2].id}"):
        adapter.predict_items(items)
    assert predictions(platform, items[2]) == kept[items[2].id]
    assert {item.id: _content(platform, item) for item in items} == before


def test_predictions_are_not_deleted_before_the_new_ones_are_stored(gateway, scene):
    adapter, items, _ = scene
    with gateway.counting() as requests:
        adapter.predict_items(items[:1])
    kinds = ["delete" if b'"delete": true' in r.body else r.name for r in requests]
    assert kinds.index("delete") > kinds.index("POST " + UPLOAD)


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_hundreds_of_predictions_are_complete_when_batches_are_lost_and_doubled(
    platform, dl, gateway, output_type, made
):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    boxes = np.random.default_rng(0).integers(45, 75, (250, 2))
    platform.annotate(item, *[dl.Box(x, y, x + 30, y + 20, f"label {n}") for n, (x, y) in enumerate(boxes)])
    adapter = make_adapter(platform, dataset, output_type)
    gateway.faults.add(status(500), route=UPLOAD, occurrences={1})
    gateway.faults.add(LOST, route=UPLOAD, occurrences={1, 3})

    adapter.predict_items([item])

    labels = [a["label"] for a in predictions(platform, item)]
    assert len(gateway.faults.injected) == 3
    assert {*labels} == {f"label {n}" for n in range(250)}
    numbers = [a["metadata"]["user"]["made_by"]["number"] for a in predictions(platform, item)]
    assert sorted(numbers) == list(range(len(numbers)))


def test_a_removal_that_fails_for_good_is_reported_and_made_good_by_the_next_run(platform, gateway, scene):
    adapter, items, before = scene
    gateway.faults.add(status(500), route=QUERY, occurrences=range(2, 100))  # the first one lists, the others remove
    with pytest.raises(PlatformError, match="the 2 earlier ones could not be removed"):
        adapter.predict_items(items[:1])
    gateway.faults.clear()
    assert len(predictions(platform, items[0])) == 4
    adapter.predict_items(items[:1])
    assert _content(platform, items[0]) == before[items[0].id]
