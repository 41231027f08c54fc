"""Label maps of every kind of picture, and pictures that are none."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFilter

from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.formats.label_maps.reading import read_label_map

NUMBERS = np.zeros((40, 60), np.uint8)
NUMBERS[4:20, 5:25] = 1
NUMBERS[10:35, 30:55] = 2
MASK = NUMBERS > 0


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_grey_pictures_of_all_depths(tmp_path, dtype):
    path = save(tmp_path / "a.tif", NUMBERS.astype(dtype) * dtype(100))
    label_map = read_label_map(path)
    assert label_map.numbers.dtype == np.uint32
    np.testing.assert_array_equal(label_map.numbers, NUMBERS.astype(int) * 100)
    assert not label_map.remark


def test_palettes_and_single_bits(tmp_path):
    palette = Image.fromarray(NUMBERS).convert("P")
    palette.putdata(NUMBERS.ravel().tolist())
    palette.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    palette.save(tmp_path / "p.png", transparency=0)
    np.testing.assert_array_equal(read_label_map(tmp_path / "p.png").numbers, NUMBERS)
    np.testing.assert_array_equal(read_label_map(save(tmp_path / "1.png", MASK)).numbers, MASK)


@pytest.mark.parametrize("alpha", [(), ("alpha",)])
def test_grey_in_colour_channels(tmp_path, alpha):
    channels = [NUMBERS] * 3 + [np.full_like(NUMBERS, 255) for _ in alpha]
    np.testing.assert_array_equal(read_label_map(save(tmp_path / "a.png", np.dstack(channels))).numbers, NUMBERS)
    grey = np.dstack([NUMBERS, np.full_like(NUMBERS, 255)])
    np.testing.assert_array_equal(read_label_map(save(tmp_path / "la.png", grey)).numbers, NUMBERS)


def test_every_colour_is_an_object_and_black_the_background(tmp_path):
    colours = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0)], np.uint8)[NUMBERS]
    label_map = read_label_map(save(tmp_path / "a.png", colours))
    assert sorted(np.count_nonzero(label_map.numbers == number) for number in (1, 2)) == sorted([320, 625])
    np.testing.assert_array_equal(label_map.numbers > 0, MASK)
    assert label_map.remark == "coloured, each colour read as one object"


def test_white_is_the_background_of_colours_without_black(tmp_path):
    colours = np.array([(255, 255, 255), (128, 0, 0), (0, 128, 0)], np.uint8)
    label_map = read_label_map(save(tmp_path / "a.png", colours[NUMBERS]))
    np.testing.assert_array_equal(label_map.numbers > 0, MASK)
    assert len(np.unique(label_map.numbers)) == 3
    assert label_map.remark.endswith("and white as the background, since nothing is black")
    colours[0] = (0, 0, 128)
    label_map = read_label_map(save(tmp_path / "b.png", colours[NUMBERS]))
    assert label_map.numbers.min() == 1
    assert label_map.remark.endswith("nothing is black, so that there is no background")


def test_transparent_pixels_are_background_whatever_their_colour(tmp_path):
    rgba = np.zeros((*MASK.shape, 4), np.uint8)
    rgba[MASK] = (0, 0, 0, 255)
    np.testing.assert_array_equal(read_label_map(save(tmp_path / "black.png", rgba)).numbers, MASK)
    rgba[~MASK] = (255, 0, 0, 0)
    rgba[MASK] = (9, 8, 7, 255)
    np.testing.assert_array_equal(read_label_map(save(tmp_path / "red.png", rgba)).numbers, MASK)


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_masks_saved_as_jpeg_are_one_object(tmp_path, quality, suffix):
    save(tmp_path / "a.jpg", MASK.astype(np.uint8) * 255, quality=quality)
    Image.open(tmp_path / "a.jpg").save(tmp_path / f"b.{suffix}")
    label_map = read_label_map(tmp_path / ("a.jpg" if suffix == "jpg" else "b.png"))
    assert set(np.unique(label_map.numbers)) == {0, 1}
    assert np.count_nonzero((label_map.numbers > 0) != MASK) < 0.02 * MASK.sum()
    assert label_map.remark.startswith("with soft edges, read as one object")


def test_smoothed_masks_are_cut_in_the_middle(tmp_path):
    smooth = Image.fromarray(MASK.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(2))
    smooth.save(tmp_path / "a.png")
    label_map = read_label_map(tmp_path / "a.png")
    assert np.count_nonzero((label_map.numbers > 0) != MASK) < 0.03 * MASK.sum()
    save(tmp_path / "f.tif", np.asarray(smooth, np.float32) / 255)
    np.testing.assert_array_equal(read_label_map(tmp_path / "f.tif").numbers, label_map.numbers)


def _resized_map():
    return np.asarray(Image.fromarray(NUMBERS * np.uint8(100)).resize((97, 71), Image.Resampling.BILINEAR))


def _photograph():
    return np.random.default_rng(0).integers(0, 255, (40, 60), np.uint8)


@pytest.mark.parametrize(
    ("array", "options", "text"),
    [
        (_resized_map(), {"format": "PNG"}, "values of this mask run into one another"),
        (NUMBERS * np.uint8(100), {"format": "JPEG"}, "values of this mask run into one another"),
        (_photograph(), {"format": "PNG"}, "values of this mask run into one another"),
        (np.dstack([_photograph(), _resized_map()[:40, :60], NUMBERS]), {"format": "PNG"}, "colours of this mask run"),
        (NUMBERS.astype(np.float32) * 1.5, {"format": "TIFF"}, "whole, but this picture has values such as 1.5"),
        (NUMBERS.astype(np.int32) - 1, {"format": "TIFF"}, "whole numbers from 0, but this picture has values from -1"),
        (np.where(MASK, np.nan, 0).astype(np.float32), {"format": "TIFF"}, "whole numbers from 0"),
    ],
)
def test_pictures_that_cannot_be_label_maps_are_refused(tmp_path, array, options, text):
    with pytest.raises(DataError, match=text) as caught:
        read_label_map(save(tmp_path / "a.x", array, **options))
    assert str(caught.value).startswith(str(tmp_path / "a.x"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"missing\.png: there is no such file"):
        read_label_map(tmp_path / "missing.png")


@pytest.mark.parametrize(
    "options", [{"format": "JPEG", "quality": 60}, {"format": "WEBP", "quality": 60}, {"format": "AVIF", "quality": 50}]
)
@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0), (40, 90, 200)])
def test_one_object_in_one_colour_in_a_lossy_picture(tmp_path, options, colour):
    Image.fromarray(np.where(MASK[..., None], np.uint8(colour), np.uint8(0))).save(tmp_path / "a", **options)
    label_map = read_label_map(tmp_path / "a")
    assert set(np.unique(label_map.numbers)) == {0, 1}
    assert np.count_nonzero((label_map.numbers > 0) != MASK) <= 40
    assert label_map.remark.startswith("with soft edges, read as one object")


def test_several_colours_in_a_lossy_picture_are_refused(tmp_path):
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)[NUMBERS]
    with pytest.raises(DataError, match="the colours of this mask run into one another"):
        read_label_map(save(tmp_path / "a.jpg", colours, quality=60))


def test_lossless_webp_keeps_its_numbers(tmp_path):
    path = save(tmp_path / "a.webp", np.dstack([NUMBERS] * 3), lossless=True)
    np.testing.assert_array_equal(read_label_map(path).numbers, NUMBERS)


def palette_picture(path, numbers, colours, **options):
    picture = Image.fromarray(numbers.astype(np.uint8)).convert("P")
    picture.putdata(numbers.ravel().tolist())
    picture.putpalette([value for colour in colours for value in colour])
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("colours", "background"),
    [
        ([(200, 0, 0), (0, 0, 0), (0, 200, 0)], 1),
        ([(200, 0, 0), (0, 200, 0), (255, 255, 255)], 2),
        ([(255, 255, 255), (200, 0, 0), (0, 200, 0)], 0),
        ([(9, 9, 9), (200, 0, 0), (0, 200, 0)], 0),
        ([(0, 0, 0), (255, 255, 255), (0, 200, 0)], 0),
    ],
)
def test_the_background_of_a_palette_that_is_sorted_in_some_way(tmp_path, colours, background):
    order = np.array([background, *(number for number in range(3) if number != background)])
    label_map = read_label_map(palette_picture(tmp_path / "a.png", order[NUMBERS], colours))
    np.testing.assert_array_equal(label_map.numbers > 0, MASK)
    assert len(np.unique(label_map.numbers)) == 3


def test_a_transparent_colour_of_a_palette_is_the_background(tmp_path):
    numbers = np.array([2, 0, 1])[NUMBERS]
    colours = [(200, 0, 0), (0, 200, 0), (9, 9, 9)]
    label_map = read_label_map(palette_picture(tmp_path / "a.png", numbers, colours, transparency=2))
    np.testing.assert_array_equal(label_map.numbers > 0, MASK)


def test_numbers_where_0_is_white_are_those_that_are_stored(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", NUMBERS, photometric="miniswhite")
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.tif").numbers, NUMBERS)
