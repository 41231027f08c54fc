"""Points of masks: inside, outside, in the middle and where the prediction is wrong, for every mask that exists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sam2_adapter.annotations.clicks import (
    Click,
    centre_point,
    clicks_to_arrays,
    evaluation_click,
    sample_correction_click,
    sample_positive_points,
)
from tests.formats.folders import rectangle
from tests.shapes import FEW

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
ANY_MASK = SHAPES.flatmap(lambda hw: arrays(bool, hw))
MASK = ANY_MASK.filter(np.any)
PAIR = SHAPES.flatmap(lambda hw: st.tuples(arrays(bool, hw), arrays(bool, hw))).filter(lambda pair: pair[0].any())


def is_set(mask: np.ndarray, x: float, y: float) -> bool:
    return bool(mask[int(y), int(x)])


def depths(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest pixel that is not set, beyond the border of the image included."""
    from scipy import ndimage

    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


@given(MASK, st.integers(0, 100), st.integers(1, 20))
def test_positive_points_are_pixel_centres_inside(mask, seed, count):
    points = sample_positive_points(mask, np.random.default_rng(seed), count)
    assert points.shape == (count, 2)
    assert points.dtype == np.float32
    assert all(is_set(mask, x, y) and x % 1 == y % 1 == 0.5 for x, y in points)
    assert len(np.unique(points, axis=0)) == min(count, mask.sum()) or count > mask.sum()


def test_positive_points_are_uniform_over_the_mask():
    mask = rectangle(2, 3, 6, 5) | rectangle(20, 10, 22, 12)
    points = sample_positive_points(mask, np.random.default_rng(0), 8)
    assert len(np.unique(points, axis=0)) == 8
    many = np.concatenate([sample_positive_points(mask, np.random.default_rng(seed), 1) for seed in range(1200)])
    _, counts = np.unique(many, axis=0, return_counts=True)
    assert len(counts) == 12
    assert 60 < counts.min() <= counts.max() < 145  # 100 each, five standard deviations


@given(MASK)
def test_the_centre_is_as_deep_as_can_be(mask):
    x, y = centre_point(mask)
    assert depths(mask)[int(y), int(x)] == pytest.approx(depths(mask).max())


def test_the_centre_of_known_shapes():
    assert centre_point(rectangle(4, 2, 9, 7)) == (6.5, 4.5)
    assert centre_point(rectangle(0, 0, 5, 5)) == (2.5, 2.5)
    assert centre_point(rectangle(7, 3, 8, 4)) == (7.5, 3.5)


@given(PAIR)
def test_the_evaluation_click_follows_the_protocol(pair):
    gt_mask, predicted = pair
    missed, too_many = depths(gt_mask & ~predicted), depths(predicted & ~gt_mask)
    click = evaluation_click(gt_mask, predicted)
    if not missed.any() and not too_many.any():
        assert click is None
        return
    assert click.label == int(missed.max() > too_many.max())
    deepest = missed if click.label else too_many
    assert deepest[int(click.y), int(click.x)] == pytest.approx(deepest.max())


def test_the_first_evaluation_click_is_in_the_middle_of_the_object():
    assert evaluation_click(rectangle(4, 2, 9, 7)) == Click(6.5, 4.5, 1)


def test_an_equal_miss_and_excess_gives_a_background_click():
    click = evaluation_click(rectangle(0, 0, 3, 3), rectangle(10, 0, 13, 3))
    assert click == Click(11.5, 1.5, 0)


def test_a_pixel_is_not_clicked_twice():
    gt_mask = rectangle(4, 2, 6, 3)
    clicks = []
    while (click := evaluation_click(gt_mask, np.zeros_like(gt_mask), clicks_to_arrays(clicks)[0])) is not None:
        clicks.append(click)
    assert clicks == [Click(4.5, 2.5, 1), Click(5.5, 2.5, 1)]


@given(PAIR, st.integers(0, 100))
def test_correction_clicks_say_what_the_pixel_is(pair, seed):
    gt_mask, predicted = pair
    click = sample_correction_click(gt_mask, predicted, np.random.default_rng(seed), from_gt=0)
    assert click.label == is_set(gt_mask, click.x, click.y)
    if (gt_mask != predicted).any():
        assert is_set(gt_mask ^ predicted, click.x, click.y)
    elif not gt_mask.all():
        assert click.label == 0


@given(PAIR, st.integers(0, 100), st.sampled_from([0.0, 0.5]))
def test_correction_clicks_avoid_ignored_pixels(pair, seed, from_gt):
    gt_mask, other = pair
    ignored = other & ~gt_mask
    predicted = np.ones_like(gt_mask)
    click = sample_correction_click(gt_mask, predicted, np.random.default_rng(seed), from_gt=from_gt, ignored=ignored)
    assert not is_set(ignored, click.x, click.y)
    assert click.label == is_set(gt_mask, click.x, click.y)
    nothing = np.zeros_like(gt_mask)
    for answer in (predicted, other, gt_mask):
        assert sample_correction_click(
            gt_mask, answer, np.random.default_rng(seed), ignored=nothing
        ) == sample_correction_click(gt_mask, answer, np.random.default_rng(seed))


def test_a_tenth_of_the_correction_clicks_comes_from_the_object():
    gt_mask, predicted = rectangle(0, 0, 10, 10), rectangle(0, 0, 12, 10)
    clicks = [sample_correction_click(gt_mask, predicted, np.random.default_rng(seed)) for seed in range(2000)]
    assert np.mean([click.label for click in clicks]) == pytest.approx(0.1, abs=0.03)


def test_a_perfect_full_frame_is_clicked_inside():
    everything = np.ones((3, 3), bool)
    assert sample_correction_click(everything, everything, np.random.default_rng(0)).label == 1


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="at least one pixel, but this one is empty"):
        sample_positive_points(np.zeros((3, 3), bool), np.random.default_rng(0))


@FEW
@given(MASK, st.integers(0, 5))
def test_the_same_seed_draws_the_same(mask, seed):
    first, second = (sample_positive_points(mask, np.random.default_rng(seed), 4) for _ in range(2))
    np.testing.assert_array_equal(first, second)
