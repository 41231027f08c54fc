"""The image encoder as an OpenVINO graph, built operation by operation from the torch modules.

Steps follow `encode_image` and transformers' `Sam2HieraDetModel` and `Sam2VisionNeck`. Against a conversion of the torch model this saves the
attention weights that transformers computes and never uses, the widening of the two fine levels to the width of the neck, which the decoder's
1 x 1 convolutions undo, cutting tokens into windows in every block, and the tens of seconds of tracing. Tokens are two axes, N x C: of more axes
OpenVINO 2026.4 makes a layer norm of four steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import torch
from openvino import opset15 as ops

from sam2_adapter.models.engines.openvino.attention import attention
from sam2_adapter.models.engines.openvino.ops import (
    affine,
    constant,
    feed_forward,
    gather,
    layer_norm,
    linear,
    model_of,
    permute,
    reshape,
)
from sam2_adapter.models.engines.openvino.tokens import Tokens, raster, windows
from sam2_adapter.models.network.image_encoder import two_convolutions_as_one

# Of the hidden channels of a feed-forward network, for each thread; less than the second-level cache of a core, which is 2 MiB on servers.
_CACHED_BYTES = 3 * 2**19

# The stage whose output is the middle level. No block makes up for the errors of its last feed-forward network.
_MIDDLE = 1

if TYPE_CHECKING:
    from transformers import Sam2Model


def encoder_graph(model: Sam2Model) -> ov.Model:
    """Pixel values 1 x 3 x S x S to the parts of `EncodedImages`, float32."""
    prompt_encoder: Any = model.prompt_encoder
    size: int = prompt_encoder.input_image_size
    pixels = ops.parameter([1, 3, size, size], np.float32, name="pixel_values")
    fine, middle, coarse = _levels(model, _stages(model.vision_encoder.backbone, pixels, size))
    names = ("image_embedding", "fine", "middle")
    return model_of([_as_image(x) for x in (coarse, fine, middle)], [pixels], names, "image_encoder")


def _stages(backbone: Any, pixels: Any, size: int) -> list[Tokens]:
    """Output of each stage."""
    x = _patch_embedding(backbone, pixels, size)
    outputs = []
    for index, block in enumerate(backbone.blocks):
        x = _block(block, _in_windows(x, backbone.blocks[index:]), index == backbone.stage_ends[_MIDDLE])
        if index in backbone.stage_ends:
            outputs.append(x)
    return outputs


def _patch_embedding(backbone: Any, pixels: Any, size: int) -> Tokens:
    conv = backbone.patch_embed.projection
    stride, padding = conv.stride[0], conv.padding[0]
    patches = ops.convolution(
        pixels, constant(conv.weight), [stride] * 2, [padding] * 2, [padding] * 2, [1, 1], name="patches"
    )
    side = (size + 2 * padding - conv.kernel_size[0]) // stride + 1
    with torch.no_grad():
        positions = backbone._get_pos_embed((side, side)) + conv.bias
    tokens = reshape(permute(patches, 0, 2, 3, 1), side * side, -1)
    return Tokens(ops.add(tokens, constant(positions.flatten(0, 2))), raster(side))


def _in_windows(x: Tokens, blocks: Any) -> Tokens:
    """Tokens in the windows of the first of these blocks, ready for the pooling that comes next."""
    stride = next((_stride(block) for block in blocks if block.query_stride), 1)
    if blocks[0].window_size:
        return x.sorted(windows(x.order.side, blocks[0].window_size, stride))
    if blocks[0].query_stride:
        return x.sorted(windows(x.order.side, x.order.side, stride))
    return Tokens(x.values, x.order.as_one_window())


def _stride(block: Any) -> int:
    return block.query_stride[0] if block.query_stride else 1


def _block(block: Any, x: Tokens, exact: bool) -> Tokens:
    """One transformer block on tokens in its windows; `exact`: the feed-forward network of it."""
    stride = _stride(block)
    normed = Tokens(layer_norm(x.values, block.layer_norm1), x.order)
    residual = x if block.dim == block.dim_out else Tokens(linear(normed.values, block.proj), x.order).pooled(stride)
    num_keys = block.window_size**2 or len(x.order.indices)
    y = ops.add(residual.values, attention(block.attn, normed, num_keys, stride))
    num_parts = _num_parts(block.mlp, len(residual.order.indices))
    update = feed_forward(layer_norm(y, block.layer_norm2), block.mlp, num_parts, exact)
    return Tokens(ops.add(y, update), residual.order)


def _num_parts(mlp: Any, num_tokens: int) -> int:
    """How many parts of the tokens have hidden channels that stay in the caches; none so small that reading the weights again costs more."""
    width, narrow = mlp.proj_in.weight.shape
    by_cache = -(-num_tokens * width * 4 // (_CACHED_BYTES * torch.get_num_threads()))
    num_parts: int = max(1, min(by_cache, num_tokens // narrow))
    return num_parts


def _levels(model: Sam2Model, stages: list[Tokens]) -> tuple[Tokens, Tokens, Tokens]:
    """The neck and the decoder's projections: fine, middle and coarse level."""
    neck: Any = model.vision_encoder.neck
    decoder: Any = model.mask_decoder
    convs = list(neck.convs)[::-1]  # the neck lists them from the coarsest stage
    levels: list[Any] = [None] * len(stages)
    for index in range(len(stages) - 1, -1, -1):
        if index in neck.fpn_top_down_levels or index > 1:
            levels[index] = _lateral(stages[index], convs[index])
        if index in neck.fpn_top_down_levels and index + 1 < len(stages):
            levels[index] = _plus_doubled(levels[index], levels[index + 1])
    fine, middle = (
        _lateral(levels[index], projection)
        if levels[index] is not None
        else _two_convolutions(stages[index], convs[index], projection)
        for index, projection in enumerate((decoder.conv_s0, decoder.conv_s1))
    )
    coarse = Tokens(ops.add(levels[2].values, constant(model.no_memory_embedding.reshape(-1))), levels[2].order)
    return fine, middle, coarse


def _lateral(x: Tokens, conv: Any) -> Tokens:
    """A 1 x 1 convolution; exact, as errors of the neck are those of the result."""
    return Tokens(affine(x.values, conv.weight.flatten(1), conv.bias, exact=True), x.order)


def _two_convolutions(x: Tokens, first: Any, second: Any) -> Tokens:
    """Two 1 x 1 convolutions as one."""
    return Tokens(affine(x.values, *two_convolutions_as_one(first, second), exact=True), x.order)


def _plus_doubled(x: Tokens, coarse: Tokens) -> Tokens:
    """Add each token of half as large an image to the four that it covers."""
    rows, columns = np.divmod(x.order.indices, x.order.side)
    positions = coarse.order.positions_of(rows // 2 * coarse.order.side + columns // 2)
    return Tokens(ops.add(x.values, gather(coarse.values, positions)), x.order)


def _as_image(x: Tokens) -> Any:
    """1 x C x h x w."""
    side = x.order.side
    return permute(reshape(x.sorted(raster(side)).values, 1, side, side, -1), 0, 3, 1, 2)
