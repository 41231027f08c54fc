"""Requests that are repeated where they may act twice, and listings that are complete or fail."""

from __future__ import annotations

import pytest
import requests

from sam2_adapter.dataloop.platform_requests import (
    MOST_TRIES,
    UnansweredError,
    count_all,
    is_temporary,
    query_all,
    repeated_until_done,
    retried,
    retried_whatever_fails,
    send,
    send_once,
)
from tests.dataloop.adapting import no_waits
from tests.dataloop.gateway.faults import LOST, TRUNCATED, status

QUERY = "/datasets/{dataset_id}/query"
ITEMS = {"filter": {"$and": [{"type": "file"}]}, "resource": "items"}


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.fixture
def dataset(platform):
    return platform.dataset()


@pytest.fixture
def items(platform, dataset):
    return [platform.item(dataset, (8, 8), f"/{number}.png").id for number in range(5)]


@pytest.mark.parametrize("fault", [status(500), status(429), TRUNCATED])
def test_a_request_that_fails_for_a_while_is_sent_again(gateway, dataset, fault):
    gateway.faults.add(fault, route="/datasets/{dataset_id}", occurrences={1, 2})
    assert send("get", f"/datasets/{dataset.id}")["id"] == dataset.id
    assert len(gateway.faults.injected) == 2


def test_a_request_is_given_up_after_five_tries(gateway, dataset):
    gateway.faults.add(status(500), route="/datasets/{dataset_id}")
    with pytest.raises(UnansweredError, match=rf"GET /datasets/{dataset.id}: status 500") as caught:
        send("get", f"/datasets/{dataset.id}")
    assert (caught.value.status, caught.value.is_temporary, len(gateway.faults.injected)) == (500, True, MOST_TRIES)


def test_what_will_never_succeed_is_sent_once(gateway):
    with pytest.raises(UnansweredError, match="status 404") as caught:
        send("get", f"/datasets/{'0' * 24}")
    assert (caught.value.status, caught.value.is_temporary, gateway.requests.total) == (404, False, 1)


def test_a_request_that_must_not_act_twice_is_sent_once(gateway, dataset):
    gateway.faults.add(status(500), route="/datasets/{dataset_id}", occurrences={1})
    with pytest.raises(UnansweredError, match="status 500"):
        send_once("get", f"/datasets/{dataset.id}")
    assert gateway.requests.by_route()["GET /datasets/{dataset_id}"] == 1


def test_an_answer_says_whether_the_sdk_sent_the_request_again(gateway, dataset):
    assert not send_once("get", f"/datasets/{dataset.id}").was_repeated
    gateway.faults.add(LOST, route="/datasets/{dataset_id}", occurrences={1})
    assert send_once("get", f"/datasets/{dataset.id}").was_repeated


def test_what_is_no_json_is_not_sent(gateway, dataset):
    with pytest.raises(UnansweredError, match="not valid JSON") as caught:
        send("post", f"/datasets/{dataset.id}/query", {"x": float("nan")})
    assert (caught.value.is_temporary, gateway.requests.total) == (False, 0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnansweredError("lost"), True),
        (UnansweredError("refused", is_temporary=False), False),
        (requests.exceptions.ConnectionError(), True),
        (requests.exceptions.InvalidJSONError(), False),
        (ValueError("other"), False),
    ],
)
def test_which_failures_may_pass(error, expected):
    assert is_temporary(error) is expected


@pytest.mark.parametrize(("code", "expected"), [("500", True), ("429", True), ("408", True), ("404", False)])
def test_errors_of_the_sdk_may_pass_by_their_status(dl, code, expected):
    with pytest.raises(Exception, match="failed") as caught:  # it is its own class for every status
        dl.exceptions.PlatformException(code, "failed")
    assert is_temporary(caught.value) is expected


def test_other_errors_come_at_once():
    tries = []

    def action():
        tries.append(1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        retried(action)
    assert len(tries) == 1


def test_a_failure_that_lasts_is_named():
    tries = []

    def action():
        tries.append(1)
        raise requests.exceptions.ConnectionError("no route")

    with pytest.raises(UnansweredError, match=f"did not answer in {MOST_TRIES} tries: ConnectionError: no route"):
        retried(action)
    assert len(tries) == MOST_TRIES


def test_all_pages_of_a_query_come_in_order_of_their_ids(gateway, dataset, items, monkeypatch):
    monkeypatch.setattr("sam2_adapter.dataloop.platform_requests.PAGE_SIZE", 2)
    assert [document["id"] for document in query_all(dataset.id, ITEMS)] == sorted(items)
    assert gateway.requests.by_route()[f"POST {QUERY}"] == 3


def test_entries_that_leave_a_query_meanwhile_shift_no_others_away(platform, dataset, items, monkeypatch):
    monkeypatch.setattr("sam2_adapter.dataloop.platform_requests.PAGE_SIZE", 2)
    found = []
    for document in query_all(dataset.id, ITEMS):
        found.append(document["id"])
        platform.store.delete("items", document["id"])
    assert found == sorted(items)


def test_a_page_that_is_refused_is_no_empty_one(gateway, dataset, items):
    gateway.faults.add(status(500), route=QUERY)
    with pytest.raises(UnansweredError, match="status 500"):
        list(query_all(dataset.id, ITEMS))


def test_entries_are_counted(dataset, items):
    assert count_all(dataset.id, ITEMS) == 5


def test_after_any_error_something_is_tried_again_and_the_last_error_comes_as_it_is():
    left = [KeyError("a"), ValueError("b")]

    def fail_twice():
        if left:
            raise left.pop(0)
        return "done"

    assert retried_whatever_fails(fail_twice) == "done"
    tries = []
    with pytest.raises(ZeroDivisionError):
        retried_whatever_fails(lambda: tries.append(1) or 1 / 0)
    assert len(tries) == MOST_TRIES


def test_something_is_repeated_until_it_returns_a_value():
    answers = [None, None, "there"]
    assert repeated_until_done(lambda: answers.pop(0)) == "there"
    tries = []
    assert repeated_until_done(lambda: tries.append(1)) is None
    assert len(tries) == MOST_TRIES
    with pytest.raises(KeyError):
        repeated_until_done(lambda: {}["missing"])
