"""One image with its objects."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.formats.sample import Sample
from tests.formats.folders import HW, rectangle, write_image

MASKS = [rectangle(2, 3, 10, 12), rectangle(15, 5, 30, 20)]
OBJECTS = tuple(Annotation.from_mask(mask, "cat") for mask in MASKS)


def test_masks_and_image_are_read_when_asked(tmp_path):
    sample = Sample("a.png", write_image(tmp_path / "a.png"), HW, OBJECTS)
    np.testing.assert_array_equal(sample.gt_masks, MASKS)
    assert sample.read_image().shape == (*HW, 3)
    with pytest.raises(ImageError, match=r"a\.png: the image has 32x24 = 768 pixels, but the limit is 700"):
        sample.read_image(max_pixels=700)


def test_a_sample_needs_objects_of_its_size(tmp_path):
    with pytest.raises(DataError, match="needs at least one object"):
        Sample("a.png", tmp_path, HW, ())
    with pytest.raises(
        DataError, match=r"the mask of object 0 has \(height, width\) \(24, 32\), but the image has \(32, 24\)"
    ):
        Sample("a.png", tmp_path, HW[::-1], OBJECTS)


def test_ignored_pixels_are_decoded_when_asked_and_count_nowhere(tmp_path):
    border = rectangle(1, 2, 11, 13) & ~MASKS[0]
    sample = Sample("a.png", tmp_path, HW, OBJECTS, mask_to_rle(border))
    np.testing.assert_array_equal(sample.ignored_mask, border)
    np.testing.assert_array_equal(sample.counted(rectangle(1, 2, 11, 13)), MASKS[0])
    plain = Sample("a.png", tmp_path, HW, OBJECTS)
    assert plain.ignored_mask is None
    assert plain.counted(border) is border


def test_the_ignored_region_has_the_images_size_and_no_object(tmp_path):
    with pytest.raises(
        DataError, match=r"a\.png: the ignored region has \(height, width\) \(32, 24\), but the image has"
    ):
        Sample("a.png", tmp_path, HW, OBJECTS, mask_to_rle(np.ones(HW[::-1], bool)))
    with pytest.raises(DataError, match=r"a\.png: the mask of object 1 covers pixels of the ignored region"):
        Sample("a.png", tmp_path, HW, OBJECTS, mask_to_rle(rectangle(29, 19, 31, 21)))


def test_an_image_may_be_embedded_in_another_file(tmp_path):
    image = write_image(tmp_path / "a.png", value=7)
    sample = Sample("a.json", tmp_path / "a.json", HW, OBJECTS, content=image.read_bytes)
    assert (sample.read_image() == 7).all()
