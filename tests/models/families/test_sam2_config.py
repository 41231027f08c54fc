"""Architectures to the configuration objects of transformers and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.sam2_config import config_json, read_config, sam2_config, sam2_video_config
from sam2_adapter.models.families.sam2_video import SAM2, SAM2_1
from tests.models.seeded_checkpoint import SMALL_2, SMALL_2_1, SMALL_IMAGE_ONLY

PUBLISHED = ("sam2_hiera_t", "sam2_hiera_s", "sam2_hiera_b+", "sam2_hiera_l", "sam2.1_hiera_b+", "sam2_nano")


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_image_model_comes_back_from_its_config(name):
    architecture = get_architecture(name)
    document = json.loads(config_json(architecture, "float32", with_video=False))
    assert (document["model_type"], document["architectures"]) == ("sam2", ["Sam2Model"])
    assert read_config(document) == replace(architecture, name="custom", family=None, weights=None)


@pytest.mark.parametrize("architecture", [SMALL_2, SMALL_2_1], ids=[SAM2, SAM2_1])
def test_a_video_model_comes_back_with_its_family(architecture):
    document = json.loads(config_json(architecture, "bfloat16", with_video=True))
    assert (document["model_type"], document["architectures"]) == ("sam2_video", ["Sam2VideoModel"])
    assert "bfloat16" in (document.get("dtype"), document.get("torch_dtype"))
    assert read_config(document) == architecture


def test_the_numbers_stand_where_the_library_looks_for_them():
    config = sam2_config(SMALL_IMAGE_ONLY)
    backbone, hiera = config.vision_config.backbone_config, SMALL_IMAGE_ONLY.hiera
    assert (backbone.hidden_size, tuple(backbone.blocks_per_stage)) == (hiera.embed_dim, tuple(hiera.stages))
    assert config.vision_config.backbone_channel_list == [64, 32, 16, 8]
    assert config.vision_config.backbone_feature_sizes == [[16, 16], [8, 8], [4, 4]]
    assert (config.prompt_encoder_config.image_size, config.prompt_encoder_config.hidden_size) == (64, 32)
    assert config.mask_decoder_config.mlp_dim == 16


@pytest.mark.parametrize(("architecture", "is_2_1"), [(SMALL_2, False), (SMALL_2_1, True)], ids=[SAM2, SAM2_1])
def test_what_the_video_models_differ_in(architecture, is_2_1):
    config = sam2_video_config(architecture)
    assert config.enable_occlusion_spatial_embedding is is_2_1
    assert config.enable_temporal_pos_encoding_for_object_pointers is is_2_1
    assert config.memory_attention_rope_feat_sizes == [4, 4]
    assert config.mask_decoder_config.mlp_dim == 16


def test_numbers_that_are_left_out_have_the_defaults_of_the_library():
    found = read_config({"model_type": "sam2"})
    assert (found.image_size, found.fpn_hidden_size) == (1024, 256)
    assert tuple(found.hiera.stages) == (1, 2, 7, 2)
