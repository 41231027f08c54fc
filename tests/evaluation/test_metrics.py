"""Figures for masks and scores, by value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.masks import box_region
from sam2_adapter.evaluation.metrics import (
    boundary_f,
    boundary_tolerance,
    clicks_to_reach,
    expected_calibration_error,
    inscribed_ellipse,
    mask_dice,
    mean,
    share_above,
    spearman,
)
from tests.annotations.test_clicks import PAIR
from tests.formats.folders import rectangle

BIG = (200, 200)


def test_dice_by_value():
    assert mask_dice(rectangle(0, 0, 4, 4), rectangle(2, 0, 6, 4)) == pytest.approx(2 * 8 / 32)
    assert mask_dice(np.zeros((3, 3), bool), np.zeros((3, 3), bool)) == 1
    assert mask_dice(rectangle(0, 0, 1, 1), rectangle(5, 5, 6, 6)) == 0


def test_outlines_within_the_tolerance_agree():
    truth = rectangle(50, 50, 150, 150, BIG)
    near, far = rectangle(52, 50, 152, 150, BIG), rectangle(60, 50, 160, 150, BIG)
    assert boundary_f(truth, truth) == 1
    assert boundary_f(near, truth, tolerance_px=2) == 1
    assert boundary_f(near, truth, tolerance_px=1) < 1
    assert 0.4 < boundary_f(far, truth, tolerance_px=2) < 0.7


def test_boundary_f_is_the_harmonic_mean_of_precision_and_recall():
    truth, predicted = (
        rectangle(10, 10, 20, 20, BIG),
        rectangle(10, 10, 20, 20, BIG) | rectangle(100, 100, 110, 110, BIG),
    )
    assert boundary_f(predicted, truth, tolerance_px=1) == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_boundary_f_at_the_border_of_the_image():
    everything, nothing = np.ones((9, 9), bool), np.zeros((9, 9), bool)
    assert boundary_f(everything, everything) == 1
    assert boundary_f(nothing, nothing) == 1
    assert boundary_f(everything, rectangle(2, 2, 5, 5, (9, 9))) == 0
    assert boundary_f(nothing, rectangle(2, 2, 5, 5, (9, 9))) == 0


@given(PAIR)
def test_boundary_f_is_symmetric_within_bounds(pair):
    value = boundary_f(*pair, tolerance_px=1)
    assert 0 <= value <= 1
    assert value == pytest.approx(boundary_f(pair[1], pair[0], tolerance_px=1))


def test_the_tolerance_grows_with_the_object_not_the_image():
    assert boundary_tolerance(rectangle(10, 10, 20, 20, BIG)) == 1
    assert boundary_tolerance(rectangle(0, 0, 200, 150, BIG)) == pytest.approx(0.02 * math.hypot(200, 150))


def test_trivial_answers():
    box = (10.0, 20.0, 110.0, 60.0)
    ellipse = inscribed_ellipse(BIG, box)
    assert ellipse.sum() == pytest.approx(math.pi * 50 * 20, rel=0.005)
    assert not (ellipse & ~box_region(BIG, box)).any()
    assert box_region(BIG, box).sum() == 100 * 40
    assert inscribed_ellipse((3, 3), (1, 1, 2, 2)).sum() == 1


def test_clicks_to_reach():
    assert clicks_to_reach([0.3, 0.86, 0.8, 0.91], 0.85, 20) == 2
    assert clicks_to_reach([0.3, 0.86, 0.8, 0.91], 0.9, 20) == 4
    assert clicks_to_reach([0.3, 0.86, 0.8, 0.91], 0.9, 3) == 3
    assert clicks_to_reach([0.3], 0.85, 20) == 20


def test_calibration_error_by_value():
    assert expected_calibration_error([0.95, 0.95, 0.15], [0.75, 0.95, 0.15]) == pytest.approx(0.2 / 3)
    assert expected_calibration_error([1.2, -0.5], [1.0, 0.0]) == 0, "scores are clamped"
    assert expected_calibration_error([0.72, 0.78], [0.78, 0.72]) == pytest.approx(0), (
        "one bin, as the definition has it"
    )
    assert expected_calibration_error([], []) is None


VALUES = st.lists(st.integers(0, 5), min_size=2, max_size=20)


@given(
    VALUES.flatmap(
        lambda first: st.tuples(st.just(first), st.lists(st.integers(0, 5), min_size=len(first), max_size=len(first)))
    )
)
def test_rank_correlation_equals_scipys(pair):
    from scipy import stats

    first, second = pair
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert spearman(first, second) is None
    else:
        assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)


def test_shares_and_means():
    assert share_above([0.4, 0.5, 0.9], 0.5) == pytest.approx(2 / 3)
    assert mean([1, 2]) == 1.5
    assert (share_above([], 0.5), mean([]), spearman([1], [1])) == (None, None, None)
