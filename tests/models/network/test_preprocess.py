"""Geometry and pixel values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.models.network.preprocess import MASK_LOGIT, PIXEL_MEAN, PIXEL_STD, Geometry, images_to_pixel_values
from tests.shapes import FEW


def test_pixel_values_are_normalised_once():
    image = np.full((10, 20, 3), 255, np.uint8)
    image[..., 1] = 0
    values = images_to_pixel_values([image], 16)[0]
    expected = [(1 - PIXEL_MEAN[0]) / PIXEL_STD[0], -PIXEL_MEAN[1] / PIXEL_STD[1], (1 - PIXEL_MEAN[2]) / PIXEL_STD[2]]
    assert values.shape == (3, 16, 16)
    assert values.mean(dim=(1, 2)).tolist() == pytest.approx(expected, abs=1e-5)


def test_downscaling_is_antialiased():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    values = images_to_pixel_values([stripes], 64)[0, 0] * PIXEL_STD[0] + PIXEL_MEAN[0]
    assert values[:, 4:-4].min() > 0.4
    assert values[:, 4:-4].max() < 0.6


def test_padding_keeps_the_aspect_ratio_and_is_zero():
    image = np.full((100, 50, 3), 200, np.uint8)
    values = images_to_pixel_values([image], 64, "pad")[0]
    assert (values[:, :, :32] > 0).all()
    assert (values[:, :, 32:] == 0).all()


@pytest.mark.parametrize(
    ("hw", "expected"), [((50, 100), (32, 64)), ((100, 50), (64, 32)), ((64, 64), (64, 64)), ((1, 4000), (1, 64))]
)
def test_padded_size(hw, expected):
    assert Geometry(hw, 64, "pad").input_hw == expected
    assert Geometry(hw, 64, "stretch").input_hw == (64, 64)


def test_points_scale_by_axis():
    points = np.array([[10.0, 20.0], [100.0, 50.0]])
    assert Geometry((50, 100), 200).points_to_input(points).tolist() == [[20, 80], [200, 200]]
    assert Geometry((50, 100), 200, "pad").points_to_input(points).tolist() == [[20, 40], [200, 100]]


def test_points_are_not_rounded():
    assert Geometry((1000, 1000), 1024).points_to_input(np.array([[0.3, 0.7]]))[0].tolist() == pytest.approx(
        [0.3072, 0.7168], abs=1e-6
    )


@FEW
@given(st.integers(40, 300), st.integers(40, 300), st.sampled_from(["stretch", "pad"]), st.data())
def test_a_mask_survives_the_way_into_the_model_and_back(height, width, resize, data):
    y0, x0 = data.draw(st.integers(0, height - 30)), data.draw(st.integers(0, width - 30))
    y1, x1 = data.draw(st.integers(y0 + 24, height)), data.draw(st.integers(x0 + 24, width))
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    geometry = Geometry((height, width), 512, resize)
    logits = geometry.mask_to_logits(mask, (128, 128))
    assert float(logits.abs().max()) <= MASK_LOGIT + 1e-4
    (back,) = geometry.logits_to_masks(logits[None].numpy())
    assert mask_iou(back, mask) > 0.8


def test_upsampled_logits_have_the_original_size():
    logits = np.zeros((2, 16, 16), np.float32)
    logits[:, :, 8:] = 4
    logits[:, :, :8] = -4
    masks = Geometry((30, 60), 64).logits_to_masks(logits)
    assert masks.shape == (2, 30, 60)
    assert masks[:, :, 30:].all()
    assert not masks[:, :, :30].any()


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("original_hw", [(97, 143), (20, 300), (16, 16)])
def test_masks_lie_where_torchs_bilinear_upsampling_puts_them(original_hw, resize):
    logits = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    geometry = Geometry(original_hw, 64, resize)
    height, width = geometry.input_hw
    placed = F.interpolate(logits, size=(64, 64), mode="bilinear")[..., :height, :width] if resize == "pad" else logits
    expected = F.interpolate(placed, size=original_hw, mode="bilinear")[:, 0] > 0
    found = geometry.logits_to_masks(logits[:, 0].numpy())
    assert found.shape == (3, *original_hw)
    assert np.mean(found != expected.numpy()) < 1e-3
    assert np.array_equal(geometry.device_logits_to_masks(logits[:, 0]), expected.numpy())


def test_masks_upsampled_in_parts_equal_those_upsampled_together(monkeypatch):
    logits = torch.randn(7, 16, 16, generator=torch.Generator().manual_seed(1))
    together = Geometry((50, 70), 64).device_logits_to_masks(logits)
    monkeypatch.setattr("sam2_adapter.models.network.preprocess._DEVICE_PIXELS", 3 * 64 * 64)
    assert np.array_equal(Geometry((50, 70), 64).device_logits_to_masks(logits), together)
