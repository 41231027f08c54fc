"""Pixels of any mode become RGB in 0..255."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.images.pixel_modes import WHITE_IS_ZERO, stretched, to_rgb


def test_plain_modes_are_converted():
    assert np.asarray(to_rgb(Image.new("L", (2, 1), 7))).tolist() == [[[7, 7, 7]] * 2]
    assert np.asarray(to_rgb(Image.new("RGBA", (1, 1), (10, 20, 30, 0)))).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_grey_is_stretched_and_turned_where_zero_is_white(dtype):
    image = Image.fromarray(np.linspace(100, 1100, 2000).reshape(40, 50).astype(dtype))
    dark_first = np.asarray(to_rgb(image))[..., 0]
    image.info[WHITE_IS_ZERO] = True
    light_first = np.asarray(to_rgb(image))[..., 0]
    assert (dark_first[0, 0], dark_first[-1, -1]) == (0, 255)
    assert np.array_equal(light_first, 255 - dark_first)


def test_several_channels_are_stretched_together():
    values = np.array([[[0, 500, 1000]]], np.uint16)
    assert stretched(values).tolist() == [[[0, 128, 255]]]
    assert not stretched(np.full((2, 2, 3), 2**63, np.uint64)).any()
