"""How far a call is, for the platform's progress object; it never goes back."""

from __future__ import annotations

from typing import Any

from sam2_adapter.training.events import EncodingImages, Event

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

    def show(self, event: Event) -> None:
        """What a run tells; epochs are told by the platform's own callback, `end_epoch`."""
        if isinstance(event, EncodingImages):
            percent = _DOWNLOADED + (_ENCODED - _DOWNLOADED) * event.done // max(1, event.total)
            if percent > self._percent:
                self._tell(percent, f"{event.what}: {event.done} of {event.total}")

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
