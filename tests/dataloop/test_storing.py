"""Storing predictions: whose they are, in place of earlier ones, and each once when executions meet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sam2_adapter.dataloop.storing import Owner, list_annotations, store_predictions
from tests.dataloop.adapting import no_waits
from tests.dataloop.gateway.faults import status

OWNER = Owner("7" * 24, "mine")
QUERY = "/datasets/{dataset_id}/query"


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.fixture
def item(platform):
    return platform.item(platform.dataset(), (60, 80), "/a.png")


def _documents(item, count, label="cat"):
    model = {"name": OWNER.model_name, "model_id": OWNER.model_id, "confidence": 0.5}
    return [
        {
            "type": "point",
            "label": f"{label} {number}",
            "coordinates": {"x": number, "y": 1},
            "itemId": item.id,
            "datasetId": item.dataset_id,
            "metadata": {"user": {"model": model, "made_by": {"number": number}}, "system": {"model": model}},
        }
        for number in range(count)
    ]


def _store(item, documents, earlier_ids=()):
    return store_predictions(item.id, item.dataset_id, OWNER, documents, earlier_ids)


def _labels(platform, item):
    return [document["label"] for document in platform.annotations(item)]


@pytest.mark.parametrize(
    ("space", "model", "is_own"),
    [
        ("user", {"model_id": "7", "name": "renamed"}, True),
        ("system", {"model_id": "7"}, True),
        ("user", {"name": "mine"}, True),
        ("user", {"model_id": "8", "name": "mine"}, False),
        ("user", {"name": "other"}, False),
        ("system", None, False),
        ("user", "mine", False),
    ],
)
def test_whose_prediction_an_annotation_is(space, model, is_own):
    assert Owner("7", "mine").made({"metadata": {space: {"model": model}}}) is is_own


@pytest.mark.parametrize("metadata", [None, "text", [], {"user": "text"}])
def test_an_annotation_without_usable_metadata_is_nobodys(metadata):
    assert not OWNER.made({"metadata": metadata})


def test_a_prediction_without_objects_replaces_the_earlier_one(platform, dl, item):
    (earlier,) = _store(item, _documents(item, 1))
    (drawn,) = platform.annotate(item, dl.Box(2, 2, 9, 9, "cat"))
    assert _store(item, [], [earlier["id"]]) == []
    assert platform.annotations(item) == [drawn]


def test_two_executions_that_both_found_the_item_empty_leave_each_prediction_once(platform, item):
    first = _store(item, _documents(item, 120, "first"))
    second = _store(item, _documents(item, 120, "second"))
    assert [document["label"] for document in second] == [document["label"] for document in first]
    assert _labels(platform, item) == [f"first {number}" for number in range(120)]


def test_two_executions_that_both_found_earlier_predictions_replace_them_once(platform, item):
    earlier = [document["id"] for document in _store(item, _documents(item, 3, "earlier"))]
    _store(item, _documents(item, 2, "first"), earlier)
    _store(item, _documents(item, 3, "second"), earlier)
    assert _labels(platform, item) == ["first 0", "first 1", "second 2"]


def test_five_executions_at_once_leave_each_prediction_once(platform, item):
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda name: _store(item, _documents(item, 4, name)), "abcde"))
    assert sorted(label.split()[1] for label in _labels(platform, item)) == ["0", "1", "2", "3"]


def test_predictions_that_the_model_made_in_another_way_stay(platform, item):
    other = _documents(item, 2, "other")
    for document in other:
        del document["metadata"]["user"]["made_by"]
    platform.dl.client_api.gen_request(req_type="post", path=f"/items/{item.id}/annotations", json_req=other)
    _store(item, _documents(item, 2, "first"))
    assert _labels(platform, item) == ["other 0", "other 1", "first 0", "first 1"]


def test_predictions_are_stored_where_they_cannot_be_counted(platform, gateway, item, caplog):
    gateway.faults.add(status(500), route=QUERY)
    assert len(_store(item, _documents(item, 2))) == 2
    gateway.faults.clear()
    assert len(list_annotations(item.id, item.dataset_id)) == 2
    assert "whether another execution has stored the same predictions could not be found out" in caplog.text
