"""Faults on demand, and what the real client makes of them."""

from __future__ import annotations

import time

import pytest

from tests.dataloop.gateway.faults import DROPPED, LOST, Faults, slow, status
from tests.dataloop.trivial_adapter import SETTINGS, BrightAdapter, bright_square

UPLOAD = "/items/{item_id}/annotations"


@pytest.fixture
def item(platform):
    return platform.item(platform.dataset(), bright_square())


def _boxes(dl, count):
    return [dl.Box(i, i, i + 5, i + 5, "cat") for i in range(count)]


@pytest.mark.parametrize("fault", [status(503), status(502), status(429, retry_after=0), DROPPED])
def test_the_client_tries_again(platform, gateway, item, fault):
    gateway.faults.add(fault, route="/items/{item_id}", occurrences={1, 2})
    assert platform.dl.items.get(item_id=item.id).id == item.id
    assert len(gateway.faults.injected) == 2
    assert gateway.requests.by_route()["GET /items/{item_id}"] == 3


@pytest.mark.parametrize(("fault", "error"), [(status(500), "InternalServerError"), (status(429), "UnknownException")])
def test_the_client_gives_up_at_once(platform, gateway, item, fault, error):
    gateway.faults.add(fault, route="/items/{item_id}", occurrences={1})
    with pytest.raises(getattr(platform.dl.exceptions, error)):
        platform.dl.items.get(item_id=item.id)
    assert gateway.requests.by_route()["GET /items/{item_id}"] == 1


def test_the_client_tries_six_times(platform, gateway, item):
    gateway.faults.add(status(503), route="/items/{item_id}")
    start = time.perf_counter()
    with pytest.raises(platform.dl.exceptions.UnknownException, match="503"):
        platform.dl.items.get(item_id=item.id)
    assert len(gateway.faults.injected) == 6
    assert time.perf_counter() - start < 20, "the client's 30 s of waits are shortened"


def test_an_upload_whose_answer_is_lost_is_stored_twice(platform, gateway, item):
    gateway.faults.add(LOST, method="POST", route=UPLOAD, occurrences={1})
    platform.annotate(item, *_boxes(platform.dl, 2))
    assert len(platform.annotations(item)) == 4
    assert [request.status for request in gateway.requests.of(f"POST {UPLOAD}")] == [0, 200]


def test_a_lost_batch_of_many_is_only_logged(platform, gateway, item):
    gateway.faults.add(status(500), method="POST", route=UPLOAD, occurrences={2})
    collection = item.annotations.builder()
    for box in _boxes(platform.dl, 250):
        collection.add(box)
    assert len(item.annotations.upload(collection)) == len(platform.annotations(item)) < 250


def test_a_lost_single_batch_is_a_type_error(platform, gateway, item):
    gateway.faults.add(status(400), method="POST", route=UPLOAD)
    with pytest.raises(TypeError, match="string indices"):
        platform.annotate(item, *_boxes(platform.dl, 2))


def test_when_the_upload_fails_the_earlier_predictions_are_gone(platform, gateway, item):
    adapter = BrightAdapter(platform.model(item.dataset, configuration=dict(SETTINGS)))
    adapter.predict_items([item])
    assert len(platform.annotations(item)) == 1
    gateway.faults.add(status(500), method="POST", route=UPLOAD)
    with pytest.raises(Exception, match="Failed to upload annotations for items"):
        adapter.predict_items([item])
    assert platform.annotations(item) == []


def test_failed_weights_are_only_logged(platform, gateway, item):
    model = platform.model(item.dataset, configuration=dict(SETTINGS))
    adapter = BrightAdapter(model)
    gateway.faults.add(status(500), method="POST", route="/datasets/{dataset_id}/items")
    adapter.save_to_model()
    assert platform.stored_model(model)["artifacts"] == []
    assert len(gateway.faults.injected) == 5


def test_slow_answers_and_latency(platform, gateway, item):
    gateway.faults.add(slow(0.2), route="/items/{item_id}", occurrences={1})
    gateway.latency = 0.05
    start = time.perf_counter()
    platform.dl.items.get(item_id=item.id)
    assert time.perf_counter() - start >= 0.25
    assert [str(injected.fault) for injected in gateway.faults.injected] == ["slow"]


def test_random_faults_are_the_same_for_the_same_seed():
    def hits(seed):
        faults = Faults()
        faults.clear(seed)
        faults.add(status(500), method="GET", probability=0.3)
        return [faults.pick("GET", "/r", "/r") is not None for _ in range(200)]

    assert hits(1) == hits(1) != hits(2)
    assert 30 < sum(hits(1)) < 90


def test_rules_choose_by_method_path_and_number():
    faults = Faults()
    faults.add(status(500), method="POST", path=r"mode=overwrite", times=2)
    answers = [
        faults.pick("POST", "/r", path)
        for path in ("/r?mode=skip", "/r?mode=overwrite", "/r?mode=overwrite", "/r?mode=overwrite")
    ]
    assert [fault is not None for fault in answers] == [False, True, True, False]
    assert faults.pick("GET", "/r", "/r?mode=overwrite") is None
    assert [injected.path for injected in faults.injected] == ["/r?mode=overwrite"] * 2


def test_the_log_counts_a_block_and_the_items(platform, gateway, item):
    with gateway.counting() as counted:
        platform.dl.items.get(item_id=item.id)
        item.annotations.list()
    assert counted.total == 2
    assert counted.by_route() == {"GET /items/{item_id}": 1, "POST /datasets/{dataset_id}/query": 1}
    assert counted.by_item() == {item.id: 2}
