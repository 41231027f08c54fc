"""Image variants: the same place of image and mask, and what happens to objects that a crop cuts."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.config import Config
from sam2_adapter.training.batches import TrainingObject, draw_question
from sam2_adapter.training.variants import VARIANTS, variants_to_encode

HEIGHT, WIDTH = 20, 30


@pytest.mark.parametrize("name", list(VARIANTS))
def test_image_and_mask_move_together(name):
    rng = np.random.default_rng(1)
    mask = rng.random((HEIGHT, WIDTH)) < 0.3
    # White where the mask is, mid-grey elsewhere: no recolouring makes the two meet.
    image = np.where(mask[..., None], 255, 100).astype(np.uint8).repeat(3, axis=2)
    moved_image, moved_mask = VARIANTS[name].image(image), VARIANTS[name].mask(mask)
    assert moved_image.shape[:2] == moved_mask.shape
    bright = moved_image[..., 0] > moved_image[..., 0].min()
    np.testing.assert_array_equal(bright, moved_mask)


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("crop_top_left", slice(0, 12), slice(0, 18)),
        ("crop_top_right", slice(0, 12), slice(12, 30)),
        ("crop_bottom_left", slice(8, 20), slice(0, 18)),
        ("crop_bottom_right", slice(8, 20), slice(12, 30)),
    ],
)
def test_crops_are_three_fifths_of_each_side_at_their_corner(name, rows, columns):
    values = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256
    np.testing.assert_array_equal(VARIANTS[name].move(values), values[rows, columns])


def _question(mask, variant):
    item = TrainingObject(0, 0, Annotation.from_mask(mask, label="a"))
    return draw_question(item, 1, Config(variants=(variant,), min_area_px=1), 256)


def test_an_object_that_a_crop_cuts_away_is_asked_about_in_the_whole_image():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[14:18, 20:28] = True
    question = _question(mask, "crop_top_left")
    assert question.variant == "original"
    np.testing.assert_array_equal(question.mask, mask)


def test_an_object_that_is_half_in_a_crop_is_asked_about_there():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[8:16, 2:6] = True
    question = _question(mask, "crop_top_left")
    assert question.variant == "crop_top_left"
    np.testing.assert_array_equal(question.mask, mask[:12, :18])


def test_crops_need_the_whole_image_too_and_other_variants_do_not():
    assert variants_to_encode(("flip_x", "crop_top_left")) == ("flip_x", "crop_top_left", "original")
    assert variants_to_encode(("flip_x", "grey")) == ("flip_x", "grey")
    assert variants_to_encode(("original", "crop_top_left")) == ("original", "crop_top_left")
