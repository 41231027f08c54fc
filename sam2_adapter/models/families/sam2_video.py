"""The video memory of SAM2 and SAM2.1: names and shapes of the tensors that their checkpoints hold besides the image model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.families.shared import (
    NamedShape,
    attention,
    convolution,
    linear,
    mlp,
    mlp_names,
    under,
    vectors,
)

# Both have the same image model; their video models differ.
SAM2 = "sam2"
SAM2_1 = "sam2.1"

# Tensors that only the video model of SAM2.1 has (transformers' names).
ONLY_2_1 = ("occlusion_spatial_embedding_parameter", "temporal_positional_encoding_projection_layer.")

# Sides of the convolutions (`configs/` of the sam2 package).
_MEMORY_MASK_KERNEL = 3
_FUSER_KERNEL = 7
_POINTER_MASK_KERNEL = 4

MEMORY_CHANNELS = 64
MEMORY_FUSER_WIDENING = 4
_NUM_MEMORIES = 7
_MEMORY_LAYERS = 4
_MEMORY_MLP_DIM = 2048
_FUSER_LAYERS = 2
_MEMORY_MASK_CHANNELS = (1, 4, 16, 64, 256)

# Modules and bare tensors, Meta's name first; placeholders as in `names.py`.
VIDEO_NAMES = (
    ("maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    ("no_mem_pos_enc", "no_memory_positional_encoding"),
    ("no_obj_ptr", "no_object_pointer"),
    ("no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
    ("obj_ptr_tpos_proj", "temporal_positional_encoding_projection_layer"),
    ("mask_downsample", "mask_downsample"),
    ("memory_attention.layers.{i}.{mem_attn}.{qkv}_proj", "memory_attention.layers.{i}.{mem_attn}.{qkv}_proj"),
    ("memory_attention.layers.{i}.{mem_attn}.out_proj", "memory_attention.layers.{i}.{mem_attn}.o_proj"),
    ("memory_attention.layers.{i}.linear{j}", "memory_attention.layers.{i}.linear{j}"),
    ("memory_attention.layers.{i}.norm{j}", "memory_attention.layers.{i}.layer_norm{j}"),
    ("memory_attention.norm", "memory_attention.layer_norm"),
    *(
        (f"memory_encoder.mask_downsampler.encoder.{3 * i}", f"memory_encoder.mask_downsampler.layers.{i}.conv")
        for i in range(4)
    ),
    *(
        (
            f"memory_encoder.mask_downsampler.encoder.{3 * i + 1}",
            f"memory_encoder.mask_downsampler.layers.{i}.layer_norm",
        )
        for i in range(4)
    ),
    ("memory_encoder.mask_downsampler.encoder.12", "memory_encoder.mask_downsampler.final_conv"),
    ("memory_encoder.pix_feat_proj", "memory_encoder.feature_projection"),
    ("memory_encoder.fuser.layers.{i}.gamma", "memory_encoder.memory_fuser.layers.{i}.scale"),
    ("memory_encoder.fuser.layers.{i}.dwconv", "memory_encoder.memory_fuser.layers.{i}.depthwise_conv"),
    ("memory_encoder.fuser.layers.{i}.norm", "memory_encoder.memory_fuser.layers.{i}.layer_norm"),
    ("memory_encoder.fuser.layers.{i}.pwconv{j}", "memory_encoder.memory_fuser.layers.{i}.pointwise_conv{j}"),
    ("memory_encoder.out_proj", "memory_encoder.projection"),
    *mlp_names("obj_ptr_proj", "object_pointer_proj"),
)


def video_memory_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """The tensors that `Sam2VideoModel` has besides."""
    channels = architecture.fpn_hidden_size
    only_2_1 = [
        ("occlusion_spatial_embedding_parameter", (1, MEMORY_CHANNELS)),
        *linear("temporal_positional_encoding_projection_layer", channels, MEMORY_CHANNELS),
    ]
    return dict(
        [
            ("no_memory_positional_encoding", (1, 1, channels)),
            ("memory_temporal_positional_encoding", (_NUM_MEMORIES, 1, 1, MEMORY_CHANNELS)),
            ("no_object_pointer", (1, channels)),
            *under("memory_attention.", _memory_attention(channels)),
            *under("memory_encoder.", _memory_encoder(channels)),
            *convolution("mask_downsample", 1, 1, _POINTER_MASK_KERNEL),
            *mlp("object_pointer_proj", channels, channels, channels),
            *(only_2_1 if architecture.family == SAM2_1 else []),
        ]
    )


def _memory_attention(channels: int) -> Iterator[NamedShape]:
    for index in range(_MEMORY_LAYERS):
        layer = f"layers.{index}"
        yield from attention(f"{layer}.self_attn", channels, channels, channels)
        yield from attention(f"{layer}.cross_attn_image", channels, MEMORY_CHANNELS, channels)
        yield from linear(f"{layer}.linear1", channels, _MEMORY_MLP_DIM)
        yield from linear(f"{layer}.linear2", _MEMORY_MLP_DIM, channels)
        for norm in range(1, 4):
            yield from vectors(f"{layer}.layer_norm{norm}", channels)
    yield from vectors("layer_norm", channels)


def _memory_encoder(channels: int) -> Iterator[NamedShape]:
    widths = _MEMORY_MASK_CHANNELS
    for index, (before, width) in enumerate(pairwise(widths)):
        yield from convolution(f"mask_downsampler.layers.{index}.conv", before, width, _MEMORY_MASK_KERNEL)
        yield from vectors(f"mask_downsampler.layers.{index}.layer_norm", width)
    yield from convolution("mask_downsampler.final_conv", widths[-1], channels, 1)
    yield from convolution("feature_projection", channels, channels, 1)
    for index in range(_FUSER_LAYERS):
        layer = f"memory_fuser.layers.{index}"
        yield f"{layer}.scale", (channels,)
        yield from convolution(f"{layer}.depthwise_conv", 1, channels, _FUSER_KERNEL)
        yield from vectors(f"{layer}.layer_norm", channels)
        yield from linear(f"{layer}.pointwise_conv1", channels, MEMORY_FUSER_WIDENING * channels)
        yield from linear(f"{layer}.pointwise_conv2", MEMORY_FUSER_WIDENING * channels, channels)
    yield from convolution("projection", channels, MEMORY_CHANNELS, 1)
