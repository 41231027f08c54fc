"""Between our architectures and the configuration objects of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sam2_adapter.models.families.base import Decoder
from sam2_adapter.models.families.sam2 import DECODER_LEVELS, EMBEDDING_STRIDE, Hiera, Sam2Architecture
from sam2_adapter.models.families.sam2_video import MEMORY_CHANNELS, MEMORY_FUSER_WIDENING, SAM2, SAM2_1

if TYPE_CHECKING:
    from transformers import Sam2Config, Sam2VideoConfig

# `model_type` in the config.json of a `Sam2VideoModel`, which is what the hub's repositories hold.
VIDEO_MODEL_TYPE = "sam2_video"


def sam2_config(architecture: Sam2Architecture) -> Sam2Config:
    """The configuration of transformers' `Sam2Model`, the image model, for an architecture."""
    from transformers import Sam2Config

    return Sam2Config(**_part_configs(architecture))


def sam2_video_config(architecture: Sam2Architecture) -> Sam2VideoConfig:
    """The configuration of transformers' `Sam2VideoModel` for an architecture that is part of a video model."""
    from transformers import Sam2VideoConfig, Sam2VideoMaskDecoderConfig

    channels = architecture.fpn_hidden_size
    is_2_1 = architecture.family == SAM2_1
    parts = _part_configs(architecture)
    # Releases up to 5.17 at least take the decoder's numbers, given as a dict, for those of the prompt encoder.
    parts["mask_decoder_config"] = Sam2VideoMaskDecoderConfig(**parts["mask_decoder_config"])
    return Sam2VideoConfig(
        **parts,
        image_size=architecture.image_size,
        enable_occlusion_spatial_embedding=is_2_1,
        enable_temporal_pos_encoding_for_object_pointers=is_2_1,
        memory_attention_hidden_size=channels,
        memory_attention_rope_feat_sizes=[architecture.embedding_size] * 2,
        memory_encoder_hidden_size=channels,
        memory_encoder_output_channels=MEMORY_CHANNELS,
        mask_downsampler_embed_dim=channels,
        memory_fuser_embed_dim=channels,
        memory_fuser_intermediate_dim=MEMORY_FUSER_WIDENING * channels,
    )


def config_json(architecture: Sam2Architecture, dtype: str, with_video: bool) -> str:
    """The `config.json` with which transformers opens a `Sam2Model`, or a `Sam2VideoModel`."""
    config = sam2_video_config(architecture) if with_video else sam2_config(architecture)
    config.architectures = ["Sam2VideoModel" if with_video else "Sam2Model"]
    config.dtype = dtype
    return str(config.to_json_string(use_diff=True))


def read_config(config: Mapping[str, Any]) -> Sam2Architecture:
    """Read the numbers from the `config.json` of a `Sam2Model` or `Sam2VideoModel`; those left out have the library's defaults."""
    return _architecture_of(_complete_config(config), _family_of(config))


def _part_configs(architecture: Sam2Architecture) -> dict[str, Any]:
    hiera, channels = architecture.hiera, architecture.fpn_hidden_size
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": hiera.embed_dim,
        "num_attention_heads": hiera.num_heads,
        "image_size": [architecture.image_size] * 2,
        "window_positional_embedding_background_size": list(hiera.window_pos_embed_bkg_spatial_size),
        "num_query_pool_stages": hiera.q_pool,
        "blocks_per_stage": list(hiera.stages),
        "embed_dim_per_stage": list(hiera.embed_dim_per_stage),
        "num_attention_heads_per_stage": list(hiera.num_heads_per_stage),
        "window_size_per_stage": list(hiera.window_spec),
        "global_attention_blocks": list(hiera.global_att_blocks),
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": list(reversed(hiera.embed_dim_per_stage)),
        "backbone_feature_sizes": [[size, size] for size in architecture.feature_sizes],
        "fpn_hidden_size": channels,
        "fpn_top_down_levels": list(architecture.fpn_top_down_levels),
        "num_feature_levels": DECODER_LEVELS,
    }
    prompt_encoder = {"hidden_size": channels, "image_size": architecture.image_size, "patch_size": EMBEDDING_STRIDE}
    mask_decoder = {"hidden_size": channels, **asdict(architecture.decoder)}
    return {"vision_config": vision, "prompt_encoder_config": prompt_encoder, "mask_decoder_config": mask_decoder}


def _complete_config(config: Mapping[str, Any]) -> Sam2Config:
    """A config.json leaves out numbers that equal the defaults: let the library fill them in."""
    from transformers import Sam2Config

    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    complete: dict[str, Any] = {part: _without_type(config.get(part) or {}, part) for part in parts}
    return Sam2Config(**complete)


def _without_type(part: Mapping[str, Any], name: str) -> dict[str, Any]:
    # The video model's parts carry model types of their own, but the same numbers.
    kept = dict(part)
    if name != "vision_config":
        kept.pop("model_type", None)
    return kept


def _family_of(config: Mapping[str, Any]) -> str | None:
    if config["model_type"] != VIDEO_MODEL_TYPE:
        return None
    return SAM2_1 if config.get("enable_occlusion_spatial_embedding", True) else SAM2


def _architecture_of(config: Sam2Config, family: str | None) -> Sam2Architecture:
    # The library annotates its parts as they may be given, not as they are once built.
    vision: Any = config.vision_config
    prompt_encoder: Any = config.prompt_encoder_config
    decoder: Any = config.mask_decoder_config
    backbone = vision.backbone_config
    hiera = Hiera(
        embed_dim=backbone.hidden_size,
        num_heads=backbone.num_attention_heads,
        stages=tuple(backbone.blocks_per_stage),
        global_att_blocks=tuple(backbone.global_attention_blocks),
        window_pos_embed_bkg_spatial_size=tuple(backbone.window_positional_embedding_background_size),
        window_spec=tuple(backbone.window_size_per_stage),
        q_pool=backbone.num_query_pool_stages,
        embed_dim_per_stage=tuple(backbone.embed_dim_per_stage),
        num_heads_per_stage=tuple(backbone.num_attention_heads_per_stage),
    )
    numbers = {key: getattr(decoder, key) for key in Decoder.__dataclass_fields__}
    return Sam2Architecture(
        name="custom",
        image_size=prompt_encoder.image_size,
        hiera=hiera,
        fpn_hidden_size=vision.fpn_hidden_size,
        fpn_top_down_levels=tuple(vision.fpn_top_down_levels),
        decoder=Decoder(**numbers),
        family=family,
    )
