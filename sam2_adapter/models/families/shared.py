"""What all families share: prompt encoder and mask decoder with their image-side tensors, names and shapes.

Shapes are told by the numbers alone. Building the model without values would tell the same, but needs transformers, whose import takes longer
than the first mask. A test compares the two for every known architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sam2_adapter.models.families.base import Architecture

NamedShape = tuple[str, tuple[int, ...]]

# The positional matrix: the prompt encoder's, and the copy that transformers uses for the image.
POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"
POSITIONS_COPY = "shared_image_embedding.positional_embedding"

# Foreground and background point, and the two corners of a box.
NUM_POINT_EMBEDDINGS = 4
POINT_EMBED = "prompt_encoder.point_embed.weight"

# Sides of the convolutions of SAM's prompt encoder and decoder.
_MASK_KERNEL = 2

# The single mask and three candidates.
_NUM_MASKS = 4

_TWO_WAY_LAYERS = 2
_MASK_CHANNELS = (4, 16)

# Three linear layers.
_HEADS = (
    ("sam_mask_decoder.output_hypernetworks_mlps.{i}", "mask_decoder.output_hypernetworks_mlps.{i}"),
    ("sam_mask_decoder.iou_prediction_head", "mask_decoder.iou_prediction_head"),
    ("sam_mask_decoder.pred_obj_score_head", "mask_decoder.pred_obj_score_head"),
)


def mlp_names(meta: str, ours: str) -> tuple[tuple[str, str], ...]:
    """The names of a network of three linear layers."""
    return (
        (f"{meta}.layers.0", f"{ours}.proj_in"),
        (f"{meta}.layers.1", f"{ours}.layers.0"),
        (f"{meta}.layers.2", f"{ours}.proj_out"),
    )


# Modules and bare tensors, Meta's name first; placeholders as in `names.py`.
SHARED_NAMES = (
    ("no_mem_embed", "no_memory_embedding"),
    # prompt encoder
    ("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", POSITIONS),
    ("sam_prompt_encoder.not_a_point_embed", "prompt_encoder.not_a_point_embed"),
    ("sam_prompt_encoder.no_mask_embed", "prompt_encoder.no_mask_embed"),
    ("sam_prompt_encoder.mask_downscaling.0", "prompt_encoder.mask_embed.conv1"),
    ("sam_prompt_encoder.mask_downscaling.1", "prompt_encoder.mask_embed.layer_norm1"),
    ("sam_prompt_encoder.mask_downscaling.3", "prompt_encoder.mask_embed.conv2"),
    ("sam_prompt_encoder.mask_downscaling.4", "prompt_encoder.mask_embed.layer_norm2"),
    ("sam_prompt_encoder.mask_downscaling.6", "prompt_encoder.mask_embed.conv3"),
    # mask decoder
    ("sam_mask_decoder.iou_token", "mask_decoder.iou_token"),
    ("sam_mask_decoder.mask_tokens", "mask_decoder.mask_tokens"),
    ("sam_mask_decoder.obj_score_token", "mask_decoder.obj_score_token"),
    (
        "sam_mask_decoder.transformer.layers.{i}.{attn}.{qkv}_proj",
        "mask_decoder.transformer.layers.{i}.{attn}.{qkv}_proj",
    ),
    ("sam_mask_decoder.transformer.layers.{i}.{attn}.out_proj", "mask_decoder.transformer.layers.{i}.{attn}.o_proj"),
    ("sam_mask_decoder.transformer.layers.{i}.norm{j}", "mask_decoder.transformer.layers.{i}.layer_norm{j}"),
    ("sam_mask_decoder.transformer.layers.{i}.mlp.layers.0", "mask_decoder.transformer.layers.{i}.mlp.proj_in"),
    ("sam_mask_decoder.transformer.layers.{i}.mlp.layers.1", "mask_decoder.transformer.layers.{i}.mlp.proj_out"),
    (
        "sam_mask_decoder.transformer.final_attn_token_to_image.{qkv}_proj",
        "mask_decoder.transformer.final_attn_token_to_image.{qkv}_proj",
    ),
    (
        "sam_mask_decoder.transformer.final_attn_token_to_image.out_proj",
        "mask_decoder.transformer.final_attn_token_to_image.o_proj",
    ),
    ("sam_mask_decoder.transformer.norm_final_attn", "mask_decoder.transformer.layer_norm_final_attn"),
    ("sam_mask_decoder.output_upscaling.0", "mask_decoder.upscale_conv1"),
    ("sam_mask_decoder.output_upscaling.1", "mask_decoder.upscale_layer_norm"),
    ("sam_mask_decoder.output_upscaling.3", "mask_decoder.upscale_conv2"),
    ("sam_mask_decoder.conv_s{j}", "mask_decoder.conv_s{j}"),
    *(pair for head in _HEADS for pair in mlp_names(*head)),
)


def shared_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """The 147 tensors of an image model beside its vision encoder, in transformers' layout."""
    channels = architecture.fpn_hidden_size
    return dict(
        [
            ("no_memory_embedding", (1, 1, channels)),
            (POSITIONS_COPY, (2, channels // 2)),
            *under("prompt_encoder.", _prompt_encoder(channels)),
            *under("mask_decoder.", _mask_decoder(architecture)),
        ]
    )


def _prompt_encoder(channels: int) -> Iterator[NamedShape]:
    yield "shared_embedding.positional_embedding", (2, channels // 2)
    narrow, wide = _MASK_CHANNELS
    yield from convolution("mask_embed.conv1", 1, narrow, _MASK_KERNEL)
    yield from convolution("mask_embed.conv2", narrow, wide, _MASK_KERNEL)
    yield from convolution("mask_embed.conv3", wide, channels, 1)
    yield from vectors("mask_embed.layer_norm1", narrow)
    yield from vectors("mask_embed.layer_norm2", wide)
    yield "no_mask_embed.weight", (1, channels)
    yield "point_embed.weight", (NUM_POINT_EMBEDDINGS, channels)
    yield "not_a_point_embed.weight", (1, channels)


def _mask_decoder(architecture: Architecture) -> Iterator[NamedShape]:
    channels, decoder = architecture.fpn_hidden_size, architecture.decoder
    for token, count in (("iou_token", 1), ("mask_tokens", _NUM_MASKS), ("obj_score_token", 1)):
        yield f"{token}.weight", (count, channels)
    yield from under("transformer.", _two_way_transformer(architecture))
    quarter, eighth = channels // 4, channels // 8
    # Weights of transposed convolutions have the channels of the input first.
    yield from convolution("upscale_conv1", quarter, channels, _MASK_KERNEL, bias=quarter)
    yield from convolution("upscale_conv2", eighth, quarter, _MASK_KERNEL, bias=eighth)
    yield from vectors("upscale_layer_norm", quarter)
    yield from convolution("conv_s0", channels, eighth, 1)
    yield from convolution("conv_s1", channels, quarter, 1)
    for index in range(_NUM_MASKS):
        yield from mlp(f"output_hypernetworks_mlps.{index}", channels, channels, eighth)
    yield from mlp("iou_prediction_head", channels, decoder.iou_head_hidden_dim, _NUM_MASKS)
    yield from mlp("pred_obj_score_head", channels, channels, 1)


def _two_way_transformer(architecture: Architecture) -> Iterator[NamedShape]:
    channels, decoder = architecture.fpn_hidden_size, architecture.decoder
    narrow = channels // decoder.attention_downsample_rate
    for index in range(_TWO_WAY_LAYERS):
        layer = f"layers.{index}"
        yield from attention(f"{layer}.self_attn", channels, channels, channels)
        yield from attention(f"{layer}.cross_attn_token_to_image", channels, channels, narrow)
        yield from attention(f"{layer}.cross_attn_image_to_token", channels, channels, narrow)
        yield from linear(f"{layer}.mlp.proj_in", channels, decoder.mlp_dim)
        yield from linear(f"{layer}.mlp.proj_out", decoder.mlp_dim, channels)
        for norm in range(1, 5):
            yield from vectors(f"{layer}.layer_norm{norm}", channels)
    yield from attention("final_attn_token_to_image", channels, channels, narrow)
    yield from vectors("layer_norm_final_attn", channels)


def attention(name: str, queries: int, keys: int, width: int) -> Iterator[NamedShape]:
    """Attention of tokens of `queries` channels to others of `keys` channels."""
    yield from linear(f"{name}.q_proj", queries, width)
    yield from linear(f"{name}.k_proj", keys, width)
    yield from linear(f"{name}.v_proj", keys, width)
    yield from linear(f"{name}.o_proj", width, queries)


def mlp(name: str, before: int, hidden: int, after: int) -> Iterator[NamedShape]:
    """Three linear layers."""
    yield from linear(f"{name}.proj_in", before, hidden)
    yield from linear(f"{name}.layers.0", hidden, hidden)
    yield from linear(f"{name}.proj_out", hidden, after)


def linear(name: str, before: int, after: int) -> Iterator[NamedShape]:
    """A linear layer."""
    yield f"{name}.weight", (after, before)
    yield f"{name}.bias", (after,)


def convolution(name: str, before: int, after: int, kernel: int, bias: int | None = None) -> Iterator[NamedShape]:
    """A convolution; its bias has the width, or `bias` values."""
    yield f"{name}.weight", (after, before, kernel, kernel)
    yield f"{name}.bias", (bias or after,)


def vectors(name: str, width: int) -> Iterator[NamedShape]:
    """A norm."""
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def under(prefix: str, shapes: Iterable[NamedShape]) -> Iterator[NamedShape]:
    """The same names behind a prefix."""
    return ((prefix + name, shape) for name, shape in shapes)
