"""What the process that talks to Ray asks of it, and what it makes of Ray's failures; `test_run.py` runs it on clusters."""

from __future__ import annotations

import io
import logging
import signal

import pytest
import ray
import ray.data

from sam2_adapter.errors import ConfigError
from sam2_adapter.jobs.ray import driver
from sam2_adapter.jobs.ray.plan import Machine, Share

# Ray warns of settings of its own, which nobody has set.
pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated:DeprecationWarning")


@pytest.mark.parametrize(
    ("share", "num_chunks", "workers", "others"),
    [
        (Share(3, 2), 10, 3, {"num_cpus": 2}),
        (Share(3, 2), 2, 2, {"num_cpus": 2}),
        (Share(4, 1, 0.5), 4, 4, {"num_cpus": 1, "num_gpus": 0.5}),
    ],
)
def test_no_more_workers_than_chunks_and_one_chunk_for_each(share, num_chunks, workers, others):
    said = driver._as_ray_says(share, num_chunks)
    pool = said.pop("compute")
    assert (pool.min_size, pool.max_size, pool.max_tasks_in_flight_per_actor) == (workers, workers, 1)
    assert said == others


def test_machines_that_are_gone_lend_nothing(monkeypatch):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0, "memory": 1e9}},
        {"Alive": False, "Resources": {"CPU": 64.0}},
        {"Alive": True, "Resources": {"memory": 1e9}},
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    assert driver._machines() == [Machine(8, 2), Machine(0, 0)]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (RuntimeError("Traceback:\n  many lines\nNo module named 'sam2_adapter'.\n"), "No module named 'sam2_adapter'"),
        (RuntimeError(""), "RuntimeError"),
        (ValueError(" one line "), "one line"),
    ],
)
def test_the_last_line_of_a_report_says_what_it_was(error, cause):
    assert driver._cause(error) == cause


@pytest.mark.parametrize(
    ("address", "called"), [("local", "A Ray cluster on this machine"), ("ray://far:1", "The Ray cluster ray://far:1")]
)
def test_a_cluster_that_cannot_be_joined_is_named(monkeypatch, address, called):
    def refuse(*_, **__):
        raise ConnectionError("no answer") from PermissionError("many lines\nthe token is wrong.")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ConfigError, match=rf"^{called} cannot be used: no answer: the token is wrong$"):
        driver._join(address, debug=False)


@pytest.mark.parametrize(
    ("address", "debug", "expected"),
    [
        ("local", False, {"logging_level": logging.WARNING, "log_to_driver": False, "include_dashboard": False}),
        ("far:1", True, {"logging_level": logging.INFO, "log_to_driver": True}),
    ],
)
def test_only_a_cluster_of_our_own_is_told_what_to_start(monkeypatch, address, debug, expected):
    asked = []
    monkeypatch.setattr(ray, "init", lambda *given, **options: asked.append((given, options)))
    driver._join(address, debug=debug)
    assert asked == [((address,), expected)]
    assert not ray.data.DataContext.get_current().enable_progress_bars


def test_the_end_of_stdin_ends_the_process(monkeypatch):
    happened = []
    monkeypatch.setattr(signal, "raise_signal", happened.append)
    monkeypatch.setattr(driver.time, "sleep", lambda _: None)
    monkeypatch.setattr(driver.os, "_exit", happened.append)
    driver._end_with(io.BytesIO(b"the rest"))
    assert happened == [signal.SIGTERM, 1]
