"""How far a training is, and how long it still takes, from what it tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

# Measuring shares of what was learned takes, with the last epoch, about as long as this many epochs.
_EPOCHS_OF_THE_END = 1.5


class TeachingProgress:
    """Progress of one training, from its start or from where it goes on."""

    def __init__(self, num_epochs: int, first_epoch: int = 0, now: Callable[[], float] = time.monotonic) -> None:
        """Nothing was heard yet.

        Args:
            num_epochs: largest number of epochs.
            first_epoch: epochs that were done before.
            now: a clock, in seconds.
        """
        self._num_epochs, self._epoch, self._now = num_epochs, first_epoch, now
        self._what, self._done, self._total = "starting", 0, 0
        self._epochs_from: tuple[int, float] | None = None
        self._is_ending = False

    def take(self, message: Json) -> None:
        """Hear a message of the process that teaches."""
        kind = message["news"]
        if kind == "work":
            self._what, self._done, self._total = message["what"], message["done"], message["total"]
            if self._epochs_from is None and self._what.startswith("epoch"):
                self._epochs_from = self._epoch, self._now()
        elif kind == "epoch":
            self._epoch = message["epoch"]["epoch"]
        elif kind == "blend":
            self._is_ending = True

    def shown(self) -> Json:
        """The progress for the page: what is done now, the share of the whole that is done (`None` where that is unknown), seconds left at most."""
        share = min(1.0, self._epoch / self._num_epochs)
        is_known = self._epochs_from is not None
        return {
            "what": "measuring how much of it to use" if self._is_ending else self._what,
            "done": self._done,
            "total": self._total,
            "epoch": self._epoch,
            "numEpochs": self._num_epochs,
            "share": share if is_known or self._epoch else None,
            "secondsLeft": self._seconds_left(),
        }

    def _seconds_left(self) -> float | None:
        if self._epochs_from is None or self._is_ending:
            return None
        first, since = self._epochs_from
        if self._epoch <= first:
            return None
        seconds_of_epoch = (self._now() - since) / (self._epoch - first)
        # Those of the epoch under way count as still to come: an upper bound.
        return seconds_of_epoch * (self._num_epochs - self._epoch + _EPOCHS_OF_THE_END)
