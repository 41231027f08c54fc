"""Overlay pictures: what must be visible where."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.colors import PALETTE, color_of_label, colors_of_labels
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import ImageError
from sam2_adapter.images.read import read_image
from sam2_adapter.reports.overlay import draw_outline, draw_overlay, object_colors
from tests.shapes import SHARED_DATA, ellipse, real_masks

HW = (240, 320)
GREY = np.full((*HW, 3), 100, np.uint8)
LEFT = Annotation.from_mask(ellipse(HW, (120, 80), (60, 50)), "cat", 0.9)
RIGHT = Annotation.from_mask(ellipse(HW, (120, 240), (60, 50)), "dog", 0.25)


def _changed(picture, image=GREY):
    return (picture != image).any(axis=2)


def test_masks_are_tinted_in_their_colour_and_the_image_is_untouched():
    image = GREY.copy()
    picture = draw_overlay(image, [LEFT, RIGHT])
    assert (picture.dtype, picture.shape) == (np.uint8, (*HW, 3))
    assert np.array_equal(image, GREY)
    for annotation, color in zip((LEFT, RIGHT), object_colors([LEFT, RIGHT]), strict=True):
        y, x = (120, 80) if annotation is LEFT else (120, 240)
        expected = 100 + 0.42 * (np.array(color) - 100)
        assert np.abs(picture[y, x] - expected).max() <= 1
    assert not _changed(picture)[:, 150:170].any()


def test_without_objects_nothing_is_drawn():
    assert np.array_equal(draw_overlay(GREY, []), GREY)


def test_contours_follow_the_pixel_edges_of_parts_and_holes():
    mask = ellipse(HW, (120, 160), (100, 120)) & ~ellipse(HW, (120, 160), (40, 50))
    picture = draw_overlay(GREY, [Annotation.from_mask(mask, "cat")])
    changed = _changed(picture)
    assert not changed[100:140, 130:180].any()  # inside the hole, away from its contour
    tint = picture[120, 80]
    assert np.abs(picture[120, 112].astype(int) - picture[120, 207]).max() < 90
    for column in (range(36, 45), range(106, 115)):
        assert any(np.abs(picture[120, x].astype(int) - tint).max() > 30 for x in column)


def test_small_objects_stay_visible_on_large_ones():
    large = Annotation.from_mask(np.ones(HW, np.bool_), "floor")
    small = Annotation.from_mask(ellipse(HW, (120, 160), (30, 30)), "cup")
    for objects in ([large, small], [small, large]):
        picture = draw_overlay(GREY, objects)
        assert np.abs(picture[120, 160].astype(int) - picture[120, 60]).max() > 25


def test_prompts_are_drawn_in_the_colour_of_their_object():
    prompts = [
        Prompt(point_coords=[[80.5, 120.5], [30, 30]], point_labels=[1, 0]),
        Prompt(box_xyxy=(180, 40, 300, 200)),
    ]
    picture = draw_overlay(GREY, [LEFT, RIGHT], prompts)
    plain = draw_overlay(GREY, [LEFT, RIGHT])
    left, _ = object_colors([LEFT, RIGHT])
    assert tuple(picture[120, 80].tolist()) == left
    cross = picture[22:38, 22:38].reshape(-1, 3).astype(int)
    assert (np.abs(cross - (225, 40, 50)).max(axis=1) < 40).any()
    assert (np.abs(cross - 255).max(axis=1) < 10).any()
    assert _changed(picture, plain)[40:200, 300].all()
    assert not _changed(picture, plain)[:, 308:].any()


def test_prompts_find_their_object_by_its_index():
    prompts = [
        Prompt(point_coords=[[10, 10]], point_labels=[1]),
        Prompt(point_coords=[[160.5, 120.5]], point_labels=[1]),
    ]
    annotation = Annotation.from_mask(LEFT.mask, "cat", prompt_index=1)
    picture = draw_overlay(GREY, [annotation], prompts)
    assert tuple(picture[120, 160].tolist()) == object_colors([annotation])[0]
    assert tuple(picture[10, 10].tolist()) == (255, 255, 255)


def test_turned_boxes_are_drawn_turned():
    picture = draw_overlay(GREY, [], [Prompt(box_xyxy=(110, 70, 210, 170), box_angle=45.0)])
    changed = _changed(picture)
    assert changed[120 - 71 : 120 - 66, 160].any()
    assert changed[120, 160 + 66 : 160 + 73].any()
    assert not changed[70:75, 110:115].any()


def test_points_and_boxes_at_the_border_do_not_fail():
    prompts = [
        Prompt(point_coords=[[0, 0], [320, 240]], point_labels=[1, 0]),
        Prompt(box_xyxy=(-50, -50, 900, 900), box_angle=10.0),
    ]
    assert _changed(draw_overlay(GREY, [], prompts))[0, 0]


def test_tags_lie_inside_the_picture_and_never_on_each_other():
    top = Annotation.from_mask(ellipse(HW, (20, 300), (20, 20)), "a label of quite some length", 0.5)
    picture = draw_overlay(GREY, [top])
    assert _changed(picture)[40:70, 120:200].any()
    dense = [Annotation.from_mask(ellipse(HW, (120 + i % 9, 160 + i // 9), (3, 3)), "nucleus", 0.5) for i in range(60)]
    crowd = draw_overlay(GREY, dense)
    assert _changed(crowd).mean() < 0.1


@pytest.mark.parametrize(
    "label", ["猫 \n zwei\tZeilen", "x" * 500, "\ud800", " "], ids=["lines", "long", "surrogate", "blank"]
)
def test_any_label_is_drawn(label):
    assert _changed(draw_overlay(GREY, [Annotation.from_mask(LEFT.mask, label)]))[120, 80]


@pytest.mark.parametrize("hw", [(1, 1), (3, 200), (40, 30), (1500, 2000)])
def test_pictures_of_any_size(hw):
    image = np.zeros((*hw, 3), np.uint8)
    annotation = Annotation.from_mask(np.ones(hw, np.bool_), "cat", 0.5)
    prompts = [Prompt.whole_image(hw), Prompt(point_coords=[[hw[1] / 2, hw[0] / 2]], point_labels=[1])]
    picture = draw_overlay(image, [annotation], prompts)
    assert picture.shape == image.shape
    assert _changed(picture, image).all()


def test_lines_grow_with_the_picture():
    widths = []
    for factor in (1, 4):
        black = np.zeros((240 * factor, 320 * factor, 3), np.uint8)
        picture = draw_overlay(black, [], [Prompt(box_xyxy=(64 * factor, 48 * factor, 256 * factor, 192 * factor))])
        widths.append(_changed(picture, black)[120 * factor, : 160 * factor].sum())
    assert 1.5 * widths[0] <= widths[1] <= 4 * widths[0]


def test_colours_are_distinct_and_stable():
    assert len(set(PALETTE)) == len(PALETTE) == 16
    labels = [f"label {number}" for number in range(16)]
    assert len(set(colors_of_labels(labels).values())) == 16
    assert colors_of_labels(["cat"])["cat"] == color_of_label("cat") == (154, 215, 40)
    many = object_colors([LEFT] * 16)
    assert len(set(many)) == 16
    assert object_colors([LEFT, RIGHT, LEFT])[0] == object_colors([RIGHT, LEFT])[1]


def test_wrong_inputs_are_refused():
    with pytest.raises(ImageError, match="mask of annotation 1 is 320x240 pixels, but the image is 10x10"):
        draw_overlay(np.zeros((10, 10, 3), np.uint8), [Annotation.from_mask(np.ones((10, 10), np.bool_), "a"), LEFT])
    with pytest.raises(ImageError, match=r"uint8 RGB H x W x 3, but the image is float64 of shape \(10, 10, 3\)"):
        draw_overlay(np.zeros((10, 10, 3)), [])


def test_a_real_scene():
    masks = [mask for mask in real_masks("coco-cc", count=14) if mask.shape == real_masks("coco-cc", count=1)[0].shape]
    path = sorted((SHARED_DATA / "coco-cc" / "images").iterdir())[0]
    image = read_image(path)
    masks = [mask for mask in masks if mask.shape == image.shape[:2]]
    picture = draw_overlay(image, [Annotation.from_mask(mask, "thing", 0.5) for mask in masks])
    union = np.logical_or.reduce(masks)
    assert _changed(picture, image)[union].mean() > 0.95


def test_an_outline_alone_leaves_what_is_in_and_around_it():
    mask = np.zeros(HW, bool)
    mask[60:180, 100:220] = True
    picture = draw_outline(GREY, mask, (255, 0, 0))
    changed = _changed(picture)
    assert not changed[65:175, 105:215].any()
    assert not changed[:55].any()
    assert changed[60, 120:200].all()
    assert (picture[60, 150].astype(int) - picture[60, 150, 2])[0] > 50
    assert (GREY == 100).all()
