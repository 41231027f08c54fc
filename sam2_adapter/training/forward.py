"""The part of the model that is trained, and the forward pass of a training step: prompts, then correction clicks where the answer was wrong.

`TrainableDecoder` shares `encode_prompts`, `decode_masks` and `select_answer` with prediction, so the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sam2_adapter.annotations.clicks import Click, clicks_to_arrays, sample_correction_click
from sam2_adapter.annotations.prompts import BoolArray, FloatArray
from sam2_adapter.config_views import LossWeights, TrainedParts
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.mask_decoder import DecodedMasks, decode_masks, image_position_tokens
from sam2_adapter.models.network.obeyed_clicks import Clicks
from sam2_adapter.models.network.prompt_encoder import encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors, square_positions
from sam2_adapter.models.network.selection import select_answer
from sam2_adapter.training.losses import LossTerms, MaskTargets, training_loss

_TRAINED_PREFIXES: dict[TrainedParts, tuple[str, ...]] = {
    "decoder": ("prompt_encoder.", "mask_decoder."),
    "candidates": (
        *(f"mask_decoder.output_hypernetworks_mlps.{number}." for number in (1, 2, 3)),
        "mask_decoder.iou_prediction_head.",
    ),
}

# Parts of the decoder that only see the image: embeddings are stored behind them, so they stay as they are.
_IMAGE_SIDE_PREFIXES = ("mask_decoder.conv_s0.", "mask_decoder.conv_s1.")

# SAM2 limits logits that are fed back (`sam_mask_decoder` input in `SAM2Base._forward_sam_heads`).
_FED_BACK_LIMIT = 32.0

# A cell belongs to the object when the object covers at least this share of it.
_COVERED = 0.5


def trained_names(model: nn.Module, parts: TrainedParts = "decoder") -> tuple[str, ...]:
    """Names of the trained parameters.

    Args:
        model: of the SAM2 architecture.
        parts: `decoder` for the prompt encoder and the mask decoder without what belongs to the image, `candidates` for the networks that
            draw and score the three candidates of a click.
    """
    return tuple(name for name, _ in model.named_parameters() if _is_trained(name, parts))


def trained_parameters(model: nn.Module, parts: TrainedParts = "decoder") -> dict[str, nn.Parameter]:
    """The trained parameters by name, in the order of `trained_names`."""
    return {name: parameter for name, parameter in model.named_parameters() if _is_trained(name, parts)}


def freeze_all_but_trained(model: nn.Module, parts: TrainedParts = "decoder") -> None:
    """Let gradients flow to the trained parameters and to nothing else."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_is_trained(name, parts))


def _is_trained(name: str, parts: TrainedParts) -> bool:
    return name.startswith(_TRAINED_PREFIXES[parts]) and not name.startswith(_IMAGE_SIDE_PREFIXES)


@dataclass(frozen=True)
class PromptBatch:
    """P objects whose prompts have one shape, ready for the decoder.

    Attributes:
        images: the encoded image of each object (B = P), or one for all (B = 1).
        targets: what the masks should be; their grid is the logits' or finer.
        prompts: what is asked about each.
        num_corrections: rounds that follow the first, each with one more click and the logits of the round before.
        seeds: one number per object, from which its correction clicks are drawn.
        is_ambiguous: the prompts are single clicks or whole images, see `select_answer`.
    """

    images: EncodedImages
    targets: MaskTargets
    prompts: PromptTensors
    num_corrections: int
    seeds: tuple[int, ...]
    is_ambiguous: bool

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.targets.masks)

    def to(self, device: torch.device) -> PromptBatch:
        """The batch with all its tensors on a device."""
        return PromptBatch(
            images=self.images.to(device),
            targets=self.targets.to(device),
            prompts=self.prompts.to(device),
            num_corrections=self.num_corrections,
            seeds=self.seeds,
            is_ambiguous=self.is_ambiguous,
        )


