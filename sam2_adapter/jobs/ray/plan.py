"""How a run is shared among machines: what is asked of the process that talks to Ray, who gets what, and where the workers are.

Nothing here imports anything slow, so that this process starts quickly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# The step of a piece of work before its first image.
START = -1

# More cores make one image little faster; more workers make all of them faster.
_MOST_CORES = 8


@dataclass(frozen=True)
class Request:
    """A run, but for its chunks.

    Attributes:
        job: what the workers have in common, a pickled `Job`.
        use_gpus: take GPUs where there are some.
        address: of the cluster; `local` starts one on this machine.
        workers: number of models at work; `None` takes one per GPU, or one for every 8 cores.
        num_chunks: how many chunks follow, each a pickled `Chunk`.
        debug: let Ray say what it does, on stderr.
    """

    job: bytes
    use_gpus: bool
    address: str
    workers: int | None
    num_chunks: int
    debug: bool


class Ledger:
    """Which step every piece of work is at, and at which steps processes died; kept by one process for all workers.

    Ray starts a process that died again, and its work with it. An image that kills every process that reads it, because it needs too
    much memory or because of a fault in a decoder, would be tried for ever; the ledger tells such an image from bad luck.
    """

    def __init__(self) -> None:
        """Nothing has begun."""
        self._step: dict[str, int] = {}
        self._deaths: dict[str, Counter[int]] = {}

    def begin(self, work: str) -> dict[int, int]:
        """Note that a process begins a piece of work; returns at which steps, and how often, others died over it."""
        deaths = self._deaths.setdefault(work, Counter())
        if work in self._step:
            deaths[self._step[work]] += 1
        self._step[work] = START
        return dict(deaths)

    def reach(self, work: str, step: int) -> None:
        """Note that the work has come to a step."""
        self._step[work] = step

    def end(self, work: str) -> None:
        """Note that the work is done."""
        self._step.pop(work, None)
        self._deaths.pop(work, None)


@dataclass(frozen=True)
class Machine:
    """What one machine lends."""

    cores: int
    gpus: int = 0


@dataclass(frozen=True)
class Share:
    """What each worker gets.

    Attributes:
        workers: how many there are.
        cores: of one machine; also the number of its threads.
        gpus: 1, a part of one, or 0.
    """

    workers: int
    cores: int
    gpus: float = 0.0


def share_of(machines: Sequence[Machine], workers: int | None, *, use_gpus: bool) -> Share:
    """Share machines among workers.

    Args:
        machines: all of the cluster.
        workers: how many; `None` takes one per GPU, or without GPUs one for every 8 cores. More than fit wait for others
            to end, or for the cluster to grow.
        use_gpus: take GPUs where there are some.
    """
    with_gpus = [machine for machine in machines if machine.gpus] if use_gpus else []
    if with_gpus:
        count = workers or sum(machine.gpus for machine in with_gpus)
        on_each = next(number for number in range(1, count + 1) if _fit(with_gpus, number) >= count)
        cores = min(machine.cores // (machine.gpus * on_each) for machine in with_gpus)
        return Share(count, min(max(cores, 1), _MOST_CORES), 1 / on_each)
    most = max([1, *(machine.cores for machine in machines)])
    if workers is None:
        cores = min(most, _MOST_CORES)
        return Share(max(1, _fitting(machines, cores)), cores)
    return Share(workers, next((n for n in range(most, 0, -1) if _fitting(machines, n) >= workers), 1))


def _fitting(machines: Sequence[Machine], cores: int) -> int:
    return sum(machine.cores // cores for machine in machines)


def _fit(machines: Sequence[Machine], on_each_gpu: int) -> int:
    return sum(machine.gpus * on_each_gpu for machine in machines)
