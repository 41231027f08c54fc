"""Names of tensors: Meta's layout and transformers', both ways.

Meta's files name the tensors of `SAM2Base`, transformers' those of `Sam2Model` or `Sam2VideoModel`. The two hold the same numbers; besides names
they differ in two places: Meta keeps the four point embeddings apart, and transformers keeps a copy of the positional matrix.
The list was checked against sam2 1.1.0 and transformers 5.23.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import torch

Layout = Literal["meta", "transformers"]
Tensors = dict[str, torch.Tensor]

# The positional matrix: the prompt encoder's, and the copy that transformers uses for the image.
POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"
POSITIONS_COPY = "shared_image_embedding.positional_embedding"

# Foreground and background point, and the two corners of a box.
NUM_POINT_EMBEDDINGS = 4
_POINT_EMBED = "prompt_encoder.point_embed.weight"
_META_POINT_EMBEDS = tuple(f"sam_prompt_encoder.point_embeddings.{i}.weight" for i in range(NUM_POINT_EMBEDDINGS))

_IMAGE_MODEL_PREFIXES = (
    "vision_encoder.",
    "prompt_encoder.",
    "mask_decoder.",
    "no_memory_embedding",
    "shared_image_embedding.",
)

_HEAD_MLPS = (
    ("sam_mask_decoder.output_hypernetworks_mlps.{i}", "mask_decoder.output_hypernetworks_mlps.{i}"),
    ("sam_mask_decoder.iou_prediction_head", "mask_decoder.iou_prediction_head"),
    ("sam_mask_decoder.pred_obj_score_head", "mask_decoder.pred_obj_score_head"),
    ("obj_ptr_proj", "object_pointer_proj"),
)

# Modules and bare tensors, Meta's name first. {i}, {j}: a number; {qkv}: q, k or v; {attn}, {mem_attn}: an attention of a layer.
_MODULES = (
    # image encoder
    ("image_encoder.trunk.pos_embed", "vision_encoder.backbone.pos_embed"),
    ("image_encoder.trunk.pos_embed_window", "vision_encoder.backbone.pos_embed_window"),
    ("image_encoder.trunk.patch_embed.proj", "vision_encoder.backbone.patch_embed.projection"),
    ("image_encoder.trunk.blocks.{i}.norm{j}", "vision_encoder.backbone.blocks.{i}.layer_norm{j}"),
    ("image_encoder.trunk.blocks.{i}.attn.qkv", "vision_encoder.backbone.blocks.{i}.attn.qkv"),
    ("image_encoder.trunk.blocks.{i}.attn.proj", "vision_encoder.backbone.blocks.{i}.attn.proj"),
    ("image_encoder.trunk.blocks.{i}.mlp.layers.0", "vision_encoder.backbone.blocks.{i}.mlp.proj_in"),
    ("image_encoder.trunk.blocks.{i}.mlp.layers.1", "vision_encoder.backbone.blocks.{i}.mlp.proj_out"),
    ("image_encoder.trunk.blocks.{i}.proj", "vision_encoder.backbone.blocks.{i}.proj"),
    ("image_encoder.neck.convs.{i}.conv", "vision_encoder.neck.convs.{i}"),
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
    # video memory
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
    # three-layer MLPs
    *((f"{meta}.layers.0", f"{ours}.proj_in") for meta, ours in _HEAD_MLPS),
    *((f"{meta}.layers.1", f"{ours}.layers.0") for meta, ours in _HEAD_MLPS),
    *((f"{meta}.layers.2", f"{ours}.proj_out") for meta, ours in _HEAD_MLPS),
)

_PLACEHOLDERS = {
    "i": r"\d+",
    "j": r"\d",
    "qkv": r"[qkv]",
    "attn": r"self_attn|cross_attn_token_to_image|cross_attn_image_to_token",
    "mem_attn": r"self_attn|cross_attn_image",
}


def name_to_transformers(meta_name: str) -> str | None:
    """Transformers' name of one of Meta's tensors, or `None` where Meta's model has no such tensor.

    >>> name_to_transformers("image_encoder.trunk.blocks.3.norm1.weight")
    'vision_encoder.backbone.blocks.3.layer_norm1.weight'
    """
    return _rename(meta_name, _TO_TRANSFORMERS)


def name_to_meta(transformers_name: str) -> str | None:
    """Meta's name of one of transformers' tensors, or `None` where transformers' model has no such tensor."""
    return _rename(transformers_name, _TO_META)


