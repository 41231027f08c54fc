"""From image tokens to mask logits: the mask decoder's upscaling, written as matrix products.

A transposed convolution whose 2 x 2 kernel has stride 2 gives every cell four cells of its own: it is a linear layer on
cells. So channels stay innermost in memory, cells stay grouped by the token that they come from, and only the finished
logits, which have 4 channels instead of 32, are put in the order of the image. On a CPU this takes 0.6 of the time of
the convolutions in training, and the numbers are the same up to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from sam2_adapter.models.network.image_encoder import EncodedImages

if TYPE_CHECKING:
    from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder


def mask_logits(
    decoder: Sam2MaskDecoder, mask_tokens: torch.Tensor, image_tokens: torch.Tensor, images: EncodedImages
) -> torch.Tensor:
    """Upscale the image fourfold and take its inner product with what each mask token asks for.

    Args:
        decoder: gives the weights.
        mask_tokens: P x K x C, behind the transformer.
        image_tokens: P x (h w) x C, behind the transformer.
        images: gives the size h x w and the high-resolution features, for one image or for P.

    Returns:
        P x K x 4h x 4w.
    """
    fine, middle = images.high_res_features
    norm = decoder.upscale_layer_norm
    cells = _upscaled(decoder.upscale_conv1, image_tokens) + _grouped(middle, 1)
    cells = decoder.activation(F.layer_norm(cells, norm.normalized_shape, norm.weight, norm.bias, norm.eps))
    cells = decoder.activation(_upscaled(decoder.upscale_conv2, cells) + _grouped(fine, 2))
    mlps = decoder.output_hypernetworks_mlps
    weights = torch.stack([mlp(token) for mlp, token in zip(mlps, mask_tokens.unbind(1), strict=True)], dim=1)
    # In this order the gradient of the cells lies in memory as they do; in another the activation's backward is 6 times slower.
    return _ungrouped(cells @ weights.transpose(1, 2), *images.image_embedding.shape[-2:])


def _upscaled(convolution: torch.nn.ConvTranspose2d, cells: torch.Tensor) -> torch.Tensor:
    """B x N x C to B x 4N x D: the four cells of each cell, row by row."""
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    assert convolution.bias is not None
    return F.linear(cells, weight, convolution.bias.repeat(4)).reshape(len(cells), -1, convolution.out_channels)


def _grouped(features: torch.Tensor, levels: int) -> torch.Tensor:
    """B x C x H x W to B x (H W) x C, the cells of every 2^levels x 2^levels block together, level by level."""
    batch, channels, height, width = features.shape
    side = 2**levels
    rows, columns = [height // side] + [2] * levels, [width // side] + [2] * levels
    split = features.reshape(batch, channels, *rows, *columns)
    pairs = [axis for level in range(levels + 1) for axis in (2 + level, 3 + levels + level)]
    return split.permute(0, *pairs, 1).reshape(batch, -1, channels)


def _ungrouped(logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """P x (16 h w) x K, grouped at two levels, to P x K x 4h x 4w."""
    prompts, _, masks = logits.shape
    split = logits.reshape(prompts, height, width, 2, 2, 2, 2, masks)
    return split.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(prompts, masks, 4 * height, 4 * width)
