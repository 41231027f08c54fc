"""Fine-tuning on the platform: its folders, its callbacks, and what a run leaves behind.

A run works in a folder of its own. The model, the report and the metrics become artifacts; encoded images and
checkpoints do not, but for the state to resume from while the run lasts: the training of an interrupted or failed
execution goes on from it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sam2_adapter.config import Config
from sam2_adapter.dataloop.artifacts import upload_artifacts
from sam2_adapter.dataloop.curves import CurvePublisher
from sam2_adapter.errors import FolderInUseError, ResumeError, TrainingError
from sam2_adapter.files import lock_folder
from sam2_adapter.formats.left_out import Reason
from sam2_adapter.formats.load import Dataset, load_configured_dataset
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.training.events import EpochEnded, Event, OnEvent, StateSaved
from sam2_adapter.training.records import TrainingResult
from sam2_adapter.training.trainer import train

logger = logging.getLogger(__name__)

RESUME_NAME = "unfinished_training.torch"
"""Artifact of a training that is not finished."""

# Of a file beside each folder that a training has made, and may empty.
_MARK_SUFFIX = ".sam2_adapter_training"

# Told the position of a trained epoch, from 0, and the number of epochs, as i_epoch and n_epoch.
OnEpochEnd = Callable[..., None]


@dataclass
class PlatformTraining:
    """One training of a model entity.

    Attributes:
        model: `dl.Model`.
        config: all settings.
        folder: of the run, for checkpoints and encoded images; removed by whoever made it.
        on_epoch_end: the platform's callback.
        on_event: told what goes on.
    """

    model: Any
    config: Config
    folder: Path
    on_epoch_end: OnEpochEnd | None = None
    on_event: OnEvent | None = None
    _saved: StateSaved | None = None
    _uploaded: StateSaved | None = None

    def __post_init__(self) -> None:
        """Publish the curves of this training."""
        self._curves = CurvePublisher(self.model)

    def run(
        self, load: Callable[[], LoadedModel], data_path: Path, output_path: Path, unfinished: bytes | None
    ) -> TrainingResult:
        """Train and put the model, the report and the metrics into `output_path`.

        Args:
            load: gives the model to start from.
            data_path: folder of the subsets.
            output_path: made if missing.
            unfinished: state of an earlier training to go on from, where it fits.

        Raises:
            TrainingError: the training failed or was interrupted; its state is an artifact then.
            DataError: there is nothing to train on.
        """
        dataset = self._read(data_path)
        try:
            result = self._train(load, dataset, unfinished)
        except BaseException:
            self._keep_state()
            raise
        if result.stopped == "interrupted":
            self._keep_state()
            raise TrainingError(
                f"The training was interrupted after epoch {result.epochs}; start it again to go on from there."
            )
        self._curves.publish_outcome(result)
        output_path.mkdir(parents=True, exist_ok=True)
        for path in result.files.values():
            shutil.copyfile(path, output_path / path.name)
        return result

    def _read(self, data_path: Path) -> Dataset:
        dataset = load_configured_dataset(data_path, self.config, "dataloop")
        left_out = dataset.left_out.count(Reason.MODEL_ANNOTATION)
        if left_out:
            logger.warning(
                "%d annotations that a model made are left out of the training; set include_model_annotations to keep them.",
                left_out,
            )
        logger.info("Left out of the training data:\n%s", dataset.left_out)
        return dataset

    def _train(self, load: Callable[[], LoadedModel], dataset: Dataset, unfinished: bytes | None) -> TrainingResult:
        if unfinished is not None:
            try:
                return self._go_on(load(), dataset, unfinished)
            except ResumeError as error:
                logger.warning("The unfinished training does not fit (%s) Starting from the beginning.", error)
        return self._go_on(load(), dataset, None)

    def _go_on(self, loaded: LoadedModel, dataset: Dataset, resume_from: bytes | None) -> TrainingResult:
        return train(
            loaded,
            dataset.samples("train"),
            dataset.samples("validation"),
            self.folder,
            self.config,
            name=self.model.name,
            data="the model's subsets",
            embeddings_dir=self.folder.with_name("embeddings"),
            left_out=dataset.left_out,
            resume_from=resume_from,
            on_event=self._take_note,
        )

    def _take_note(self, event: Event) -> None:
        if self.on_event is not None:
            self.on_event(event)
        if isinstance(event, StateSaved):
            self._saved = event
            if event.stopped is None:
                self._keep_state()
        if isinstance(event, EpochEnded):
            self._curves.publish(event.record)
            if event.record.epoch and self.on_epoch_end is not None:
                self.on_epoch_end(i_epoch=event.record.epoch - 1, n_epoch=self.config.num_epochs)

    def _keep_state(self) -> None:
        """Upload the newest state to resume from, if it is new; a failure does not end the training."""
        if self._saved is None or self._saved == self._uploaded:
            return
        try:
            with TemporaryDirectory() as folder:
                copy = Path(folder, RESUME_NAME)
                copy.write_bytes(self._saved.read())
                upload_artifacts(self.model, [copy])
            self._uploaded = self._saved
        except Exception as error:
            logger.warning("The state of the training could not be kept as an artifact: %s", error)


def empty_folder(folder: Path) -> None:
    """Make a folder, or empty one that this function has made before.

    Raises:
        TrainingError: it holds something that this function knows nothing about.
    """
    mark = folder.with_name(f".{folder.name}{_MARK_SUFFIX}")
    if folder.exists() and not mark.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError(
            f"{folder}: this is no folder of an earlier training and not empty; a training would remove what is in it. Name another one."
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()


@contextmanager
def fresh_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder for one training, empty at the start and gone at the end.

    Raises:
        TrainingError: another training works in it.
    """
    folder, locked = parent / name, parent / "locks" / name
    locked.mkdir(parents=True, exist_ok=True)
    try:
        lock = lock_folder(locked)
    except FolderInUseError:
        raise TrainingError(
            f"The model with the id {name} is being trained on this machine already; wait until that training has ended."
        ) from None
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
