"""The grids, crops and tiles in which everything is looked for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.predict.everything.views import View, crop_boxes, grid_points, tile_boxes, views_of


def test_the_grid_goes_row_by_row_half_a_step_from_the_borders() -> None:
    assert grid_points(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]


def test_points_are_pixels_of_the_view_on_both_axes() -> None:
    points = View((0, 0, 400, 100), (100, 400), 4).points
    assert points.min(axis=0).tolist() == [50, 12.5]
    assert points.max(axis=0).tolist() == [350, 87.5]


def test_crops_are_cut_where_metas_generator_cuts_them() -> None:
    # generate_crop_boxes((300, 400), 1, 512 / 1500) of the sam2 package
    assert crop_boxes((300, 400), 2) == [(0, 0, 251, 201), (0, 99, 251, 300), (149, 0, 400, 201), (149, 99, 400, 300)]


def test_layers_of_crops_have_fewer_points() -> None:
    chosen = EverythingSettings(points_per_side=16, crop_n_layers=2, crop_n_points_downscale_factor=2)
    views = views_of((300, 400), chosen)
    assert [len([view for view in views if view.points_per_side == side]) for side in (16, 8, 4)] == [1, 4, 16]


@settings(max_examples=50, deadline=None)
@given(
    hw=st.tuples(st.integers(20, 3000), st.integers(20, 3000)),
    tile=st.integers(64, 1500),
)
def test_tiles_cover_the_image_and_overlap(hw: tuple[int, int], tile: int) -> None:
    boxes = tile_boxes(hw, tile)
    for axis, side in ((0, hw[1]), (1, hw[0])):
        spans = sorted({(box[axis], box[axis + 2]) for box in boxes})
        assert spans[0][0] == 0
        assert spans[-1][1] == side
        assert all(end - start == min(side, tile) for start, end in spans)
        for (_, end), (start, _) in pairwise(spans):
            assert end - start >= int(tile * 0.3)


def test_an_image_no_larger_than_a_tile_is_looked_at_once() -> None:
    assert [view.box_xyxy for view in views_of((200, 300), EverythingSettings(tile_size=300))] == [(0, 0, 300, 200)]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((110, 60, 150, 90), False),
        ((100, 60, 150, 90), True),  # at the left side of the view
        ((110, 60, 199, 90), True),  # its last pixel is that of the view
        ((110, 0, 150, 90), False),  # at the top side, which is the image's
    ],
)
def test_objects_at_sides_where_the_image_goes_on_are_cut(box: tuple[int, int, int, int], expected: bool) -> None:
    view = View((100, 0, 200, 100), (300, 400), 8)
    assert view.cuts(box, 1.0) is expected
    assert not view.is_whole
    assert view.area == 10_000


def test_points_are_float32() -> None:
    assert grid_points(3).dtype == np.float32
