"""Names of tensors in Meta's layout and transformers'."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.names import (
    is_video_tensor,
    layout_of,
    name_to_meta,
    name_to_transformers,
    tensors_to_meta,
    tensors_to_transformers,
    with_positions_copy,
)
from sam2_adapter.models.families.shared import POSITIONS, POSITIONS_COPY
from sam2_adapter.models.weights.checks import expected_shapes
from tests.models.seeded_checkpoint import SMALL_2, SMALL_2_1, SMALL_IMAGE_ONLY, seeded_tensors

# From the files themselves: one name of every kind.
PAIRS = [
    ("no_mem_embed", "no_memory_embedding"),
    ("maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    ("no_mem_pos_enc", "no_memory_positional_encoding"),
    ("no_obj_ptr", "no_object_pointer"),
    ("no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
    ("obj_ptr_tpos_proj.weight", "temporal_positional_encoding_projection_layer.weight"),
    ("obj_ptr_proj.layers.1.bias", "object_pointer_proj.layers.0.bias"),
    ("mask_downsample.weight", "mask_downsample.weight"),
    ("image_encoder.trunk.patch_embed.proj.weight", "vision_encoder.backbone.patch_embed.projection.weight"),
    ("image_encoder.trunk.pos_embed_window", "vision_encoder.backbone.pos_embed_window"),
    ("image_encoder.trunk.blocks.11.norm2.bias", "vision_encoder.backbone.blocks.11.layer_norm2.bias"),
    ("image_encoder.trunk.blocks.0.mlp.layers.1.weight", "vision_encoder.backbone.blocks.0.mlp.proj_out.weight"),
    ("image_encoder.neck.convs.3.conv.weight", "vision_encoder.neck.convs.3.weight"),
    ("sam_prompt_encoder.mask_downscaling.4.weight", "prompt_encoder.mask_embed.layer_norm2.weight"),
    (
        "sam_mask_decoder.transformer.layers.1.cross_attn_image_to_token.out_proj.bias",
        "mask_decoder.transformer.layers.1.cross_attn_image_to_token.o_proj.bias",
    ),
    ("sam_mask_decoder.transformer.norm_final_attn.weight", "mask_decoder.transformer.layer_norm_final_attn.weight"),
    ("sam_mask_decoder.output_upscaling.3.weight", "mask_decoder.upscale_conv2.weight"),
    (
        "sam_mask_decoder.output_hypernetworks_mlps.2.layers.2.bias",
        "mask_decoder.output_hypernetworks_mlps.2.proj_out.bias",
    ),
    ("sam_mask_decoder.iou_prediction_head.layers.0.weight", "mask_decoder.iou_prediction_head.proj_in.weight"),
    (
        "memory_attention.layers.2.cross_attn_image.k_proj.weight",
        "memory_attention.layers.2.cross_attn_image.k_proj.weight",
    ),
    ("memory_encoder.mask_downsampler.encoder.10.bias", "memory_encoder.mask_downsampler.layers.3.layer_norm.bias"),
    ("memory_encoder.fuser.layers.1.gamma", "memory_encoder.memory_fuser.layers.1.scale"),
    ("memory_encoder.out_proj.weight", "memory_encoder.projection.weight"),
]


@pytest.mark.parametrize(("meta", "transformers"), PAIRS)
def test_names_both_ways(meta: str, transformers: str) -> None:
    assert name_to_transformers(meta) == transformers
    assert name_to_meta(transformers) == meta


@pytest.mark.parametrize(
    "name",
    [
        "",
        "optimizer.step",
        "image_encoder.trunk.blocks.x.norm1.weight",
        "image_encoder.trunk.blocks.0.norm1.running_mean",
        "sam_mask_decoder.transformer.layers.0.self_attn.o_proj.weight",
        "module.no_mem_embed",
    ],
)
def test_names_that_are_not_metas(name: str) -> None:
    assert name_to_transformers(name) is None


@pytest.mark.parametrize("name", ["sam2_hiera_t", "sam2.1_hiera_t"])
def test_full_size_names_round_trip(name: str) -> None:
    shapes = expected_shapes(get_architecture(name), "transformers", with_video=True)
    names = [one for one in shapes if one not in (POSITIONS_COPY, "prompt_encoder.point_embed.weight")]
    there = [name_to_meta(one) for one in names]
    assert None not in there
    assert len(set(there)) == len(names)
    assert [name_to_transformers(str(one)) for one in there] == names


@pytest.mark.parametrize(("name", "count"), [("sam2_hiera_t", 468), ("sam2.1_hiera_t", 471), ("sam2.1_hiera_l", 903)])
def test_full_size_files_have_as_many_tensors_as_metas(name: str, count: int) -> None:
    """The lengths of `build_sam2(...).state_dict()` of sam2 1.1.0."""
    assert len(expected_shapes(get_architecture(name), "meta", with_video=True)) == count


@pytest.mark.parametrize("architecture", [SMALL_2, SMALL_2_1, SMALL_IMAGE_ONLY])
def test_tensors_round_trip_bit_for_bit(architecture) -> None:
    tensors = seeded_tensors(architecture)
    meta_tensors, unknown = tensors_to_meta(tensors)
    assert not unknown
    assert POSITIONS_COPY not in meta_tensors
    back, unknown = tensors_to_transformers(meta_tensors)
    assert not unknown
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    again, _ = tensors_to_meta(back)
    assert again.keys() == meta_tensors.keys()
    assert all(torch.equal(again[name], meta_tensors[name]) for name in meta_tensors)


def test_point_embeddings_keep_their_order() -> None:
    meta = {f"sam_prompt_encoder.point_embeddings.{i}.weight": torch.full((1, 3), float(i)) for i in (2, 0, 3, 1)}
    tensors, _ = tensors_to_transformers(meta)
    assert tensors["prompt_encoder.point_embed.weight"].tolist() == [[i] * 3 for i in range(4)]


def test_unknown_names_are_returned() -> None:
    assert tensors_to_transformers({"epoch": torch.zeros(1)}) == ({}, ["epoch"])
    assert tensors_to_meta({"epoch": torch.zeros(1)}) == ({}, ["epoch"])


@pytest.mark.parametrize("kept", [POSITIONS, POSITIONS_COPY])
def test_missing_positional_matrix_is_taken_from_its_copy(kept: str) -> None:
    matrix = torch.randn(2, 4)
    completed = with_positions_copy({kept: matrix})
    assert set(completed) == {POSITIONS, POSITIONS_COPY}
    assert torch.equal(completed[POSITIONS], completed[POSITIONS_COPY])


def test_layout_and_video_tensors_are_told_by_names() -> None:
    tensors = seeded_tensors(SMALL_2_1)
    assert layout_of(tensors) == "transformers"
    assert layout_of(tensors_to_meta(tensors)[0]) == "meta"
    assert layout_of(["encoder.weight"]) is None
    video = [name for name in tensors if is_video_tensor(name)]
    assert len(video) == 160
    assert {"no_memory_embedding", POSITIONS_COPY}.isdisjoint(video)
