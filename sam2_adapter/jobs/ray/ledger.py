"""The ledger of a run: which step every piece of work is at, and at which steps processes died.

Ray starts a process that died again, and its work with it. An image that kills every process that reads it, for want of
memory or by a fault in a decoder, would so be tried for ever; the ledger tells such an image from bad luck.
"""

from __future__ import annotations

from collections import Counter

# The step of a piece of work before its first image.
START = -1


class Ledger:
    """Kept by one process for all workers."""

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