class TrainableDecoder(nn.Module):
    """The model as training sees it: a batch of prompts with all its correction rounds in, losses out."""

    def __init__(
        self,
        loaded: LoadedModel,
        weights: LossWeights,
        dtype: torch.dtype = torch.float32,
        trained_answers: Literal["all", "ends"] = "all",
    ) -> None:
        """Train the model of `loaded` in place.

        Args:
            loaded: the model; see `freeze_all_but_trained`.
            weights: how the parts of the loss count.
            dtype: number format of the mask decoder's arithmetic; prompts and losses stay in fp32.
            trained_answers: `ends` trains the first and the last answer of an object that is corrected, `all` those between too.
        """
        super().__init__()
        self.model = loaded.model
        self._weights = weights
        self._dtype = dtype
        self._trained_answers = trained_answers
        image_size: Any = loaded.model.prompt_encoder.input_image_size
        self._image_size = int(image_size)
        with torch.no_grad():
            self._positions = image_position_tokens(loaded.model)

    def forward(self, batch: PromptBatch) -> LossTerms:
        """Run all rounds of a batch.

        Returns:
            The losses of each object, averaged over the rounds that are trained.
        """
        generators = [np.random.default_rng(seed) for seed in batch.seeds]
        rounds = []
        for index in range(batch.num_corrections + 1):
            is_trained = self._trained_answers == "all" or index in (0, batch.num_corrections)
            with torch.set_grad_enabled(is_trained and torch.is_grad_enabled()):
                decoded = self._decode(batch)
            if is_trained:
                rounds.append(training_loss(on_grid(decoded, batch.targets), batch.targets, self._weights))
            if index < batch.num_corrections:
                batch = self._with_correction(batch, decoded, generators)
        return LossTerms(*(torch.stack(terms).mean(dim=0) for terms in zip(*rounds, strict=True)))

    def _decode(self, batch: PromptBatch) -> DecodedMasks:
        prompts = encode_prompts(self.model, batch.prompts)
        device_type = batch.targets.masks.device.type
        with torch.autocast(device_type, dtype=self._dtype, enabled=self._dtype != torch.float32):
            decoded = decode_masks(self.model, batch.images, prompts, self._positions)
        return DecodedMasks(*(output.float() for output in decoded))

    @torch.no_grad()
    def _with_correction(
        self, batch: PromptBatch, decoded: DecodedMasks, generators: list[np.random.Generator]
    ) -> PromptBatch:
        logits = self._answer(batch, decoded)
        on_target_grid = _resized(logits[:, None], batch.targets)[:, 0]
        coords, labels = correction_clicks(on_target_grid, batch.targets, self._image_size, generators)
        prompts = batch.prompts
        clicked = replace(
            prompts,
            point_coords=coords if prompts.point_coords is None else torch.cat([prompts.point_coords, coords], dim=1),
            point_labels=labels if prompts.point_labels is None else torch.cat([prompts.point_labels, labels], dim=1),
            mask_input=logits.clamp(-_FED_BACK_LIMIT, _FED_BACK_LIMIT),
        )
        return replace(batch, prompts=clicked, is_ambiguous=False)

    def _answer(self, batch: PromptBatch, decoded: DecodedMasks) -> torch.Tensor:
        """The logits P x h x w that prediction would return."""
        coords, labels = batch.prompts.point_coords, batch.prompts.point_labels
        clicks = None
        if coords is not None and labels is not None:
            clicks = Clicks(square_positions(coords, self._image_size), labels)
        return select_answer(decoded, batch.is_ambiguous, clicks, refines=batch.prompts.mask_input is not None)[0][:, 0]


def on_grid(decoded: DecodedMasks, targets: MaskTargets) -> DecodedMasks:
    """The same outputs with logits on the grid of the targets, bilinearly, as prediction upsamples them."""
    return decoded._replace(low_res_logits=_resized(decoded.low_res_logits, targets))


def _resized(logits: torch.Tensor, targets: MaskTargets) -> torch.Tensor:
    grid_hw = targets.masks.shape[-2:]
    if logits.shape[-2:] == grid_hw:
        return logits
    return F.interpolate(logits, size=grid_hw, mode="bilinear", align_corners=False)


def correction_clicks(
    logits: torch.Tensor, targets: MaskTargets, image_size: int, generators: list[np.random.Generator]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one click per object where its last answer was wrong; see `sample_correction_click`.

    Args:
        logits: P x h x w, the last answer on the grid of the targets.
        targets: the same objects.
        image_size: side of the model's square in pixels.
        generators: one per object.

    Returns:
        float32 P x 1 x 2, (x, y) pixels of the model's square, and int64 P x 1 labels.
    """
    predicted = (logits > 0).cpu().numpy()
    covered, inside = targets.masks.cpu().numpy(), targets.inside.cpu().numpy()
    ignored = [None] * len(predicted) if targets.ignored is None else targets.ignored.cpu().numpy()
    clicks = [_click(*parts) for parts in zip(predicted, covered, inside, ignored, generators, strict=True)]
    coords, labels = clicks_to_arrays(clicks)
    cell = image_size / predicted.shape[-1]
    return torch.from_numpy(coords * cell)[:, None].to(logits.device), torch.from_numpy(labels)[:, None].to(
        logits.device
    )


def _click(
    predicted: BoolArray,
    covered: FloatArray,
    inside: FloatArray,
    ignored: BoolArray | None,
    generator: np.random.Generator,
) -> Click:
    # Padding lies to the right and below, and nobody clicks there.
    counts = inside > 0
    height, width = (int(np.flatnonzero(counts.any(axis=axis))[-1]) + 1 for axis in (1, 0))
    covered = covered[:height, :width]
    shown_ignored = None if ignored is None else ignored[:height, :width]
    # An object that covers half of no cell counts as the cells that it covers most.
    object_cells = covered >= min(_COVERED, float(covered.max()))
    return sample_correction_click(object_cells, predicted[:height, :width], generator, ignored=shown_ignored)
