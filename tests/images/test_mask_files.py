"""Masks as image files: every usual way of drawing one is read, and none that does not fit its image is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from sam2_adapter.errors import ImageError
from sam2_adapter.images.mask_files import alpha_mask_png, read_alpha_mask, read_mask
from tests.images.test_read import encoded, png_header
from tests.shapes import ellipse

MASK = ellipse((60, 80), (30, 40), (20, 30))
GREY = MASK.astype(np.uint8) * 255


def test_masks_are_read_whatever_way_they_are_drawn():
    mask = np.zeros((4, 5), np.bool_)
    mask[1:3, 2:4] = True
    grey = mask.astype(np.uint8)
    rgba = np.zeros((4, 5, 4), np.uint8)
    rgba[mask, 3] = 255
    opaque = np.dstack([np.stack([grey * 255] * 3, axis=2), np.full((4, 5), 255, np.uint8)])
    hidden_white = np.dstack([np.full((4, 5, 3), 255, np.uint8), grey * 255])
    palette = Image.fromarray(grey).convert("P")
    palette.putpalette([0, 0, 0, 0, 0, 90])
    palette.putdata(grey.ravel().tolist())
    pictures = {
        "0 and 1": grey,
        "0 and 255": grey * 255,
        "two-level": mask,
        "16-bit": grey.astype(np.uint16),
        "black on transparent": rgba,
        "white on opaque black": opaque,
        "white, transparent outside": hidden_white,
        "dark blue": np.dstack([0 * grey, 0 * grey, 4 * grey]),
        "palette": palette,
    }
    for name, picture in pictures.items():
        assert np.array_equal(read_mask(encoded(picture)), mask), name
    with pytest.raises(ImageError, match=r"m\.png: expected a PNG with transparency \(RGBA\), but its mode is L"):
        read_alpha_mask(encoded(grey), name="m.png")


@pytest.mark.parametrize("read", [read_mask, read_alpha_mask])
def test_a_mask_of_another_size_is_refused_by_its_header(read):
    # A header that claims 3 thousand million pixels behind which there is hardly one: decoding it would fail otherwise.
    with pytest.raises(ImageError) as caught:
        read(png_header(60_000, 50_000), allowed_hw=[(48, 64)], name="m.png")
    assert str(caught.value) == (
        "m.png: the size is 60000x50000 pixels, but that of its upright image is expected: 64x48."
    )
    with pytest.raises(ImageError, match=r"is expected: 64x48 or 10x9\."):
        read(png_header(48, 64), allowed_hw=[(48, 64), (9, 10)])


def test_a_mask_of_the_expected_size_is_read():
    mask = np.zeros((48, 64), np.bool_)
    mask[3:9, 5:11] = True
    assert np.array_equal(read_alpha_mask(alpha_mask_png(mask, (1, 2, 3)), allowed_hw=[(9, 9), (48, 64)]), mask)
    assert np.array_equal(read_mask(encoded(mask), allowed_hw=[(48, 64)]), mask)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_mask_saved_as_jpeg_is_cut_in_the_middle(tmp_path, quality, channels):
    array = GREY if channels == 1 else np.dstack([GREY] * 3)
    found = read_mask(save(tmp_path / "a.jpg", array, quality=quality))
    assert np.count_nonzero(found != MASK) < 0.01 * MASK.sum()
    Image.open(tmp_path / "a.jpg").save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "b.png"), found)


def test_a_smoothed_mask_is_cut_in_the_middle(tmp_path):
    Image.fromarray(GREY).filter(ImageFilter.GaussianBlur(3)).save(tmp_path / "a.png")
    assert np.count_nonzero(read_mask(tmp_path / "a.png") != MASK) < 0.03 * MASK.sum()


def test_numbers_and_faint_masks_are_taken_whole(tmp_path):
    numbers = MASK.astype(np.uint8)
    numbers[:, 40:] *= 7
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", numbers)), MASK)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "b.png", MASK.astype(np.uint8))), MASK)


def test_a_photograph_is_no_mask(tmp_path):
    photograph = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    with pytest.raises(ImageError, match=r"a\.jpg: its values run into one another like those of a photograph"):
        read_mask(save(tmp_path / "a.jpg", photograph, quality=95))


@pytest.mark.parametrize(
    "options", [{"format": "JPEG", "quality": 50}, {"format": "WEBP", "quality": 50}, {"format": "AVIF", "quality": 50}]
)
@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0), (40, 90, 200)])
def test_a_coloured_mask_in_a_lossy_format_has_no_specks(tmp_path, options, colour):
    path = tmp_path / "mask"
    Image.fromarray(np.where(MASK[..., None], np.uint8(colour), np.uint8(0))).save(path, **options)
    assert np.count_nonzero(read_mask(path) != MASK) <= 40


def test_a_photograph_in_colours_is_no_mask(tmp_path):
    photograph = np.random.default_rng(0).integers(1, 255, (60, 80, 3), np.uint8)
    with pytest.raises(ImageError, match=r"a\.png: its values run into one another like those of a photograph"):
        read_mask(save(tmp_path / "a.png", photograph))


def test_a_mask_of_one_colour_with_soft_edges_is_cut_at_half(tmp_path):
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 12:40] = 255
    soft = (
        Image.fromarray(mask).resize((256, 192), Image.Resampling.BILINEAR).resize((64, 48), Image.Resampling.BILINEAR)
    )
    red = np.dstack([np.asarray(soft), np.zeros((48, 64, 2), np.uint8)])
    assert len(np.unique(red)) > 4
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", red)), mask > 0)


def test_masks_of_several_colours_are_what_is_not_black(tmp_path):
    colours = np.zeros((48, 64, 3), np.uint8)
    colours[4:20, 4:20], colours[10:40, 30:60] = (9, 0, 0), (0, 200, 90)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", colours)), colours.any(axis=2))
