"""What a run tells while it works: one small value per event, told in the main process only.

def show(event: Event) -> None:
    match event:
        case Work(done=done, total=total):
            print(f"{event.what}: {done} of {total}")
        case EpochEnded(record=record):
            print(record.score)

fine_tune("my_data", "run", on_event=show)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_adapter.formats.load import Dataset

if TYPE_CHECKING:
    from sam2_adapter.training.blend_choice import BlendPoint
    from sam2_adapter.training.general import GeneralQuality
    from sam2_adapter.training.records import EpochRecord, StopReason


@dataclass(frozen=True)
class Event:
    """Something that a run tells."""


@dataclass(frozen=True)
class DataRead(Event):
    """The data set is read; told by `fine_tune`."""

    dataset: Dataset


@dataclass(frozen=True)
class Work(Event):
    """A part of the work goes on.

    Attributes:
        done: how much of it is done, in images or steps.
        total: how much there is.
    """

    done: int
    total: int

    @property
    def what(self) -> str:
        """The part of the work, in words."""
        return "working"


@dataclass(frozen=True)
class EncodingImages(Work):
    """Images are read and encoded, once per run."""

    @property
    def what(self) -> str:
        """In words."""
        return "encoding images"


@dataclass(frozen=True)
class TrainingSteps(Work):
    """Optimizer steps of an epoch are taken.

    Attributes:
        epoch: counted from 1.
        num_epochs: largest number of epochs.
    """

    epoch: int
    num_epochs: int

    @property
    def what(self) -> str:
        """In words."""
        return f"epoch {self.epoch} of {self.num_epochs}"


@dataclass(frozen=True)
class MeasuringImages(Work):
    """The validation images are measured."""

    @property
    def what(self) -> str:
        """In words."""
        return "measuring"


@dataclass(frozen=True)
class EpochEnded(Event):
    """An epoch was trained and measured; epoch 0, the untouched model, is measured only."""

    record: EpochRecord


@dataclass(frozen=True)
class GeneralMeasured(Event):
    """The general set was measured: with the untouched model before the first epoch, and with the saved one at the end.

    Attributes:
        quality: means over its objects.
        is_saved_model: of the saved model, not of the untouched one.
    """

    quality: GeneralQuality
    is_saved_model: bool


@dataclass(frozen=True)
class BlendMeasured(Event):
    """A share of the tuned weights was measured, at the end of a run; shares come in ascending order."""

    point: BlendPoint


@dataclass(frozen=True)
class StateSaved(Event):
    """The state of the run is on disk: a run that is given it as `resume_from` goes on from there.

    Attributes:
        epoch: the last epoch that it knows.
        stopped: why the run ends with it; `None` while the run goes on.
        path: the file, which the next state replaces.
    """

    epoch: int
    stopped: StopReason | None
    path: Path

    def read(self) -> bytes:
        """The state; see `resume_from` of `train`.

        Raises:
            OSError: it cannot be read.
        """
        return self.path.read_bytes()


OnEvent = Callable[[Event], None]


def tell_nobody(event: Event) -> None:
    """For runs that nobody watches."""


def is_first_process() -> bool:
    """Whether this process writes files and talks, as the variable that `torchrun` and `accelerate launch` set says."""
    return os.environ.get("RANK", "0") == "0"
