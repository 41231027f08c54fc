"""What a run writes, by name, and how all but the model is written: checkpoints, numbers and the report, none of which is worth losing the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sam2_adapter.config import Config
from sam2_adapter.errors import ExportError, ResumeError, TrainingError
from sam2_adapter.files import write_file
from sam2_adapter.models.weights.tensor_files import told_write_error
from sam2_adapter.ownership import Ownership
from sam2_adapter.training.examples import make_examples
from sam2_adapter.training.quality import ObjectQuality
from sam2_adapter.training.records import (
    METRICS_NAME,
    METRICS_TABLE_NAME,
    REPORT_NAME,
    EpochRecord,
    ScalarLog,
    TrainingResult,
    write_metrics,
)
from sam2_adapter.training.report import facts_of, write_report
from sam2_adapter.training.run_state import (
    STATE_NAME,
    TrainingState,
    checkpoint_path,
    checkpoint_paths,
    has_state,
    load_state,
    save_state,
)
from sam2_adapter.training.setup import EMBEDDINGS_FOLDER, Parts

logger = logging.getLogger(__name__)

CHECKPOINT_FOLDER = "checkpoints"
TENSORBOARD_FOLDER = "tensorboard"


# Called with a file of the run before it is first written.
Claim = Callable[[Path], object]


def claim_nothing(path: Path) -> None:
    """For runs in a folder of the caller."""


@dataclass(frozen=True)
class RunNames:
    """What a run is called.

    Attributes:
        name: of the tuned model.
        base: name of the model that it starts from.
        data: the data set in words; may be empty.
    """

    name: str
    base: str
    data: str


class RunFiles:
    """The files of a run; only the main process writes, and a failure is told and survived."""

    def __init__(self, directory: Path, parts: Parts, names: RunNames, claim: Claim) -> None:
        """Write below `directory`; `claim` is called before a file is first written."""
        self._directory = directory
        self._names = names
        self._claim = claim
        self._claimed: set[Path] = set()
        self._parts = parts
        self.checkpoints = directory / CHECKPOINT_FOLDER
        is_logged = parts.config.tensorboard and parts.is_main
        self._scalars = ScalarLog(directory / TENSORBOARD_FOLDER) if is_logged else None

    def claim_all(self, model_path: Path) -> None:
        """Claim the files that every run writes, before the first of them is written."""
        if self._parts.is_main:
            names = (REPORT_NAME, METRICS_NAME, METRICS_TABLE_NAME)
            for path in (model_path, self.checkpoints / STATE_NAME, *(self._directory / name for name in names)):
                self._claim(path)

    def state_to_resume(self) -> TrainingState | None:
        """The state that this run was left in; see `load_state`."""
        return load_state(self.checkpoints, self._parts.identity)

    def refuse_to_overwrite(self) -> None:
        """Refuse a folder that holds a run.

        Raises:
            TrainingError: it holds one.
        """
        if has_state(self.checkpoints):
            raise TrainingError(
                f"{self._directory} holds a run already ({CHECKPOINT_FOLDER}/{STATE_NAME}). Resume it (--resume), or name another "
                "output folder."
            )

    def take_over(self, content: bytes) -> TrainingState:
        """Make the state of an earlier run that of this one; see `load_state`.

        Raises:
            ResumeError: it is damaged, or of another run.
        """
        path = self.checkpoints / STATE_NAME
        if self._parts.is_main:
            write_file(path, lambda file: file.write(content))
        self._parts.accelerator.wait_for_everyone()
        try:
            state = self.state_to_resume()
        except ResumeError:
            self._parts.accelerator.wait_for_everyone()
            path.unlink(missing_ok=True)
            raise
        assert state is not None  # it was just written
        return state

    def save_checkpoint(self, state: TrainingState) -> Path | None:
        """Write the state, and the checkpoint of its epoch; returns the file of the state, or nothing where that failed."""
        if not self._parts.is_main:
            return None
        try:
            path = checkpoint_path(self.checkpoints, state.epoch)
            if path not in self._claimed:
                self._claim(path)
                self._claimed.add(path)
            return save_state(self.checkpoints, state, self._parts.identity)
        except (OSError, RuntimeError, ExportError) as error:
            logger.warning(
                "No checkpoint of epoch %d (%s): training goes on, %s.",
                state.epoch,
                error if isinstance(error, ExportError) else told_write_error(error),
                "and resumes from the one before"
                if has_state(self.checkpoints)
                else "and there is none yet to resume from",
            )
            return None

    def write_metrics(self, history: Sequence[EpochRecord], outcome: Mapping[str, Any] | None = None) -> None:
        """Write `metrics.json` and `metrics.csv`, at the end with the run's outcome, else with the newest record for TensorBoard too."""
        if not self._parts.is_main:
            return
        try:
            parts = self._parts
            about = {
                "name": self._names.name,
                "base": self._names.base,
                "configuration": parts.identity.settings,
                "image_encoder": parts.embeddings.encoder,
            }
            write_metrics(self._directory, history, {**about, **(outcome or {})})
            if self._scalars is not None and outcome is None:
                self._scalars.write(history[-1])
        except Exception as error:  # whatever it is, training goes on
            logger.warning("No metrics: %s", error)

    def write_report(
        self,
        result: TrainingResult,
        objects: Sequence[ObjectQuality],
        untouched: Mapping[str, torch.Tensor],
        trained: Mapping[str, torch.Tensor],
    ) -> None:
        """Write `report.html`; arguments as in `make_examples`, whose weights the model may have afterwards."""
        if not self._parts.is_main:
            return
        try:
            examples = make_examples(self._parts, objects, untouched, trained)
            write_report(
                self._directory / REPORT_NAME, result, facts_of(self._parts, self._names.data), examples, len(objects)
            )
        except Exception as error:  # whatever it is, the model is saved
            logger.warning("No report: %s", error)


def entries_of_run(config: Config, embeddings_dir: str | Path | None) -> list[str]:
    """The top-level names that a run writes."""
    entries = [config.save_model_name, REPORT_NAME, METRICS_NAME, METRICS_TABLE_NAME, CHECKPOINT_FOLDER]
    entries += [EMBEDDINGS_FOLDER] if embeddings_dir is None and config.disk_mib else []
    return entries + ([TENSORBOARD_FOLDER] if config.tensorboard else [])


_FILES_OF_VERSION_0_1 = frozenset({REPORT_NAME, METRICS_NAME, METRICS_TABLE_NAME})
_FOLDERS_OF_VERSION_0_1 = frozenset({CHECKPOINT_FOLDER, EMBEDDINGS_FOLDER, TENSORBOARD_FOLDER})


def run_of_version_0_1(directory: Path, found: Collection[str]) -> Ownership | None:
    """The run that version 0.1 has left in a folder, which marked nothing: a model, a report, figures, checkpoints, and no more."""
    names = set(found)
    models = {name for name in names if name.endswith(".torch") and not name.startswith(".")}
    known = _FILES_OF_VERSION_0_1 | _FOLDERS_OF_VERSION_0_1 | models
    if not names <= known or len(models) > 1 or not names & {CHECKPOINT_FOLDER, METRICS_NAME}:
        return None
    files = [name for name in names if name in _FILES_OF_VERSION_0_1 | models]
    files += [f"{CHECKPOINT_FOLDER}/{path.name}" for path in checkpoint_paths(directory / CHECKPOINT_FOLDER)]
    files += [f"{CHECKPOINT_FOLDER}/{STATE_NAME}"]
    return Ownership("train", frozenset(names), lambda: files)
