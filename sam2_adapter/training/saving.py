"""The saved model: complete, in Meta's layout, with where it comes from and a stored prediction; kept usable when the disk is full."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sam2_adapter.errors import CheckpointError, TrainingError
from sam2_adapter.models.load import LoadedModel, load_model
from sam2_adapter.models.network.image_encoder import EncodedImages, encode_image
from sam2_adapter.models.network.mask_decoder import DecodedMasks, decode_masks
from sam2_adapter.models.network.prompt_encoder import encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from sam2_adapter.models.weights.checkpoint import require_video_tensors, save_checkpoint
from sam2_adapter.models.weights.tensor_files import told_write_error
from sam2_adapter.training.run_state import BestModel, has_state, prune

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
                told_write_error(error),
            )

    def supersede(self, metadata: Mapping[str, Any]) -> None:
        """What `finish` is given is another model than the one that was saved, with `metadata` beside the weights as well."""
        self.metadata = {**self.metadata, **metadata}
        self._is_pending = True

    def add(self, best: BestModel, metadata: Mapping[str, Any]) -> None:
        """Write the model that `finish` is given once more, with `metadata` beside it as well; where that fails, the one without it stays."""
        self.metadata = {**self.metadata, **metadata}
        was_pending = self._is_pending
        self.save(best)
        self._is_pending = was_pending and self._is_pending

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
                f"What was there before is still there. Free some space and resume: the run {self._told_resuming()}."
            )
        reloaded = load_model(self.path)
        check_proof(reloaded)
        return reloaded.weights_sha256

    def _told_resuming(self) -> str:
        if has_state(self.checkpoints):
            return "goes on from the state that it has saved"
        return "begins again, since no state of it could be saved either"

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


# Key of the stored prediction among a model's metadata.
PROOF_KEY = "stored_prediction"

# Largest difference of logits, as a part of their spread, that another machine's arithmetic explains.
_TOLERANCE = 0.02


class Prover:
    """Makes stored predictions of a model whose image encoder does not change."""

    def __init__(self, loaded: LoadedModel) -> None:
        """Encode the test picture once."""
        self._loaded = loaded
        with torch.no_grad():
            self._encoded = encode_image(loaded.model, _test_picture(loaded))

    def prove(self) -> dict[str, torch.Tensor]:
        """The answers to a box and to a click on the test picture, fp32 on the CPU."""
        decoded = _answers(self._loaded, self._encoded)
        return {"low_res_logits": decoded.low_res_logits.cpu(), "iou_scores": decoded.iou_scores.cpu()}


def check_proof(loaded: LoadedModel) -> float:
    """Compare a model's answers with those that were stored when it was saved.

    Returns:
        The largest difference of logits as a part of their standard deviation.

    Raises:
        CheckpointError: nothing is stored, or the answers differ.
    """
    stored: Any = loaded.metadata.get(PROOF_KEY)
    if not isinstance(stored, dict):
        raise CheckpointError(
            f"{loaded.path} holds no stored prediction; only models that sam2-adapter has trained do."
        )
    decoded = _answers(loaded, None)
    differences = [
        _difference(decoded.low_res_logits.cpu(), stored.get("low_res_logits")),
        _difference(decoded.iou_scores.cpu(), stored.get("iou_scores")),
    ]
    worst = max(differences)
    if not worst <= _TOLERANCE:
        raise CheckpointError(
            f"{loaded.path} answers otherwise than when it was saved (difference {worst:.3g}, allowed {_TOLERANCE:g}). "
            "The file or this installation is damaged."
        )
    return worst


@torch.no_grad()
def _answers(loaded: LoadedModel, encoded: EncodedImages | None) -> DecodedMasks:
    model = loaded.model
    device = model.no_memory_embedding.device
    size: Any = model.prompt_encoder.input_image_size
    images = encode_image(model, _test_picture(loaded)) if encoded is None else encoded
    box = torch.tensor([[0.25, 0.2, 0.7, 0.8]], device=device) * size
    click = torch.tensor([[[0.4, 0.6]]], device=device) * size
    labels = torch.ones(1, 1, dtype=torch.int64, device=device)
    decoded = [
        decode_masks(model, images, encode_prompts(model, prompt))
        for prompt in (PromptTensors(box_xyxy=box), PromptTensors(click, labels))
    ]
    return DecodedMasks(*(torch.cat(parts) for parts in zip(*decoded, strict=True)))


def _test_picture(loaded: LoadedModel) -> torch.Tensor:
    """Waves of several lengths, float32 1 x 3 x S x S about 0; the same on every machine."""
    size: Any = loaded.model.prompt_encoder.input_image_size
    x = torch.linspace(0, 1, size)
    waves = [
        torch.sin(k * x[None] + 2 * k * x[:, None]) + torch.cos(3 * k * x[None] * x[:, None]) for k in (3.0, 7.0, 20.0)
    ]
    return torch.stack(waves)[None].to(loaded.model.no_memory_embedding.device)


def _difference(first: torch.Tensor, second: Any) -> float:
    if not isinstance(second, torch.Tensor) or first.shape != second.shape or first.dtype != second.dtype:
        return float("inf")
    return float((first - second).abs().max() / second.std().clamp_min(1e-6))
