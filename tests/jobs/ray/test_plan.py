"""How machines are shared, and the ledger of where workers died."""

from __future__ import annotations

import pytest

from sam2_adapter.jobs.ray.plan import START, Ledger, Machine, Share, share_of


@pytest.mark.parametrize(
    ("machines", "workers", "use_gpus", "expected"),
    [
        ([Machine(2)], 2, True, Share(2, 1)),
        ([Machine(2)], None, True, Share(1, 2)),
        ([Machine(2)], 5, True, Share(5, 1)),
        ([Machine(32), Machine(16), Machine(4)], None, True, Share(6, 8)),
        ([Machine(4), Machine(4)], 3, True, Share(3, 2)),
        ([Machine(16), Machine(2)], 3, True, Share(3, 5)),
        ([Machine(64, gpus=8), Machine(16)], None, True, Share(8, 8, 1.0)),
        ([Machine(8, gpus=4), Machine(8, gpus=2)], None, True, Share(6, 2, 1.0)),
        ([Machine(8, gpus=1)], 3, True, Share(3, 2, 1 / 3)),
        ([Machine(8, gpus=4)], 2, True, Share(2, 2, 1.0)),
        ([Machine(16, gpus=2)], None, False, Share(2, 8)),
        ([], None, True, Share(1, 1)),
    ],
)
def test_machines_are_shared(machines: list[Machine], workers: int | None, use_gpus: bool, expected: Share) -> None:
    assert share_of(machines, workers, use_gpus=use_gpus) == expected


def test_the_ledger_knows_where_processes_died() -> None:
    ledger = Ledger()
    assert ledger.begin("part 1") == {}
    ledger.reach("part 1", 3)
    assert ledger.begin("part 2") == {}
    assert ledger.begin("part 1") == {3: 1}
    assert ledger.begin("part 1") == {3: 1, START: 1}
    ledger.end("part 1")
    assert ledger.begin("part 1") == {}
