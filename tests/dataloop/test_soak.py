"""Random faults over every flow: nothing is lost, nothing is doubled, and no smaller result passes for a whole one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sam2_adapter.errors import Sam2AdapterError
from tests.dataloop.adapting import no_waits
from tests.dataloop.client import Platform
from tests.dataloop.flows import FLOWS, Flow
from tests.dataloop.gateway.faults import DROPPED, LOST, TRUNCATED, slow, status

FAULTS = (status(500), status(502), status(503), status(429), status(429, 0), DROPPED, LOST, TRUNCATED, slow(0.02))
UPLOAD = "/items/{item_id}/annotations"


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


def _arm(gateway, rng: random.Random, probability: float) -> None:
    """Every request may go wrong, in any way; uploads of annotations twice as often."""
    gateway.faults.clear(seed=rng.randrange(2**32))
    for fault in rng.sample(FAULTS, len(FAULTS)):
        gateway.faults.add(fault, route=UPLOAD, probability=probability / len(FAULTS))
        gateway.faults.add(fault, probability=probability / len(FAULTS))


def _quiet(flow: Flow, dl, gateway) -> tuple[Any, Any]:
    gateway.reset()
    scene = flow.scene(Platform(dl, gateway))
    return flow.act(scene), flow.state(scene)


def _run(flow: Flow, expected: tuple[Any, Any], dl, gateway, rng: random.Random, probability: float) -> tuple[int, str]:
    """One run under faults, and one without where it ended in an error; the number of faults and the error."""
    gateway.reset()
    scene = flow.scene(Platform(dl, gateway))
    _arm(gateway, rng, probability)
    error = ""
    try:
        answer = flow.act(scene)
    except Sam2AdapterError as caught:
        error = f"{type(caught).__name__}: {caught}"
    num_faults = len(gateway.faults.injected)
    gateway.faults.clear()
    if error:
        assert len(error) > 20, error
        answer = flow.act(scene)
    _require_same(flow.state(scene), expected[1])
    assert answer == expected[0]
    assert not gateway.requests.unknown
    return num_faults, error


def _require_same(state: Any, expected: Any, where: str = "state") -> None:
    """Compare part by part, so that a failure shows the part."""
    if isinstance(expected, dict):
        assert sorted(state) == sorted(expected), where
        for key in expected:
            _require_same(state[key], expected[key], f"{where}: {key}")
        return
    assert state == expected, where


def _soak(dl, gateway, names, wanted: int, seed: int, probabilities: tuple[float, float]) -> None:
    rng = random.Random(seed)
    expected = {name: _quiet(FLOWS[name], dl, gateway) for name in names}
    total, errors = 0, []
    while total < wanted:
        for name in names:
            num_faults, error = _run(FLOWS[name], expected[name], dl, gateway, rng, rng.uniform(*probabilities))
            total += num_faults
            errors += [error] * bool(error)
    print(f"{total} faults, {len(errors)} runs that ended in an error and were repeated")
    assert total >= wanted


@pytest.mark.usefixtures("short_click_curve")
@pytest.mark.parametrize(
    ("names", "wanted"), [(("predict masks", "embed", "studio"), 20), (("train",), 7), (("evaluate",), 3)]
)
def test_thirty_random_faults(dl, gateway, names, wanted):
    """In few runs with many faults each."""
    _soak(dl, gateway, names, wanted, 1, (0.2, 0.3))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 7))
def test_two_hundred_random_faults_five_times(dl, gateway, seed):
    _soak(dl, gateway, list(FLOWS), 200, seed, (0.05, 0.3))
