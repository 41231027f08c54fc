"""How the machines of a cluster are shared among workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# More cores make one image little faster; more workers make all of them faster.
_MOST_CORES = 8


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
        workers: how many; `None` takes one a GPU, or without GPUs one for every 8 cores. More than fit wait for others
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
