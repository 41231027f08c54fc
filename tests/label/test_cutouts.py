"""Objects cut out of their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.label.cutouts import CUTOUT_PX, cut_out

RED = (255, 0, 0)


def _entry(mask):
    return {"label": "car", "counts": mask_to_rle(mask).counts, "score": 0.5}


@pytest.mark.parametrize(
    ("box", "hw"),
    [
        ((100, 50, 500, 250), (400, 600)),
        ((0, 0, 1, 1), (400, 600)),
        ((590, 390, 600, 400), (400, 600)),
        ((0, 0, 3, 900), (900, 3)),
    ],
)
def test_what_is_cut_out_is_bounded_and_shows_the_object_with_its_outline(box, hw):
    x0, y0, x1, y1 = box
    mask = np.zeros(hw, bool)
    mask[y0:y1, x0:x1] = True
    pixels = np.full((*hw, 3), 30, np.uint8)
    pixels[mask] = 200
    shown = cut_out(pixels, _entry(mask), RED)
    assert shown.dtype == np.uint8
    assert max(shown.shape[:2]) <= CUTOUT_PX
    assert (shown.astype(int)[..., 0] - shown[..., 2] > 60).any()  # the outline
    assert np.array_equal(pixels[mask], np.full_like(pixels[mask], 200))  # the picture is as it was


def test_a_large_object_is_cut_out_with_room_around_it():
    mask = np.zeros((1000, 1400), bool)
    mask[200:600, 300:700] = True
    pixels = np.full((1000, 1400, 3), 30, np.uint8)
    pixels[mask] = 200
    shown = cut_out(pixels, _entry(mask), RED)
    assert shown.shape == (CUTOUT_PX, CUTOUT_PX, 3)
    edge = round(CUTOUT_PX * 60 / 520)  # the margin is 15 % of 400 pixels
    assert (shown[: edge - 8] == 30).all()
    inside = shown[edge + 8 : -edge - 8, edge + 8 : -edge - 8]
    assert (inside == 200).all()
