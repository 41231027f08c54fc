"""Intervals of differences."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.evaluation.compare import paired_bootstrap


def test_the_interval_of_independent_objects_is_the_textbooks():
    rng = np.random.default_rng(0)
    first = rng.normal(0.5, 0.1, 400)
    second = first + rng.normal(0.02, 0.1, 400)
    interval = paired_bootstrap(first, second, range(400))
    difference = second - first
    half_width = 1.96 * difference.std() / 20
    assert interval.difference == pytest.approx(difference.mean())
    assert interval.low == pytest.approx(difference.mean() - half_width, abs=0.0007)
    assert interval.high == pytest.approx(difference.mean() + half_width, abs=0.0007)
    assert (interval.num_groups, interval.num_objects, interval.level) == (400, 400, 0.95)


def test_objects_of_one_image_are_drawn_together():
    rng = np.random.default_rng(0)
    shift = np.repeat(rng.normal(0.0, 0.1, 20), 50)
    images = np.repeat(np.arange(20), 50)
    by_image = paired_bootstrap(np.zeros(1000), shift, images.tolist())
    by_object = paired_bootstrap(np.zeros(1000), shift, range(1000))
    assert by_image.num_groups == 20
    assert by_image.high - by_image.low > 5 * (by_object.high - by_object.low)


def test_groups_of_different_size_weigh_by_their_objects():
    interval = paired_bootstrap([0, 0, 0, 0], [1, 1, 1, 0], ["a", "a", "a", "b"])
    assert interval.difference == 0.75
    assert (interval.low, interval.high) == (0, 1)


def test_the_seed_decides():
    data = (np.zeros(9), np.arange(9) / 9, range(9))
    assert paired_bootstrap(*data, seed=1) == paired_bootstrap(*data, seed=1)
    assert paired_bootstrap(*data, seed=1) != paired_bootstrap(*data, seed=2)


def test_text():
    interval = paired_bootstrap([0.5], [0.75], ["a"])
    assert str(interval) == "+0.250 [+0.250, +0.250]"
    assert interval.to_dict()["num_groups"] == 1


@pytest.mark.parametrize("data", [([], [], []), ([1], [1, 2], ["a"]), ([1], [1], [])])
def test_unpaired_data_are_refused(data):
    with pytest.raises(DataError, match="A paired comparison needs the same objects"):
        paired_bootstrap(*data)
