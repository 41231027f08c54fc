"""Other spellings of the configurations' names."""

from __future__ import annotations

import pytest

from sam2_adapter.models.families.architectures import architecture_names, get_architecture, official_names
from sam2_adapter.models.families.spelling import meant_name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sam2_small", "sam2_hiera_s"),
        ("sam2_tiny", "sam2_hiera_t"),
        ("SAM2_L", "sam2_hiera_l"),
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
