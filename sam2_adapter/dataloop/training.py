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
from typing import Any

from sam2_adapter.config import Config
from sam2_adapter.dataloop.artifacts import upload_artifacts
from sam2_adapter.dataloop.metrics import CurvePublisher
from sam2_adapter.errors import CheckpointError, TrainingError
from sam2_adapter.formats.datasets import load_configured_dataset
from sam2_adapter.formats.left_out import Reason
from sam2_adapter.formats.load import Dataset
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.training.records import EpochRecord, TrainingResult
from sam2_adapter.training.run_files import CHECKPOINT_FOLDER, REPORT_NAME
from sam2_adapter.training.run_state import STATE_NAME
from sam2_adapter.training.setup import Progress
from sam2_adapter.training.trainer import train

logger = logging.getLogger(__name__)

RESUME_NAME = "unfinished_training.torch"
"""Artifact of a training that is not finished."""

METRIC_NAMES = ("metrics.json", "metrics.csv")

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
        on_progress: told what is being done, how much of it is done and how much there is.
    """

    model: Any
    config: Config
    folder: Path
    on_epoch_end: OnEpochEnd | None = None
    on_progress: Progress | None = None
    _uploaded: int | None = None

    def run(
        self, load: Callable[[], LoadedModel], data_path: Path, output_path: Path, unfinished: Path | None
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
        output_path.mkdir(parents=True, exist_ok=True)
        for name in (self.config.save_model_name, REPORT_NAME, *METRIC_NAMES):
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, output_path / name)
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

    def _train(self, load: Callable[[], LoadedModel], dataset: Dataset, unfinished: Path | None) -> TrainingResult:
        if unfinished is None:
            return self._fresh(load(), dataset, resume=False)
        self._state_path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(unfinished, self._state_path)
        self._uploaded = self._state_version()
        try:
            return self._fresh(load(), dataset, resume=True)
        except (TrainingError, CheckpointError) as error:
            if self._state_version() != self._uploaded:
                raise  # it went on, and failed later
            logger.warning("The unfinished training does not fit (%s) Starting anew.", error)
        shutil.rmtree(self._state_path.parent)
        return self._fresh(load(), dataset, resume=False)

    def _fresh(self, loaded: LoadedModel, dataset: Dataset, *, resume: bool) -> TrainingResult:
        curves = CurvePublisher(self.model)

        def end_epoch(record: EpochRecord) -> None:
            curves.publish(record)
            self._keep_state()
            if record.epoch and self.on_epoch_end is not None:
                self.on_epoch_end(i_epoch=record.epoch - 1, n_epoch=self.config.num_epochs)

        return train(
            loaded,
            dataset.samples("train"),
            dataset.samples("validation"),
            self.folder,
            self.config,
            embeddings_dir=self.folder.with_name("embeddings"),
            left_out=dataset.left_out,
            resume=resume,
            on_epoch_end=end_epoch,
            on_progress=self.on_progress,
        )

    def _keep_state(self) -> None:
        """Upload the state to resume from, if it is new; a failure costs no training."""
        version = self._state_version()
        if version in (None, self._uploaded):
            return
        copy = self.folder / RESUME_NAME
        try:
            shutil.copyfile(self._state_path, copy)
            upload_artifacts(self.model, [copy])
            self._uploaded = version
        except Exception as error:
            logger.warning("The state of the training could not be kept as an artifact: %s", error)

    @property
    def _state_path(self) -> Path:
        return self.folder / CHECKPOINT_FOLDER / STATE_NAME

    def _state_version(self) -> int | None:
        """When the state was written, in nanoseconds; each later state replaces the one before."""
        try:
            return self._state_path.stat().st_mtime_ns
        except FileNotFoundError:
            return None


@contextmanager
def fresh_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder for one training, empty at the start and gone at the end."""
    folder = parent / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
