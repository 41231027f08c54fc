"""Tensors held against their architecture: what is missing, unexpected, misshapen, of another kind or not finite."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.names import tensors_to_meta
from sam2_adapter.models.families.sam2_video import SAM2, SAM2_1
from sam2_adapter.models.weights.checks import (
    check_tensors,
    expected_shapes,
    family_of_video_tensors,
    honest_name,
    recognise,
)
from tests.models.seeded_checkpoint import SMALL_2, SMALL_2_1, image_model_of, seeded_tensors

NAME = "mask_decoder.iou_token.weight"


def _check(tensors, with_video=True, layout="transformers"):
    check_tensors(tensors, SMALL_2_1, layout, with_video, "a.pt")


def _shapes(name, layout="transformers", with_video=False):
    return dict(expected_shapes(get_architecture(name), layout, with_video))


def test_what_fits_is_taken_in_both_layouts(tensors):
    _check(tensors)
    _check(image_model_of(tensors), with_video=False)
    _check(tensors_to_meta(tensors)[0], layout="meta")


def test_what_is_missing_unexpected_or_misshapen_is_named(tensors):
    shape = tuple(tensors[NAME].shape)
    tensors["other"] = torch.zeros(1)
    tensors[NAME] = torch.zeros(5, 6)
    missing = sorted(tensors)[0]
    del tensors[missing]
    with pytest.raises(CheckpointError) as caught:
        _check(tensors)
    text = str(caught.value)
    assert text.startswith(f"a.pt does not fit custom: 1 tensor missing ({missing}); 1 tensor unexpected (other); ")
    assert f"1 tensor of the wrong shape ({NAME} is 5 x 6, expected {shape[0]} x {shape[1]})" in text


def test_something_beside_an_image_model_is_not_taken_for_the_video_memory(tensors):
    with pytest.raises(CheckpointError, match=r"does not fit custom: 1 tensor unexpected \(class_head\.weight\)\.$"):
        _check({**image_model_of(tensors), "class_head.weight": torch.zeros(3, 3)})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda tensor: tensor.to(torch.int32), "is int32"),
        (lambda tensor: tensor.to(torch.float64), "is float64"),
        (lambda tensor: tensor.to_sparse(), "is float32 in layout sparse_coo"),
        (lambda tensor: tensor.to("meta"), "is float32 without values"),
        (lambda tensor: tensor * float("nan"), "with values that are not finite"),
        (lambda tensor: tensor - float("inf"), "with values that are not finite"),
    ],
)
def test_values_that_are_no_finite_floats_are_named(tensors, change, problem):
    tensors[NAME] = change(tensors[NAME])
    with pytest.raises(CheckpointError, match=problem) as caught:
        _check(tensors)
    assert NAME in str(caught.value)


def test_half_precision_is_taken(tensors):
    _check({name: tensor.bfloat16() for name, tensor in tensors.items()})
    _check({name: tensor.half() for name, tensor in tensors.items()})


@pytest.mark.parametrize("layout", ["transformers", "meta"])
@pytest.mark.parametrize("name", ["sam2_hiera_t", "sam2_hiera_s", "sam2_hiera_b+", "sam2_hiera_l", "sam2_nano"])
def test_an_architecture_is_recognised_by_its_shapes(name, layout):
    found = recognise(_shapes(name, layout), layout)
    assert found is not None
    assert found.name == name


def test_video_tensors_tell_sam2_1_from_sam2():
    for name in ("sam2_hiera_s", "sam2.1_hiera_s"):
        found = recognise(_shapes(name, with_video=True), "transformers")
        assert found is not None
        assert found.name == name
    names = {family: seeded_tensors(small).keys() for family, small in ((SAM2, SMALL_2), (SAM2_1, SMALL_2_1))}
    assert {family: family_of_video_tensors(found) for family, found in names.items()} == {SAM2: SAM2, SAM2_1: SAM2_1}
    assert family_of_video_tensors(_shapes("sam2_hiera_s")) is None


def test_something_else_is_not_recognised():
    assert recognise({"layer.weight": (3, 4)}, "transformers") is None
    shapes = _shapes("sam2_hiera_s")
    kept = dict(list(shapes.items())[: len(shapes) // 3])
    assert recognise(kept, "transformers") is None


def test_the_wrong_architecture_is_told_which_it_is():
    small = {name: torch.empty(shape) for name, shape in _shapes("sam2_nano").items()}
    with pytest.raises(CheckpointError, match=r"does not fit sam2_hiera_t: .* The tensors look like sam2_nano\."):
        check_tensors(small, get_architecture("sam2_hiera_t"), "transformers", False, "a.pt")


def test_twins_are_both_named_where_nothing_tells_them_apart():
    twin = get_architecture("sam2_hiera_s")
    assert honest_name(twin) == "sam2_hiera_s or sam2.1_hiera_s"
    assert honest_name(twin, family_known=True) == "sam2_hiera_s"
    assert honest_name(replace(SMALL_2_1, name="custom")) == "custom"
