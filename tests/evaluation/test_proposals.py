"""Figures of objects that were found without prompts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.evaluation.proposals import (
    Match,
    assign,
    ious_by_count,
    matched_ious,
    precision_figures,
    recall_figures,
)


def test_every_found_object_is_given_once_best_pairs_first() -> None:
    ious = np.array([[0.6, 0.9, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 0.0]])
    assert assign(ious).tolist() == [1, -1, -1]
    assert matched_ious(ious).tolist() == [0.9, 0, 0]
    assert assign(np.array([[0.6, 0.9], [0.7, 0.8]])).tolist() == [1, 0]
    assert matched_ious(np.zeros((2, 0))).tolist() == [0, 0]


def test_among_fewer_found_objects_less_is_matched() -> None:
    ious = np.zeros((1, 200))
    ious[0, [5, 50, 150]] = 0.5, 0.7, 0.9
    assert ious_by_count(ious).tolist() == [[0.5, 0.7, 0.9]]


def test_recall_counts_the_thresholds_that_are_reached() -> None:
    match = Match("a", 100, (0.0, 0.5, 0.951), 7)
    assert [match.recall(count) for count in (10, 100, 1000)] == [0.0, 0.1, 1.0]
    # 0.7 is reached by an IoU of 0.7, whatever its last bit.
    assert Match("a", 100, (0.7, 0.7, 0.1 * 7), 7).recall(1000) == pytest.approx(0.5)


def test_average_recall_by_count_and_size() -> None:
    matches = [Match("a", 100, (0.0, 0.5, 0.75), 3), Match("a", 5000, (1.0, 1.0, 1.0), 3)]
    figures = recall_figures(matches)
    assert (figures["ar_10"], figures["ar_100"]) == (0.5, pytest.approx(0.55))
    assert figures["ar_1000"] == pytest.approx(0.8)
    assert (figures["ar_1000_small"], figures["ar_1000_medium"], figures["ar_1000_large"]) == (
        pytest.approx(0.6),
        1.0,
        None,
    )


def test_precision_and_accuracy_count_what_is_found_too_much() -> None:
    # Image a: 2 objects, 3 found, one of them right at 0.5 only; image b: 1 object, 1 found, perfect.
    matches = [
        Match("a", 100, (0.5, 0.5, 0.5), 3),
        Match("a", 100, (0.0, 0.0, 0.0), 3),
        Match("b", 100, (1.0, 1.0, 1.0), 1),
    ]
    figures = precision_figures(matches)
    assert figures["num_found"] == 4
    assert figures["precision"] == pytest.approx(2 / 4)
    assert figures["sa_50"] == pytest.approx((1 / 4 + 1) / 2)
    assert figures["sa_75"] == pytest.approx((0 + 1) / 2)
    assert figures["msa"] == pytest.approx((1 / 4 / 10 + 1) / 2)


def test_nothing_found_is_no_division() -> None:
    figures = precision_figures([Match("a", 100, (0.0, 0.0, 0.0), 0)])
    assert (figures["precision"], figures["msa"], figures["num_found"]) == (None, 0.0, 0)
