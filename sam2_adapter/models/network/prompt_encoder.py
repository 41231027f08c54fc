"""The prompt encoder, composed from the model's weights.

Steps, names and every rounding are those of `Sam2PromptEncoder` of transformers (SAM, https://arxiv.org/abs/2304.02643, appendix A), which it
works without: importing transformers takes longer than a first mask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F

from sam2_adapter.models.network.prompt_tensors import PromptTensors

if TYPE_CHECKING:
    from transformers import Sam2Model

_PREFIX = "prompt_encoder."

# Coordinates are those of pixels, whose centres are meant.
_CENTRE = 0.5

# Rows of the point embeddings: background and foreground have their labels; then the corners of a box.
_FIRST_CORNER = 2

# The label of the token that closes a list of points, and of no point.
_NO_POINT = -1

_NORM_EPS = 1e-6

# Pixels of the square to one of the mask input.
_MASK_STRIDE = 4


class EncodedPrompts(NamedTuple):
    """What the mask decoder needs to know about P prompts of one length.

    Attributes:
        sparse_embeddings: P x T x C, one token per point and box corner and one that closes the list; T may be 0.
        dense_embeddings: P x C x h x w from mask inputs, or 1 x C x 1 x 1 when there are none.
    """

    sparse_embeddings: torch.Tensor
    dense_embeddings: torch.Tensor


class PromptEncoder:
    """Prompts that all have the same parts to `EncodedPrompts`, always in fp32; gradients reach the weights."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], image_size: int) -> None:
        """Take the weights of a model.

        Args:
            tensors: the image model in transformers' layout; those in fp32 are shared.
            image_size: side of the model's square in pixels.
        """
        self._weights = {
            name.removeprefix(_PREFIX): tensor.float() for name, tensor in tensors.items() if name.startswith(_PREFIX)
        }
        self.image_size = image_size

    def __call__(self, prompts: PromptTensors) -> EncodedPrompts:
        """Encode P prompts. Half a pixel is added to coordinates, as SAM does."""
        no_mask = self._weights["no_mask_embed.weight"].reshape(1, -1, 1, 1)
        with torch.autocast(no_mask.device.type, enabled=False):
            parts = []
            if prompts.point_coords is not None and prompts.point_labels is not None:
                is_closed = prompts.box_xyxy is None
                parts.append(self._points(prompts.point_coords, prompts.point_labels, is_closed))
            if prompts.box_xyxy is not None:
                parts.append(self._corners(prompts.box_xyxy))
            dense = no_mask if prompts.mask_input is None else self._mask(prompts.mask_input)
        sparse = torch.cat(parts, dim=1) if parts else dense.new_zeros(len(dense), 0, no_mask.shape[1])
        return EncodedPrompts(sparse, dense)

    def _points(self, coords: torch.Tensor, labels: torch.Tensor, is_closed: bool) -> torch.Tensor:
        """P x N x C, and a token that closes the list where no box follows."""
        coords = coords + _CENTRE
        if is_closed:
            coords = F.pad(coords, (0, 0, 0, 1))
            labels = F.pad(labels, (0, 1), value=_NO_POINT)
        kinds = F.embedding(labels.clamp(min=0), self._weights["point_embed.weight"])
        is_point = (labels != _NO_POINT)[..., None]
        return torch.where(is_point, self._positions(coords) + kinds, self._weights["not_a_point_embed.weight"])

    def _corners(self, boxes: torch.Tensor) -> torch.Tensor:
        """P x 3 x C: two corners and the token that closes the list."""
        corners = self._positions((boxes + _CENTRE).reshape(-1, 2, 2))
        corners = corners + self._weights["point_embed.weight"][_FIRST_CORNER:]
        closing = self._weights["not_a_point_embed.weight"].expand(len(boxes), -1, -1)
        return torch.cat([corners, closing], dim=1)

    def _positions(self, coords: torch.Tensor) -> torch.Tensor:
        """Random Fourier features of ... x 2 pixels (https://arxiv.org/abs/2006.10739), ... x C."""
        in_square = 2 * (coords / self.image_size) - 1
        angles = 2 * math.pi * (in_square @ self._weights["shared_embedding.positional_embedding"])
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def _mask(self, logits: torch.Tensor) -> torch.Tensor:
        """P x C x h x w of P x 4h x 4w."""
        side = self.image_size // _MASK_STRIDE
        x = _resampled(logits, (side, side))[:, None]
        for index in (1, 2):
            x = self._convolved(x, f"mask_embed.conv{index}", stride=2)
            x = F.gelu(self._normed(x, f"mask_embed.layer_norm{index}"))
        return self._convolved(x, "mask_embed.conv3", stride=1)

    def _convolved(self, x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        return F.conv2d(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], stride)

    def _normed(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Layer normalisation of P x C x h x w over C."""
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias, _NORM_EPS).permute(0, 3, 1, 2)


def encode_prompts(model: Sam2Model, prompts: PromptTensors) -> EncodedPrompts:
    """Run the prompt encoder of a model as its weights are now; see `PromptEncoder`."""
    encoder: Any = model.prompt_encoder
    tensors = encoder.state_dict(prefix=_PREFIX, keep_vars=True)
    return PromptEncoder(tensors, encoder.input_image_size)(prompts)


def _resampled(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if logits.shape[-2:] == size:
        return logits
    return F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False, antialias=True)[:, 0]
