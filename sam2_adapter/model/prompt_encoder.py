"""The prompt encoder."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from transformers import Sam2Model


class EncodedPrompts(NamedTuple):
    """What the mask decoder needs to know about P prompts of one length.

    Attributes:
        sparse_embeddings: P x T x C, one token per point and box corner and one that closes the list; T may be 0.
        dense_embeddings: P x C x h x w from mask inputs, or 1 x C x 1 x 1 when there are none.
    """

    sparse_embeddings: torch.Tensor
    dense_embeddings: torch.Tensor


def encode_prompts(
    model: Sam2Model,
    point_coords: torch.Tensor | None,
    point_labels: torch.Tensor | None,
    box_xyxy: torch.Tensor | None,
    mask_input: torch.Tensor | None,
) -> EncodedPrompts:
    """Run the prompt encoder on P prompts that all have the same parts; always in fp32.

    Args:
        model: the model.
        point_coords: float32 P x N x 2, (x, y) pixels of the model's square; N > 0.
        point_labels: int64 P x N, 1 foreground, 0 background.
        box_xyxy: float32 P x 4, pixels of the model's square.
        mask_input: float32 P x h x w logits; other sizes are resampled to the encoder's.

    Half a pixel is added to coordinates inside the prompt encoder, as SAM does.
    """
    encoder = model.prompt_encoder
    with torch.autocast(encoder.point_embed.weight.device.type, enabled=False):
        sparse = _sparse_embeddings(model, point_coords, point_labels, box_xyxy)
        if mask_input is None:
            dense = encoder.no_mask_embed.weight.view(1, -1, 1, 1)
        else:
            dense = encoder.mask_embed(_resampled(mask_input, encoder.mask_input_size)[:, None])
    if sparse is None:
        sparse = dense.new_zeros(len(dense), 0, encoder.hidden_size)
    return EncodedPrompts(sparse, dense)


def _sparse_embeddings(
    model: Sam2Model,
    point_coords: torch.Tensor | None,
    point_labels: torch.Tensor | None,
    box_xyxy: torch.Tensor | None,
) -> torch.Tensor | None:
    if point_coords is None and box_xyxy is None:
        return None
    sparse, _ = model.prompt_encoder(
        input_points=None if point_coords is None else point_coords[None],
        input_labels=None if point_labels is None else point_labels[None],
        input_boxes=None if box_xyxy is None else box_xyxy[None],
        input_masks=None,
    )
    return sparse[0]  # type: ignore[no-any-return]


def _resampled(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if logits.shape[-2:] == tuple(size):
        return logits
    return F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False, antialias=True)[:, 0]
