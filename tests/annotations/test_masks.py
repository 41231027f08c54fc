"""Mask operations on masks that a person can check by eye."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sam2_adapter.annotations.masks import (
    MaskPrediction,
    box_region,
    clipped_to_box,
    distances_to,
    mask_iou,
    mask_to_box_xyxy,
)


def test_a_box_with_whole_pixels_is_half_open():
    region = box_region((5, 6), (1, 2, 4, 5))
    expected = np.zeros((5, 6), bool)
    expected[2:5, 1:4] = True
    assert np.array_equal(region, expected)


def test_a_pixel_belongs_to_a_box_when_its_centre_does():
    assert box_region((1, 4), (0.6, 0, 2.5, 1)).tolist() == [[False, True, False, False]]
    assert box_region((1, 4), (0.4, 0, 2.6, 1)).tolist() == [[True, True, True, False]]


def test_a_diamond():
    region = box_region((5, 5), (0.5, 0.5, 4.5, 4.5), 45)
    assert region.astype(int).tolist() == [
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
    ]


@given(st.floats(1, 20), st.floats(1, 15), st.floats(2, 25), st.floats(2, 25))
def test_four_quarter_turns_are_none(x0, y0, width, height):
    box = (x0, y0, x0 + width, y0 + height)
    plain, turned = box_region((45, 50), box), box_region((45, 50), box, 360)
    assert np.count_nonzero(plain ^ turned) <= np.count_nonzero(plain) * 0.1 + 2 * (width + height)


@given(st.floats(-180, 180))
def test_area_does_not_depend_on_the_angle(angle):
    assert abs(np.count_nonzero(box_region((100, 100), (30, 35, 70, 65), angle)) - 1200) < 60


def test_tight_box():
    mask = np.zeros((10, 12), bool)
    mask[3:5, 7] = True
    mask[8, 2] = True
    assert mask_to_box_xyxy(mask) == (2, 3, 8, 9)
    assert mask_to_box_xyxy(np.zeros((3, 3), bool)) is None


def test_iou():
    first, second = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert mask_iou(first, second) == 1.0
    first[:2], second[1:3] = True, True
    assert mask_iou(first, second) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("masks", "scores", "logits", "text"),
    [
        (
            np.zeros((2, 1, 4, 4), np.uint8),
            np.zeros((2, 1)),
            np.zeros((2, 1, 2, 2)),
            "masks: expected bool O x M x H x W, but got uint8",
        ),
        (
            np.zeros((2, 1, 4, 4), bool),
            np.zeros((2, 3)),
            np.zeros((2, 1, 2, 2)),
            r"iou_scores: expected shape \(2, 1\), but got \(2, 3\)",
        ),
        (
            np.zeros((2, 1, 4, 4), bool),
            np.zeros((2, 1)),
            np.zeros((1, 1, 2, 2)),
            r"low_res_logits: expected shape \(2, 1\) \+ \(h, w\)",
        ),
    ],
)
def test_a_prediction_is_checked_when_built(masks, scores, logits, text):
    with pytest.raises(ValueError, match=text):
        MaskPrediction(masks, scores, logits)


@given(arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 30))).filter(np.any))
def test_distances_are_roots_of_whole_numbers(region):
    from scipy import ndimage

    squares = np.rint(ndimage.distance_transform_edt(~region) ** 2)
    expected = np.sqrt(squares).astype(np.float32)
    assert np.array_equal(distances_to(region), expected)
    assert np.array_equal(distances_to(np.asfortranarray(region)), expected)


def test_distances_do_not_depend_on_where_the_mask_lies_in_memory():
    rng = np.random.default_rng(0)
    for _ in range(60):
        region = rng.random(rng.integers(12, 40, 2)) < 0.02
        region[0, 0] = True
        assert len({distances_to(_moved(region, offset)).tobytes() for offset in (0, 1, 4, 16, 24, 32, 48)}) == 1


def _moved(mask: np.ndarray, offset: int) -> np.ndarray:
    """A copy that starts `offset` bytes behind a multiple of 64."""
    memory = np.empty(mask.size + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + mask.size].view(np.bool_).reshape(mask.shape)
    copy[...] = mask
    return copy


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_a_mask_is_cut_at_its_box(angle: float) -> None:
    cut = clipped_to_box(np.ones((20, 30), np.bool_), (4.4, 5, 20, 16), angle)
    assert np.array_equal(cut, box_region((20, 30), (4.4, 5, 20, 16), angle))
    assert not clipped_to_box(np.zeros((20, 30), np.bool_), (4.4, 5, 20, 16), angle).any()
