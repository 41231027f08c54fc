"""Training pictures from photographs."""

from __future__ import annotations

import numpy as np
from composites import Cutout, change_colours, cut_objects, large_thing, paste_on, window_of
from photographs import Photograph


def _photograph(label_map: np.ndarray) -> Photograph:
    image = np.zeros((*label_map.shape, 3), np.uint8)
    image[label_map > 0] = (255, 0, 0)
    return Photograph("x/y", image, label_map, is_complete=True)


def test_small_and_truncated_objects_are_not_cut_out() -> None:
    label_map = np.zeros((100, 120), np.uint8)
    label_map[30:60, 30:60] = 1
    label_map[:5, 40:60] = 2  # 100 px
    label_map[70:, 90:] = 3  # touches two sides
    label_map[65:, 10:40] = 4  # touches one
    cutouts = cut_objects([_photograph(label_map)])
    assert [cutout.mask.shape for cutout in cutouts] == [(30, 30), (35, 30)]
    assert all((cutout.mask == 255).all() for cutout in cutouts)


def test_a_window_keeps_image_and_labels_together() -> None:
    label_map = np.zeros((100, 150), np.uint8)
    label_map[20:80, 40:120] = 1
    photo = _photograph(label_map)
    for seed in range(8):
        image, labels = window_of(photo, np.random.default_rng(seed))
        assert image.shape == (256, 256, 3)
        assert labels.shape == (256, 256)
        red = image[..., 0] > 127
        assert (red & (labels == 1)).sum() / (red | (labels == 1)).sum() > 0.95


def test_a_share_of_the_windows_are_the_whole_photograph() -> None:
    label_map = np.zeros((100, 200), np.uint8)
    label_map[:, :100] = 1  # half of the photograph, on one side
    photo = _photograph(label_map)
    turned = 0
    for seed in range(12):
        _, labels = window_of(photo, np.random.default_rng(seed), whole_share=1.0)
        columns = labels.mean(0)
        if not np.isin(columns, (0, 1)).all():
            turned += 1
            continue
        assert (columns == 1).sum() == 128
        assert columns[0] != columns[-1]
    assert 0 < turned < 12


def test_what_is_pasted_is_labelled_and_hides_what_is_behind() -> None:
    label_map = np.full((256, 256), 1, np.uint8)
    black = np.zeros((256, 256, 3), np.uint8)
    cutout = Cutout(np.full((60, 60, 3), 255, np.uint8), np.full((60, 60), 255, np.uint8))
    photo = Photograph("x/y", np.full((90, 90, 3), 200, np.uint8), np.zeros((90, 90), np.uint8), is_complete=True)
    counts = []
    for seed in range(10):
        image, labels = paste_on(black, label_map, [cutout], [photo], np.random.default_rng(seed))
        counts.append(int(labels.max()) - 1)
        assert set(np.unique(labels)) - {0} == set(range(1, counts[-1] + 2))
        assert image[labels > 1].mean() > 60
        assert image[labels == 1].mean() < 6
    assert 1 <= min(counts) <= max(counts) <= 4


def test_colours_stay_in_range_and_change() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    changed = [change_colours(image, np.random.default_rng(seed)) for seed in range(6)]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in changed)
    assert sum(not np.array_equal(one, image) for one in changed) >= 4


def test_a_large_thing_is_alone_and_fills_much_of_the_picture() -> None:
    photo = _photograph(np.ones((120, 150), np.uint8))
    shares = []
    for seed in range(12):
        image, labels = large_thing([photo], np.random.default_rng(seed))
        assert image.shape == (256, 256, 3)
        assert set(np.unique(labels)) == {0, 1}
        shares.append((labels == 1).mean())
    assert min(shares) > 0.05
    assert 0.3 < max(shares) < 0.95
