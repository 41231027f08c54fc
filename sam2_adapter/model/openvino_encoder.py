"""The image encoder as an OpenVINO graph, built operation by operation from the torch modules.

Steps follow `encode_image` and transformers' `Sam2HieraDetModel` and `Sam2VisionNeck`. Against a conversion of the torch model this saves the
attention weights that transformers computes and never uses, the widening of the two fine levels to the width of the neck, which the decoder's
1 x 1 convolutions undo, and the tens of seconds of tracing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import torch
from openvino import opset15 as ops

from sam2_adapter.model.image_encoder import two_convolutions_as_one
from sam2_adapter.model.openvino_ops import (
    affine,
    constant,
    feed_forward,
    layer_norm,
    linear,
    matmul,
    model_of,
    permute,
    reshape,
    shape_of,
)

if TYPE_CHECKING:
    from transformers import Sam2Model


def encoder_graph(model: Sam2Model) -> ov.Model:
    """Pixel values 1 x 3 x S x S to the parts of `EncodedImages`, float32."""
    prompt_encoder: Any = model.prompt_encoder
    size: int = prompt_encoder.input_image_size
    pixels = ops.parameter([1, 3, size, size], np.float32, name="pixel_values")
    stages = _stages(model.vision_encoder.backbone, pixels, size)
    fine, middle, coarse = _levels(model, stages)
    names = ("image_embedding", "fine", "middle")
    return model_of([_channels_first(x) for x in (coarse, fine, middle)], [pixels], names, "image_encoder")


def _stages(backbone: Any, pixels: Any, size: int) -> list[Any]:
    """Output of each stage, 1 x h x w x C."""
    x, hw = _patch_embedding(backbone, pixels, size)
    outputs = []
    for index, block in enumerate(backbone.blocks):
        x, hw = _block(block, x, hw)
        if index in backbone.stage_ends:
            outputs.append(x)
    return outputs


def _patch_embedding(backbone: Any, pixels: Any, size: int) -> tuple[Any, int]:
    conv = backbone.patch_embed.projection
    stride, padding = conv.stride[0], conv.padding[0]
    patches = ops.convolution(
        pixels, constant(conv.weight), [stride] * 2, [padding] * 2, [padding] * 2, [1, 1], name="patches"
    )
    hw = (size + 2 * padding - conv.kernel_size[0]) // stride + 1
    with torch.no_grad():
        positions = backbone._get_pos_embed((hw, hw)) + conv.bias
    return ops.add(permute(patches, 0, 2, 3, 1), constant(positions)), hw


def _block(block: Any, x: Any, hw: int) -> tuple[Any, int]:
    """One transformer block on 1 x hw x hw x C."""
    normed = layer_norm(x, block.layer_norm1)
    residual = x if block.dim == block.dim_out else _pool(linear(normed, block.proj), block.query_stride)
    window = block.window_size or hw
    stride = block.query_stride[0] if block.query_stride else 1
    windows = _partition(normed, hw, window)
    attended = _attention(block.attn, windows, window, stride)
    out_hw = hw // stride
    x = ops.add(residual, _unpartition(attended, out_hw, window // stride))
    return ops.add(x, feed_forward(layer_norm(x, block.layer_norm2), block.mlp)), out_hw


def _attention(attention: Any, windows: Any, window: int, stride: int) -> Any:
    """Multi-head attention inside windows of W x window^2 x C; queries pooled by `stride`."""
    width = attention.dim_out
    query_weight, key_weight, value_weight = attention.qkv.weight.chunk(3)
    query_bias, key_bias, value_bias = attention.qkv.bias.chunk(3)
    # Scaling the weights saves scaling the scores; pooling takes maxima, which a positive factor does not disturb.
    query = affine(windows, query_weight * attention.scale, query_bias * attention.scale)
    if stride > 1:
        query = reshape(_pool(reshape(query, 0, window, window, width), (stride, stride)), 0, -1, width)
    key, value = affine(windows, key_weight, key_bias), affine(windows, value_weight, value_bias)
    query, key, value = (_heads_as_batch(x, attention) for x in (query, key, value))
    attended = matmul(ops.softmax(matmul(query, key, transpose_b=True), -1), value)
    heads = reshape(
        attended, -1, attention.num_attention_heads, (window // stride) ** 2, width // attention.num_attention_heads
    )
    return linear(reshape(permute(heads, 0, 2, 1, 3), 0, 0, width), attention.proj)


def _heads_as_batch(tokens: Any, attention: Any) -> Any:
    """W x T x C to (W heads) x T x C / heads.

    With windows and heads as two axes, OpenVINO 2026.4 fuses the attention of small windows into a kernel that is wrong in bf16.
    """
    heads = permute(reshape(tokens, 0, 0, attention.num_attention_heads, -1), 0, 2, 1, 3)
    sizes = [size.get_length() for size in heads.get_output_partial_shape(0)]
    return reshape(heads, sizes[0] * sizes[1], sizes[2], sizes[3])


def _partition(x: Any, hw: int, window: int) -> Any:
    """1 x hw x hw x C to windows W x window^2 x C; zeros are added below and to the right where they do not fit."""
    if window == hw:
        return reshape(x, 1, hw * hw, -1)
    count = -(-hw // window)
    if missing := count * window - hw:
        x = ops.pad(
            x, shape_of(0, 0, 0, 0), shape_of(0, missing, missing, 0), "constant", ops.constant(0.0, np.float32)
        )
    split = reshape(x, count, window, count, window, -1)
    return reshape(permute(split, 0, 2, 1, 3, 4), count * count, window * window, -1)


def _unpartition(windows: Any, hw: int, window: int) -> Any:
    """Back from windows to 1 x hw x hw x C."""
    if window == hw:
        return reshape(windows, 1, hw, hw, -1)
    count = -(-hw // window)
    split = permute(reshape(windows, count, count, window, window, -1), 0, 2, 1, 3, 4)
    whole = reshape(split, 1, count * window, count * window, -1)
    if count * window == hw:
        return whole
    return ops.slice(whole, shape_of(0, 0), shape_of(hw, hw), shape_of(1, 1), shape_of(1, 2))


def _pool(x: Any, stride: tuple[int, int]) -> Any:
    """Maxima of stride x stride cells of B x h x w x C."""
    pooled = ops.max_pool(
        permute(x, 0, 3, 1, 2), list(stride), [1, 1], [0, 0], [0, 0], list(stride), "floor", index_element_type="i64"
    )
    return permute(pooled.output(0), 0, 2, 3, 1)


def _levels(model: Sam2Model, stages: list[Any]) -> tuple[Any, Any, Any]:
    """The neck and the decoder's projections: fine, middle and coarse level, 1 x h x w x C."""
    neck: Any = model.vision_encoder.neck
    decoder: Any = model.mask_decoder
    convs = list(neck.convs)[::-1]  # the neck lists them from the coarsest stage
    levels: list[Any] = [None] * len(stages)
    for index in range(len(stages) - 1, -1, -1):
        if index in neck.fpn_top_down_levels or index > 1:
            levels[index] = _lateral(stages[index], convs[index])
        if index in neck.fpn_top_down_levels and index + 1 < len(stages):
            levels[index] = ops.add(levels[index], _doubled(levels[index + 1]))
    fine, middle = (
        _lateral(levels[index], projection)
        if levels[index] is not None
        else _two_convolutions(stages[index], convs[index], projection)
        for index, projection in enumerate((decoder.conv_s0, decoder.conv_s1))
    )
    return fine, middle, ops.add(levels[2], constant(model.no_memory_embedding.reshape(-1)))


def _lateral(x: Any, conv: Any) -> Any:
    """A 1 x 1 convolution on channels-last; exact, as errors of the neck are those of the result."""
    return affine(x, conv.weight.flatten(1), conv.bias, exact=True)


def _two_convolutions(x: Any, first: Any, second: Any) -> Any:
    """Two 1 x 1 convolutions as one."""
    return affine(x, *two_convolutions_as_one(first, second), exact=True)


def _doubled(x: Any) -> Any:
    """Each pixel of 1 x h x w x C four times."""
    doubled = ops.interpolate(
        _channels_first(x),
        ops.constant([2.0, 2.0], np.float32),
        "nearest",
        "scales",
        axes=shape_of(2, 3),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return permute(doubled, 0, 2, 3, 1)


def _channels_first(x: Any) -> Any:
    return permute(x, 0, 3, 1, 2)
