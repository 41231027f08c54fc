"""A small architecture that is part of a video model, and checkpoints of it with seeded values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from sam2_adapter.models.families.architectures import architecture_from_dict, get_architecture
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.families.names import Tensors, is_video_tensor, tensors_to_meta
from sam2_adapter.models.families.sam2_config import sam2_config, sam2_video_config
from sam2_adapter.models.families.sam2_video import SAM2, SAM2_1
from sam2_adapter.models.families.shared import POSITIONS, POSITIONS_COPY
from sam2_adapter.models.weights.checks import expected_shapes

SMALL_2_1: Architecture = architecture_from_dict(
    {
        "name": "custom",
        "family": SAM2_1,
        "image_size": 64,
        "hiera": {
            "embed_dim": 8,
            "num_heads": 1,
            "stages": [1, 1, 2, 1],
            "global_att_blocks": [3],
            "window_pos_embed_bkg_spatial_size": [7, 7],
            "window_spec": [8, 4, 4, 2],
            "q_pool": 3,
            "embed_dim_per_stage": [8, 16, 32, 64],
            "num_heads_per_stage": [1, 2, 4, 8],
        },
        "fpn_hidden_size": 32,
        "fpn_top_down_levels": [2, 3],
        "decoder": {
            "mlp_dim": 16,
            "num_attention_heads": 4,
            "attention_downsample_rate": 2,
            "iou_head_hidden_dim": 16,
        },
    }
)
SMALL_2 = replace(SMALL_2_1, family=SAM2)
SMALL_IMAGE_ONLY = replace(SMALL_2_1, family=None)


def seeded_tensors(architecture: Architecture, seed: int = 0) -> Tensors:
    """All tensors in transformers' layout, video memory included where the architecture has one."""
    generator = torch.Generator().manual_seed(seed)
    shapes = expected_shapes(architecture, "transformers", architecture.has_video_model)
    tensors = {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in shapes.items()}
    tensors[POSITIONS_COPY] = tensors[POSITIONS].clone()
    return tensors


def image_model_of(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if not is_video_tensor(name)}


def video_tensors_of(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if is_video_tensor(name)}


def write_meta_file(path: Path, tensors: Tensors, bare: bool = False) -> Tensors:
    """Write a file as Meta does; returns what is in it."""
    meta_tensors, unknown = tensors_to_meta(tensors)
    assert not unknown
    meta_tensors = {name: tensor.clone() for name, tensor in meta_tensors.items()}
    torch.save(meta_tensors if bare else {"model": meta_tensors}, path)
    return meta_tensors


def write_transformers_directory(path: Path, tensors: Tensors, architecture: Architecture) -> None:
    """Write a directory as transformers does."""
    path.mkdir()
    has_video = any(map(is_video_tensor, tensors))
    config = sam2_video_config(architecture) if has_video else sam2_config(architecture)
    (path / "config.json").write_text(config.to_json_string(use_diff=True), "utf-8")
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path / "model.safetensors")


def assert_same(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def meta_tensors_in(path: Path) -> Tensors:
    return torch.load(path, weights_only=True)["model"]


def save_zeros(path: Path, name: str) -> None:
    """Meta's file of a full-size model, all zeros behind a few bytes: the tensors are expanded views."""
    shapes = expected_shapes(get_architecture(name), "meta", with_video=True)
    torch.save(
        {"model": {key: torch.zeros(1, dtype=torch.float16).expand(shape) for key, shape in shapes.items()}}, path
    )
