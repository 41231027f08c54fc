"""The configurations as data."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from transformers import Sam2Model, Sam2VideoModel

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.families.architectures import (
    architecture_from_config,
    architecture_from_dict,
    architecture_names,
    get_architecture,
    meant_name,
    official_names,
    twin_of,
)
from sam2_adapter.models.families.sam2_config import sam2_config, sam2_video_config
from sam2_adapter.models.weights.checkpoint import NoFirstValues

OFFICIAL = [
    "sam2_hiera_t",
    "sam2_hiera_s",
    "sam2_hiera_b+",
    "sam2_hiera_l",
    "sam2.1_hiera_t",
    "sam2.1_hiera_s",
    "sam2.1_hiera_b+",
    "sam2.1_hiera_l",
]


def test_names_are_the_eight_official_ones_and_the_bundled_one() -> None:
    assert list(official_names()) == OFFICIAL
    assert list(architecture_names()) == [*OFFICIAL, "sam2_nano"]


@pytest.mark.parametrize("name", [*OFFICIAL, "sam2_nano"])
def test_suffix_is_optional(name: str) -> None:
    assert get_architecture(f"{name}.yaml") is get_architecture(name)
    assert get_architecture(name).name == name


@pytest.mark.parametrize("name", ["sam2_hiera_x", "sam2_hiera_s.yml", "", "SAM2", "sam2_hiera_s.yaml.yaml"])
def test_unknown_name_lists_the_choices(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        get_architecture(name)
    assert repr(name) in str(caught.value)
    assert ", ".join([*OFFICIAL, "sam2_nano"]) in str(caught.value)


def test_unknown_name_suggests_a_close_one() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'sam2\.1_hiera_l'\?"):
        get_architecture("sam2.1-hiera-l")


@pytest.mark.parametrize(("size", "millions"), [("t", 38.9), ("s", 46.0), ("b+", 80.8), ("l", 224.4)])
def test_video_models_have_the_published_numbers_of_parameters(size: str, millions: float) -> None:
    """The numbers of the model table in the README of facebookresearch/sam2."""
    with torch.device("meta"), NoFirstValues():
        model = Sam2VideoModel(sam2_video_config(get_architecture(f"sam2_hiera_{size}")))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_nano_is_as_small_as_it_is_said_to_be() -> None:
    with torch.device("meta"), NoFirstValues():
        model = Sam2Model(sam2_config(get_architecture("sam2_nano")))
    assert 1e6 < sum(p.numel() for p in model.parameters()) < 3e6
    assert not get_architecture("sam2_nano").has_video_model


@pytest.mark.parametrize(("image_size", "embedding", "mask"), [(1024, 64, 256), (512, 32, 128), (256, 16, 64)])
def test_sizes_are_derived(image_size: int, embedding: int, mask: int) -> None:
    architecture = replace(get_architecture("sam2_hiera_t"), image_size=image_size)
    config = sam2_config(architecture)
    with torch.device("meta"), NoFirstValues():
        encoder = Sam2Model(config).prompt_encoder
    assert architecture.embedding_size == embedding == encoder.image_embedding_size[0]
    assert architecture.low_res_mask_size == mask == encoder.mask_input_size[0]
    assert architecture.feature_sizes == (mask, mask // 2, embedding)
    assert config.vision_config.backbone_feature_sizes == [[size, size] for size in architecture.feature_sizes]


@pytest.mark.parametrize("name", OFFICIAL)
def test_weights_are_published_under_consistent_names(name: str) -> None:
    architecture = get_architecture(name)
    weights = architecture.weights
    assert weights is not None
    long_name = {"t": "tiny", "s": "small", "b+": "base_plus", "l": "large"}[name.rpartition("_")[2]]
    assert weights.file_name == f"{architecture.family}_hiera_{long_name}.pt"
    assert weights.hub_repo == f"facebook/{architecture.family}-hiera-{long_name.replace('_', '-')}"
    assert weights.ultralytics_name == f"{architecture.family}_{long_name[0]}.pt"
    assert len(weights.sha256) == 64
    assert 150e6 < weights.num_bytes < 900e6


def test_twins_differ_in_their_family_only() -> None:
    twin = twin_of(get_architecture("sam2_hiera_b+"))
    assert twin is get_architecture("sam2.1_hiera_b+")
    assert twin_of(twin) is get_architecture("sam2_hiera_b+")
    assert twin_of(get_architecture("sam2_nano")) is None


@pytest.mark.parametrize("name", [*OFFICIAL, "sam2_nano"])
def test_round_trip_through_plain_types(name: str) -> None:
    architecture = get_architecture(name)
    assert architecture_from_dict(architecture.to_dict(), architecture.weights) == architecture


@pytest.mark.parametrize("name", OFFICIAL)
def test_round_trip_through_transformers_configuration(name: str) -> None:
    """With the numbers that equal the library's defaults left out, as in files."""
    architecture = get_architecture(name)
    assert architecture_from_config(sam2_video_config(architecture).to_diff_dict()) is architecture
    image_only = architecture_from_config(sam2_config(architecture).to_diff_dict())
    assert image_only in (architecture, twin_of(architecture))


