"""The numbers of SAM2: what no model can have is refused before anything is built of it."""

from __future__ import annotations

from typing import Any

import pytest

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.families.architectures import architecture_from_dict, architecture_names, get_architecture
from sam2_adapter.models.families.sam2 import Sam2Architecture, Sam2Family
from sam2_adapter.models.weights.checks import expected_shapes


def test_the_sizes_of_the_levels() -> None:
    architecture = get_architecture("sam2_hiera_s")
    assert isinstance(architecture, Sam2Architecture)
    assert architecture.feature_sizes == (256, 128, 64)


def test_a_saved_model_names_no_kind() -> None:
    assert "kind" not in get_architecture("sam2_nano").to_dict()


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("hiera", "stages", [1, 2, 10**9, 1], "hiera.stages is"),
        ("hiera", "stages", [100, 100, 100, 100], "at most 256 blocks"),
        ("hiera", "stages", [1, 2, 3], "expected 4 whole numbers from 1 to 16384"),
        ("hiera", "embed_dim_per_stage", [32, 64, -128, 256], "hiera.embed_dim_per_stage is"),
        ("hiera", "window_spec", ["8", 8, 8, 8], "hiera.window_spec is"),
        ("hiera", "global_att_blocks", [99], "expected numbers of blocks, from 0"),
        ("hiera", "q_pool", True, "hiera.q_pool is True"),
        ("hiera", "num_heads_per_stage", [1, 2, 5, 8], "cannot be divided by hiera.num_heads_per_stage"),
        ("hiera", "embed_dim", 64, "are not those of the first stage"),
        ("decoder", "num_attention_heads", 3, "cannot be divided by decoder.attention_downsample_rate"),
        ("decoder", "mlp_dim", 10**50, "decoder.mlp_dim is"),
        (None, "image_size", 10**12, "expected a multiple of 32 up to 16384"),
        (None, "image_size", 256.0, "image_size is 256.0"),
        (None, "fpn_hidden_size", 100, "expected a multiple of 8"),
        (None, "fpn_top_down_levels", [7], "expected numbers of stages, from 0"),
    ],
)
def test_numbers_that_no_model_can_have(part: str | None, key: str, value: Any, message: str) -> None:
    numbers = get_architecture("sam2_nano").to_dict()
    changed = {**numbers, part: {**numbers[part], key: value}} if part else {**numbers, key: value}
    with pytest.raises(ConfigError) as caught:
        architecture_from_dict(changed)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("layout", ["meta", "transformers"])
def test_a_quick_look_finds_the_size(layout: Any) -> None:
    shapes = expected_shapes(get_architecture("sam2_hiera_b+"), layout, with_video=False)
    likely = [name for name in architecture_names() if Sam2Family().is_likely(get_architecture(name), shapes, layout)]
    assert likely == ["sam2_hiera_b+", "sam2.1_hiera_b+"]
    assert not Sam2Family().is_likely(get_architecture("sam2_hiera_b+"), {}, layout)
