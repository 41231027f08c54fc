"""Names and shapes of all tensors of a model, in transformers' layout, by its numbers alone.

Building the model without values would tell the same, but needs transformers, whose import takes longer than the first mask. A test compares
the two for every known architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from sam2_adapter.models.families.architectures import SAM2_1, Architecture
from sam2_adapter.models.families.sam2_names import NUM_POINT_EMBEDDINGS, POSITIONS_COPY

NamedShape = tuple[str, tuple[int, ...]]

# Sides of the convolutions: patches (Hiera), masks (SAM's prompt encoder and decoder), memory (SAM2, `configs/` of the sam2 package).
_PATCH_KERNEL = 7
_MASK_KERNEL = 2
_MEMORY_MASK_KERNEL = 3
_FUSER_KERNEL = 7
_POINTER_MASK_KERNEL = 4

# Width of an MLP in Hiera, as a multiple of its block's.
_MLP_RATIO = 4

# The single mask and three candidates.
_NUM_MASKS = 4

_TWO_WAY_LAYERS = 2
_MASK_CHANNELS = (4, 16)

# The published video models.
MEMORY_CHANNELS = 64
MEMORY_FUSER_WIDENING = 4
_NUM_MEMORIES = 7
_MEMORY_LAYERS = 4
_MEMORY_MLP_DIM = 2048
_FUSER_LAYERS = 2
_MEMORY_MASK_CHANNELS = (1, 4, 16, 64, 256)


def image_model_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """The tensors of `Sam2Model`."""
    channels = architecture.fpn_hidden_size
    return dict(
        [
            ("no_memory_embedding", (1, 1, channels)),
            (POSITIONS_COPY, (2, channels // 2)),
            *_under("vision_encoder.", [*_under("backbone.", _trunk(architecture)), *_neck(architecture)]),
            *_under("prompt_encoder.", _prompt_encoder(channels)),
            *_under("mask_decoder.", _mask_decoder(architecture)),
        ]
    )


def video_memory_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """The tensors that `Sam2VideoModel` has besides."""
    channels = architecture.fpn_hidden_size
    only_2_1 = [
        ("occlusion_spatial_embedding_parameter", (1, MEMORY_CHANNELS)),
        *_linear("temporal_positional_encoding_projection_layer", channels, MEMORY_CHANNELS),
    ]
    return dict(
        [
            ("no_memory_positional_encoding", (1, 1, channels)),
            ("memory_temporal_positional_encoding", (_NUM_MEMORIES, 1, 1, MEMORY_CHANNELS)),
            ("no_object_pointer", (1, channels)),
            *_under("memory_attention.", _memory_attention(channels)),
            *_under("memory_encoder.", _memory_encoder(channels)),
            *_convolution("mask_downsample", 1, 1, _POINTER_MASK_KERNEL),
            *_mlp("object_pointer_proj", channels, channels, channels),
            *(only_2_1 if architecture.family == SAM2_1 else []),
        ]
    )


def _trunk(architecture: Architecture) -> Iterator[NamedShape]:
    hiera = architecture.hiera
    first = hiera.embed_dim_per_stage[0]
    yield "pos_embed", (1, first, *hiera.window_pos_embed_bkg_spatial_size)
    yield "pos_embed_window", (1, first, hiera.window_spec[0], hiera.window_spec[0])
    yield from _convolution("patch_embed.projection", 3, first, _PATCH_KERNEL)
    widths = [width for width, count in zip(hiera.embed_dim_per_stage, hiera.stages, strict=True) for _ in range(count)]
    for index, (before, width) in enumerate(pairwise([first, *widths])):
        yield from _under(f"blocks.{index}.", _block(before, width))


def _block(before: int, width: int) -> Iterator[NamedShape]:
    yield from _vectors("layer_norm1", before)
    yield from _linear("attn.qkv", before, 3 * width)
    yield from _linear("attn.proj", width, width)
    yield from _vectors("layer_norm2", width)
    yield from _linear("mlp.proj_in", width, _MLP_RATIO * width)
    yield from _linear("mlp.proj_out", _MLP_RATIO * width, width)
    if before != width:
        yield from _linear("proj", before, width)


def _neck(architecture: Architecture) -> Iterator[NamedShape]:
    for index, width in enumerate(reversed(architecture.hiera.embed_dim_per_stage)):
        yield from _convolution(f"neck.convs.{index}", width, architecture.fpn_hidden_size, 1)


def _prompt_encoder(channels: int) -> Iterator[NamedShape]:
    yield "shared_embedding.positional_embedding", (2, channels // 2)
    narrow, wide = _MASK_CHANNELS
    yield from _convolution("mask_embed.conv1", 1, narrow, _MASK_KERNEL)
    yield from _convolution("mask_embed.conv2", narrow, wide, _MASK_KERNEL)
    yield from _convolution("mask_embed.conv3", wide, channels, 1)
    yield from _vectors("mask_embed.layer_norm1", narrow)
    yield from _vectors("mask_embed.layer_norm2", wide)
    yield "no_mask_embed.weight", (1, channels)
    yield "point_embed.weight", (NUM_POINT_EMBEDDINGS, channels)
    yield "not_a_point_embed.weight", (1, channels)


def _mask_decoder(architecture: Architecture) -> Iterator[NamedShape]:
    channels, decoder = architecture.fpn_hidden_size, architecture.decoder
    for token, count in (("iou_token", 1), ("mask_tokens", _NUM_MASKS), ("obj_score_token", 1)):
        yield f"{token}.weight", (count, channels)
    yield from _under("transformer.", _two_way_transformer(architecture))
    quarter, eighth = channels // 4, channels // 8
    # Weights of transposed convolutions have the channels of the input first.
    yield from _convolution("upscale_conv1", quarter, channels, _MASK_KERNEL, bias=quarter)
    yield from _convolution("upscale_conv2", eighth, quarter, _MASK_KERNEL, bias=eighth)
    yield from _vectors("upscale_layer_norm", quarter)
    yield from _convolution("conv_s0", channels, eighth, 1)
    yield from _convolution("conv_s1", channels, quarter, 1)
    for index in range(_NUM_MASKS):
        yield from _mlp(f"output_hypernetworks_mlps.{index}", channels, channels, eighth)
    yield from _mlp("iou_prediction_head", channels, decoder.iou_head_hidden_dim, _NUM_MASKS)
    yield from _mlp("pred_obj_score_head", channels, channels, 1)


def _two_way_transformer(architecture: Architecture) -> Iterator[NamedShape]:
    channels, decoder = architecture.fpn_hidden_size, architecture.decoder
    narrow = channels // decoder.attention_downsample_rate
    for index in range(_TWO_WAY_LAYERS):
        layer = f"layers.{index}"
        yield from _attention(f"{layer}.self_attn", channels, channels, channels)
        yield from _attention(f"{layer}.cross_attn_token_to_image", channels, channels, narrow)
        yield from _attention(f"{layer}.cross_attn_image_to_token", channels, channels, narrow)
        yield from _linear(f"{layer}.mlp.proj_in", channels, decoder.mlp_dim)
        yield from _linear(f"{layer}.mlp.proj_out", decoder.mlp_dim, channels)
        for norm in range(1, 5):
            yield from _vectors(f"{layer}.layer_norm{norm}", channels)
    yield from _attention("final_attn_token_to_image", channels, channels, narrow)
    yield from _vectors("layer_norm_final_attn", channels)


def _memory_attention(channels: int) -> Iterator[NamedShape]:
    for index in range(_MEMORY_LAYERS):
        layer = f"layers.{index}"
        yield from _attention(f"{layer}.self_attn", channels, channels, channels)
        yield from _attention(f"{layer}.cross_attn_image", channels, MEMORY_CHANNELS, channels)
        yield from _linear(f"{layer}.linear1", channels, _MEMORY_MLP_DIM)
        yield from _linear(f"{layer}.linear2", _MEMORY_MLP_DIM, channels)
        for norm in range(1, 4):
            yield from _vectors(f"{layer}.layer_norm{norm}", channels)
    yield from _vectors("layer_norm", channels)


def _memory_encoder(channels: int) -> Iterator[NamedShape]:
    widths = _MEMORY_MASK_CHANNELS
    for index, (before, width) in enumerate(pairwise(widths)):
        yield from _convolution(f"mask_downsampler.layers.{index}.conv", before, width, _MEMORY_MASK_KERNEL)
        yield from _vectors(f"mask_downsampler.layers.{index}.layer_norm", width)
    yield from _convolution("mask_downsampler.final_conv", widths[-1], channels, 1)
    yield from _convolution("feature_projection", channels, channels, 1)
    for index in range(_FUSER_LAYERS):
        layer = f"memory_fuser.layers.{index}"
        yield f"{layer}.scale", (channels,)
        yield from _convolution(f"{layer}.depthwise_conv", 1, channels, _FUSER_KERNEL)
        yield from _vectors(f"{layer}.layer_norm", channels)
        yield from _linear(f"{layer}.pointwise_conv1", channels, MEMORY_FUSER_WIDENING * channels)
        yield from _linear(f"{layer}.pointwise_conv2", MEMORY_FUSER_WIDENING * channels, channels)
    yield from _convolution("projection", channels, MEMORY_CHANNELS, 1)


def _attention(name: str, queries: int, keys: int, width: int) -> Iterator[NamedShape]:
    """Attention of tokens of `queries` channels to others of `keys` channels."""
    yield from _linear(f"{name}.q_proj", queries, width)
    yield from _linear(f"{name}.k_proj", keys, width)
    yield from _linear(f"{name}.v_proj", keys, width)
    yield from _linear(f"{name}.o_proj", width, queries)


def _mlp(name: str, before: int, hidden: int, after: int) -> Iterator[NamedShape]:
    """Three linear layers."""
    yield from _linear(f"{name}.proj_in", before, hidden)
    yield from _linear(f"{name}.layers.0", hidden, hidden)
    yield from _linear(f"{name}.proj_out", hidden, after)


def _linear(name: str, before: int, after: int) -> Iterator[NamedShape]:
    yield f"{name}.weight", (after, before)
    yield f"{name}.bias", (after,)


def _convolution(name: str, before: int, after: int, kernel: int, bias: int | None = None) -> Iterator[NamedShape]:
    yield f"{name}.weight", (after, before, kernel, kernel)
    yield f"{name}.bias", (bias or after,)


def _vectors(name: str, width: int) -> Iterator[NamedShape]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _under(prefix: str, shapes: Iterable[NamedShape]) -> Iterator[NamedShape]:
    return ((prefix + name, shape) for name, shape in shapes)