def test_foreign_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"has model_type 'bert'; expected 'sam2' or 'sam2_video'"):
        architecture_from_config({"model_type": "bert"})


def test_malformed_numbers_are_refused() -> None:
    values = get_architecture("sam2_nano").to_dict()
    with pytest.raises(ConfigError, match=r"image_size is 250; expected a multiple of 32"):
        architecture_from_dict(values | {"image_size": 250})
    with pytest.raises(ConfigError, match=r"family is 'sam3'"):
        architecture_from_dict(values | {"family": "sam3"})
    with pytest.raises(ConfigError, match=r"is of the kind 'sam9'; there is sam2"):
        architecture_from_dict(values | {"kind": "sam9"})
    with pytest.raises(ConfigError, match=r"missing or malformed number \('hiera'\)"):
        architecture_from_dict({key: value for key, value in values.items() if key != "hiera"})


@pytest.mark.slow
def test_names_cost_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from sam2_adapter.models.families import architectures; from sam2_adapter.models.weights import download; "
        "architectures.architecture_names(); "
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sam2_small", "sam2_hiera_s"),
        ("sam2_large", "sam2_hiera_l"),
        ("sam2-hiera-tiny", "sam2_hiera_t"),
        ("facebook/sam2.1-hiera-base-plus", "sam2.1_hiera_b+"),
        ("sam2.1_l", "sam2.1_hiera_l"),
        ("SAM2_1_Small", "sam2.1_hiera_s"),
        ("sam2_hiera_small.yaml", "sam2_hiera_s"),
        ("sam2_hiera_xl", "sam2_hiera_l"),
        ("sam2_nan", "sam2_nano"),
    ],
)
def test_the_name_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"Did you mean '{meant}'?")):
        get_architecture(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sam2_small", "sam2_hiera_s"),
        ("sam2_tiny", "sam2_hiera_t"),
        ("SAM2_L", "sam2_hiera_l"),
        ("sam2_smal", "sam2_hiera_s"),
        ("sam2.1-larg", "sam2.1_hiera_l"),
        ("sam2-hiera-base-plus", "sam2_hiera_b+"),
        ("sam2_b", "sam2_hiera_b+"),
        ("facebook/sam2.1-hiera-large", "sam2.1_hiera_l"),
        ("sam2.1_small", "sam2.1_hiera_s"),
        ("sam21_t", "sam2.1_hiera_t"),
        ("sam2_1_hiera_tiny", "sam2.1_hiera_t"),
        ("sam2_hiera_small.pt", "sam2_hiera_s"),
        ("sam2 nano", "sam2_nano"),
        ("sam2_hierra_s", "sam2_hiera_s"),
        ("mobilenet", None),
        ("", None),
    ],
)
def test_what_is_meant(name: str, meant: str | None) -> None:
    assert meant_name(name, architecture_names()) == meant


def test_all_published_names_mean_their_configuration() -> None:
    for name in official_names():
        weights = get_architecture(name).weights
        assert weights is not None
        for other in (weights.file_name, weights.hub_repo, weights.ultralytics_name, name, name.upper()):
            assert meant_name(other, architecture_names()) == name