def tensors_to_transformers(meta_tensors: Mapping[str, torch.Tensor]) -> tuple[Tensors, list[str]]:
    """Bring Meta's tensors to transformers' layout.

    Args:
        meta_tensors: image model, video memory or both, under Meta's names.

    Returns:
        The tensors under transformers' names, sharing memory where possible, and the names that are not Meta's.
    """
    unknown: list[str] = []
    tensors: Tensors = {}
    for name, tensor in meta_tensors.items():
        if name in _META_POINT_EMBEDS:
            continue
        renamed = name_to_transformers(name)
        if renamed is None:
            unknown.append(name)
        else:
            tensors[renamed] = tensor
    point_embeds = [meta_tensors[name] for name in _META_POINT_EMBEDS if name in meta_tensors]
    if len(point_embeds) == NUM_POINT_EMBEDDINGS:
        tensors[_POINT_EMBED] = torch.cat(point_embeds)
    return with_positions_copy(tensors), unknown


def tensors_to_meta(tensors: Mapping[str, torch.Tensor]) -> tuple[Tensors, list[str]]:
    """Bring transformers' tensors to Meta's layout; the exact inverse of `tensors_to_transformers`.

    Returns:
        The tensors under Meta's names and the names that are not transformers'.
    """
    unknown: list[str] = []
    meta_tensors: Tensors = {}
    for name, tensor in tensors.items():
        if name == POSITIONS_COPY:
            continue
        if name == _POINT_EMBED:
            meta_tensors.update(zip(_META_POINT_EMBEDS, torch.split(tensor, 1), strict=True))
            continue
        renamed = name_to_meta(name)
        if renamed is None:
            unknown.append(name)
        else:
            meta_tensors[renamed] = tensor
    return meta_tensors, unknown


def with_positions_copy(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Add the one of the two equal positional matrices that is missing, if one is: older transformers files keep only one."""
    completed = dict(tensors)
    for name, other in ((POSITIONS, POSITIONS_COPY), (POSITIONS_COPY, POSITIONS)):
        if name not in completed and other in completed:
            completed[name] = completed[other]
    return completed


def layout_of(names: Iterable[str]) -> Layout | None:
    """Tell by its names which layout a state dict has, or `None` if it is no SAM2 model's."""
    known = list(names)
    if any(name.startswith(("image_encoder.", "sam_mask_decoder.")) for name in known):
        return "meta"
    if any(name.startswith(("vision_encoder.", "mask_decoder.")) for name in known):
        return "transformers"
    return None


def is_video_tensor(transformers_name: str) -> bool:
    """Whether a tensor of transformers' layout belongs to the video memory and not to the image model."""
    return not transformers_name.startswith(_IMAGE_MODEL_PREFIXES)


def _rename(name: str, rules: list[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, template in rules:
        if found := pattern.fullmatch(name):
            parts = found.groupdict()
            return template.format(**parts) + (parts["tail"] or "")
    return None


def _rules(pairs: Iterable[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    return [(_compile(source), target) for source, target in pairs]


def _compile(template: str) -> re.Pattern[str]:
    escaped = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    for name, expression in _PLACEHOLDERS.items():
        escaped = escaped.replace(f"{{{name}}}", f"(?P<{name}>{expression})")
    return re.compile(escaped + r"(?P<tail>\.weight|\.bias)?")


_TO_TRANSFORMERS = _rules(_MODULES)
_TO_META = _rules((ours, meta) for meta, ours in _MODULES)
