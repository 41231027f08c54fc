"""How far a call is, for the platform's progress object; it never goes back."""

from __future__ import annotations

from typing import Any

# In percent: where the stages of a training begin and end.
_DOWNLOADED, _ENCODED, _TRAINED = 5, 15, 95


def tell(progress: Any, percent: int, message: str) -> None:
    """Tell the platform's progress object, if there is one."""
    if progress is not None:
        progress.update(progress=percent, message=message)


class TrainingProgress:
    """The stages of a training."""

    def __init__(self, progress: Any) -> None:
        """Tell `progress`, the platform's object, if there is one."""
        self._progress = progress
        self._percent = -1

    def start(self) -> None:
        """The data are being downloaded."""
        self._tell(0, "downloading the data")

    def work(self, what: str, done: int, total: int) -> None:
        """Within a stage: what is being done, how much of it is done and how much there is."""
        if what == "encoding images":
            percent = _DOWNLOADED + (_ENCODED - _DOWNLOADED) * done // max(1, total)
            if percent > self._percent:
                self._tell(percent, f"{what}: {done} of {total}")

    def end_epoch(self, i_epoch: int, n_epoch: int) -> None:
        """An epoch, counted from 0, is done."""
        percent = _ENCODED + (_TRAINED - _ENCODED) * (i_epoch + 1) // n_epoch
        self._tell(percent, f"epoch {i_epoch + 1} of {n_epoch}")

    def save(self) -> None:
        """The model is being saved."""
        self._tell(_TRAINED, "saving model")

    def finish(self) -> None:
        """The training is done."""
        self._tell(100, "trained")

    def _tell(self, percent: int, message: str) -> None:
        self._percent = max(self._percent, percent)
        tell(self._progress, self._percent, message)
