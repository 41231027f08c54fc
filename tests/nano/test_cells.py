"""Pictures of crowds as microscopes show them."""

from __future__ import annotations

import numpy as np
from cells import crowd_of_cells


def test_the_same_seed_gives_the_same_picture_and_another_one_another() -> None:
    first, again, other = (crowd_of_cells(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_blobs_are_small_many_and_of_another_brightness_than_the_ground() -> None:
    counts, sides, differences = [], [], []
    for seed in range(24):
        image, label_map = crowd_of_cells(np.random.default_rng(seed))
        assert image.shape == (256, 256, 3)
        assert image.dtype == label_map.dtype == np.uint8
        labels, areas = np.unique(label_map[label_map > 0], return_counts=True)
        counts.append(len(labels))
        sides += np.sqrt(areas).tolist()
        differences.append(abs(image[label_map > 0].mean() - image[label_map == 0].mean()))
    assert 10 < np.median(counts) < 80
    assert 8 < np.median(sides) < 40
    # of 255; a few are hardly to be seen, as in reality
    assert np.median(differences) > 15
