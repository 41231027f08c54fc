"""A prediction that is stored with a model and proves that a reloaded model is the model that was saved."""

from __future__ import annotations

from typing import Any

import torch

from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.network.image_encoder import EncodedImages, encode_image
from sam2_adapter.models.network.mask_decoder import DecodedMasks, decode_masks
from sam2_adapter.models.network.prompt_encoder import encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors

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
