"""The saved model: complete, in Meta's layout, with where it comes from and a stored prediction; kept usable when the disk is full."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sam2_adapter.errors import TrainingError
from sam2_adapter.models.load import LoadedModel, load_model
from sam2_adapter.models.weights.checkpoint import require_video_tensors, save_checkpoint
from sam2_adapter.training.proof import PROOF_KEY, Prover, check_proof
from sam2_adapter.training.run_state import BestModel, prune

logger = logging.getLogger(__name__)


@dataclass
class ModelSaver:
    """Writes the best model, replacing the one before it only when the new one is complete.

    Attributes:
        path: where the model is saved.
        loaded: the model that is trained; its frozen part is taken from here.
        prover: makes the stored prediction.
        metadata: plain values to store beside the weights.
        checkpoints: folder whose checkpoints are given up when there is no space for the model.
    """

    path: Path
    loaded: LoadedModel
    prover: Prover
    metadata: dict[str, Any]
    checkpoints: Path
    _is_pending: bool = True

    def require_savable(self) -> None:
        """Refuse before training what could not be saved after it.

        Raises:
            CheckpointError: the base weights lack the video memory that belongs into a complete file.
            TrainingError: the folder cannot be written to.
        """
        require_video_tensors(self.loaded.architecture, self.loaded.video_tensors, str(self.path))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            probe = self.path.with_name(f".{self.path.name}.probe")
            probe.touch()
            # Processes that share a run may do this at the same time.
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(
                f"{self.path.parent} cannot be written to ({error}). Name another output folder."
            ) from error

    def save(self, best: BestModel) -> None:
        """Save a model whose trained part the model has at this moment; a failure is told and made good by `finish`."""
        self._is_pending = True
        metadata = {**self.metadata, "epoch": best.epoch, "score": best.score, PROOF_KEY: self.prover.prove()}
        try:
            self._write(best.trained, metadata)
            self._is_pending = False
        except (OSError, RuntimeError) as error:
            logger.warning(
                "%s could not be written (%s). The best model is kept in memory and written at the end: free some space meanwhile.",
                self.path,
                _reason(error),
            )

    def finish(self, best: BestModel) -> str:
        """Make sure that the best model is saved, reload it and compare its answers with the stored ones.

        Args:
            best: the best model, whose trained part the model has at this moment.

        Returns:
            The identity of the saved weights.

        Raises:
            TrainingError: it cannot be written.
            CheckpointError: the reloaded model answers otherwise.
        """
        if self._is_pending:
            self.save(best)
        if self._is_pending:
            raise TrainingError(
                f"The best model (epoch {best.epoch}) could not be written to {self.path}: the disk is full or cannot be written to. "
                "What was there before is still there. Free some space and resume: the run goes on from the state that it has saved."
            )
        reloaded = load_model(self.path)
        check_proof(reloaded)
        return reloaded.weights_sha256

    def _write(self, trained: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
        state = {**self.loaded.state, **trained}
        video_tensors = self.loaded.video_tensors or None
        try:
            save_checkpoint(self.path, state, self.loaded.architecture, video_tensors=video_tensors, metadata=metadata)
        except (OSError, RuntimeError) as error:
            if not _is_full(error):
                raise
            # Checkpoints of earlier epochs are worth less than the model; the state lets the run resume.
            prune(self.checkpoints, 1)
            save_checkpoint(self.path, state, self.loaded.architecture, video_tensors=video_tensors, metadata=metadata)


def _is_full(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    )


def _reason(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or str(error).partition("\n")[0])
