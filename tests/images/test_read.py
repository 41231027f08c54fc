"""Reading images: any common file comes out upright and RGB, any other one as an error that names it."""

from __future__ import annotations

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sam2_adapter.errors import ImageError
from sam2_adapter.images.mask_files import read_alpha_mask, read_mask
from sam2_adapter.images.read import MAX_PIXELS, image_size, read_image
from tests.shapes import FEW, QUICK, SHARED_DATA

FORMATS = ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"]
LOSSLESS = ["PNG", "WEBP", "TIFF", "BMP"]

# A 6 x 9 picture whose four corners differ, so that no turn goes unnoticed.
UPRIGHT = np.zeros((6, 9, 3), np.uint8)
UPRIGHT[:3, :4], UPRIGHT[:3, 4:], UPRIGHT[3:, :4], UPRIGHT[3:, 4:] = (
    (200, 0, 0),
    (0, 200, 0),
    (0, 0, 200),
    (200, 200, 0),
)

# How a camera that writes this EXIF orientation stores the upright picture.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def encoded(image, kind="PNG", **options):
    """The content of an image file."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png_header(width, height):
    """A PNG that claims a size and has hardly a pixel."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b"\0\0"))
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_colour_pictures_are_read_as_they_are(kind, tmp_path):
    data = encoded(UPRIGHT, kind, **({"lossless": True} if kind == "WEBP" else {}))
    (tmp_path / "a.dat").write_bytes(data)
    image = read_image(tmp_path / "a.dat")
    assert (image.dtype, image.shape) == (np.uint8, (6, 9, 3))
    assert np.array_equal(image, UPRIGHT)
    assert np.array_equal(read_image(data), UPRIGHT)
    assert image.flags.writeable
    assert image.flags.c_contiguous


@pytest.mark.parametrize("kind", FORMATS)
def test_lossy_pictures_are_close(kind):
    large = np.kron(UPRIGHT, np.ones((16, 16, 1), np.uint8))
    assert np.abs(read_image(encoded(large, kind)).astype(int) - large).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind, orientation):
    large = np.kron(UPRIGHT, np.ones((16, 16, 1), np.uint8))
    stored = np.ascontiguousarray(STORED[orientation](large))
    data = encoded(stored, kind, exif=exif_of(orientation))
    image = read_image(data)
    assert image.shape == large.shape
    assert np.abs(image.astype(int) - large).mean() < 4
    assert image_size(data) == large.shape[:2]


def test_exif_behind_the_pixels_of_a_png_counts():
    data = encoded(np.ascontiguousarray(STORED[6](UPRIGHT)), "PNG", exif=exif_of(6))
    start = data.index(b"eXIf") - 4
    length = struct.unpack(">I", data[start : start + 4])[0] + 12
    end = data.index(b"IEND") - 4
    moved = data[:start] + data[start + length : end] + data[start : start + length] + data[end:]
    assert np.array_equal(read_image(moved), UPRIGHT)
    assert image_size(moved) == (6, 9)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_or_senseless_exif_costs_only_itself():
    for exif in (b"Exif\x00\x00damaged", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", exif_of(99), exif_of(0)):
        data = encoded(np.kron(UPRIGHT, np.ones((8, 8, 1), np.uint8)), "JPEG", exif=exif)
        assert read_image(data).shape == (48, 72, 3)
        assert image_size(data) == (48, 72)


def test_grey_and_two_level_pictures():
    grey = np.array([[0, 7], [128, 255]], np.uint8)
    for kind in ("PNG", "TIFF", "BMP"):
        assert np.array_equal(read_image(encoded(grey, kind)), np.stack([grey] * 3, axis=2))
    assert read_image(encoded(Image.fromarray(grey > 100)))[..., 0].tolist() == [[0, 0], [255, 255]]


def test_palette_pictures_show_their_colours_not_their_indices():
    picture = Image.new("P", (3, 1))
    picture.putpalette([10, 20, 30, 200, 0, 0, 0, 0, 250])
    picture.putdata([0, 1, 2])
    expected = [[[10, 20, 30], [200, 0, 0], [0, 0, 250]]]
    for kind in ("PNG", "GIF", "TIFF", "BMP"):
        assert read_image(encoded(picture, kind)).tolist() == expected
    see_through = read_image(encoded(picture, "PNG", transparency=0))
    assert see_through.tolist() == [[[255, 255, 255], [200, 0, 0], [0, 0, 250]]]
    partly = read_image(encoded(picture, "PNG", transparency=bytes([255, 0, 255])))
    assert partly.tolist() == [[[10, 20, 30], [255, 255, 255], [0, 0, 250]]]


def test_transparent_pixels_are_white_whatever_hides_behind_them():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    expected = [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert read_image(encoded(rgba, kind, **options)).tolist() == expected
    grey_alpha = Image.fromarray(np.array([[[10, 255], [10, 0]]], np.uint8), "LA")
    assert read_image(encoded(grey_alpha)).tolist() == [[[10] * 3, [255] * 3]]


def test_cmyk_pictures():
    cmyk = Image.fromarray(np.array([[[0, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255]]], np.uint8), "CMYK")
    assert read_image(encoded(cmyk, "TIFF")).tolist() == [[[255, 255, 255], [255, 0, 0], [0, 0, 0]]]
    jpeg = read_image(encoded(cmyk.resize((48, 16), Image.Resampling.NEAREST), "JPEG", quality=95))
    assert np.abs(jpeg[8, [8, 24, 40]].astype(int) - [[255, 255, 255], [255, 0, 0], [0, 0, 0]]).max() < 40


def _ramp(dtype, low, high):
    return np.linspace(low, high, 40 * 50).reshape(40, 50).astype(dtype)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (_ramp(np.uint16, 100, 4095), "PNG"),
        (_ramp(np.uint16, 0, 65535), "PNG"),
        (_ramp(np.uint16, 3000, 3100), "TIFF"),
        (_ramp(np.int32, -50_000, 2_000_000), "TIFF"),
        (_ramp(np.float32, -0.25, 1.0), "TIFF"),
    ],
    ids=["12-bit", "16-bit", "narrow", "32-bit", "float"],
)
def test_deep_grey_pictures_are_stretched_to_what_they_hold(values, kind):
    image = read_image(encoded(values, kind))
    assert (image.dtype, image.shape) == (np.uint8, (40, 50, 3))
    assert image.min() == 0
    assert image.max() == 255
    expected = (values.astype(float) - values.min()) / (float(values.max()) - float(values.min())) * 255
    assert np.abs(image[..., 0] - expected).max() <= 3
    assert (image[..., 0] == image[..., 2]).all()


def test_hot_and_dead_pixels_do_not_darken_a_deep_grey_picture():
    values = _ramp(np.uint16, 100, 1100)
    values[3, 3], values[7, 7] = 65535, 0
    image = read_image(encoded(values))[..., 0]
    assert 120 <= np.median(image) <= 135


def test_colour_pictures_of_16_bits_keep_their_upper_8():
    values = np.array([[[0, 256, 4095], [65535, 32768, 255]]], np.uint16)
    for suffix in (".png", ".tiff"):
        data = cv2.imencode(suffix, values[..., ::-1])[1].tobytes()
        assert read_image(data).tolist() == [[[0, 1, 15], [255, 128, 0]]]


def test_deep_grey_pictures_without_range_or_with_gaps():
    assert not read_image(encoded(np.full((4, 4), 900, np.uint16))).any()
    # One bright pixel in a thousand is still seen where everything else is equal.
    rare = np.full((50, 50), 7, np.uint16)
    rare[1, 2] = 900
    assert np.argwhere(read_image(encoded(rare))[..., 0] == 255).tolist() == [[1, 2]]
    gaps = _ramp(np.float32, 0, 1)
    gaps[0, 0], gaps[39, 49] = np.nan, np.inf
    image = read_image(encoded(gaps, "TIFF"))[..., 0]
    assert (image[0, 0], image[0, 1], image[39, 48]) == (0, 0, 255)
    with pytest.raises(ImageError, match="no pixel has a finite value"):
        read_image(encoded(np.full((4, 4), np.nan, np.float32), "TIFF"))


def test_of_animations_the_first_picture_is_read():
    first, second = Image.fromarray(UPRIGHT), Image.fromarray(255 - UPRIGHT)
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encoded(first, kind, save_all=True, append_images=[second], **options)
        assert np.array_equal(read_image(data), UPRIGHT), kind
        assert image_size(data) == (6, 9)


def test_the_pixel_limit_is_checked_before_decoding():
    data = png_header(60_000, 50_000)
    with pytest.raises(ImageError) as caught:
        read_image(data, name="huge.png")
    assert str(caught.value) == (
        f"huge.png: the image has 60000x50000 = 3,000,000,000 pixels, but the limit is {MAX_PIXELS:,}. "
        "Give a smaller image, or raise the limit with max_pixels."
    )
    small = encoded(UPRIGHT)
    assert read_image(small, max_pixels=54).shape == (6, 9, 3)
    with pytest.raises(ImageError, match="6 = 54 pixels, but the limit is 53"):
        read_image(small, max_pixels=53)


def test_the_limit_can_be_raised_beyond_the_decoders_own():
    # 200 million pixels: Pillow alone would refuse.
    data = encoded(Image.new("1", (20_000, 10_000)), "PNG")
    assert image_size(data) == (10_000, 20_000)
    with pytest.raises(ImageError, match="200,000,000 pixels, but the limit is 100,000,000"):
        read_image(data)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", r"a\.png: the file is empty \(0 bytes\)"),
        (b"hello", r"a\.png: not an image in a known format\. Give a PNG, JPEG, "),
        (b"\x00" * 500, r"a\.png: not an image in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"a\.png: this is a PostScript drawing, not an image"),
        (png_header(9, 6), r"a\.png: the image is broken, cut off or of an unsupported kind \("),
        (encoded(UPRIGHT)[:60], r"a\.png: the image is broken, cut off or of an unsupported kind \("),
        (
            encoded(np.kron(UPRIGHT, np.ones((40, 40, 1), np.uint8)), "JPEG")[:900],
            r"a\.png: the image is broken, cut off or of an unsupported kind \(",
        ),
    ],
    ids=["empty", "text", "zeros", "postscript", "header", "cut-png", "cut-jpeg"],
)
def test_broken_files_are_named(tmp_path, content, text):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=text) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(ImageError, match=r"image of \d+ bytes: "):
        read_image(content)
    with pytest.raises(ImageError, match=r"item 7: "):
        read_image(content, name="item 7")


def test_paths_that_are_no_files_are_named(tmp_path):
    for path, text in (
        (tmp_path, "it is a folder, not a file. Give an image file"),
        (tmp_path / "missing.png", "there is no such file. Check the path"),
        ("a\0b.png", r"An image is the path of a file, or its content as bytes, but got .a\\x00b"),
        (os.devnull, "it is a device, not a file"),
    ):
        for read in (read_image, image_size, read_mask):
            with pytest.raises(ImageError, match=text):
                read(path)


@QUICK
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF0000WEBPVP8 ", b"II*\x00", b"BM", b"GIF89a"]),
)
def test_any_bytes_are_read_or_refused(content, magic):
    for read in (read_image, image_size, read_mask, read_alpha_mask):
        try:
            result = read(magic + content)
        except ImageError as error:
            assert str(error)  # noqa: PT017 - both outcomes are right
        else:
            assert isinstance(result, (np.ndarray, tuple))


@FEW
@given(st.sampled_from(FORMATS), st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8))
def test_damaged_files_are_read_or_refused(kind, share, changes):
    data = bytearray(encoded(np.kron(UPRIGHT, np.ones((10, 10, 1), np.uint8)), kind))
    for position, value in changes:
        data[int(position * (len(data) - 1))] = value
    cut = bytes(data[: int(share * len(data))])
    for content in (bytes(data), cut):
        try:
            assert read_image(content, max_pixels=10_000).shape[2] == 3
        except ImageError as error:
            assert "image of" in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("kind", FORMATS)
def test_files_cut_off_in_the_middle_are_refused(kind):
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    data = encoded(noise, kind)
    with pytest.raises(ImageError):
        read_image(data[: len(data) // 2])


def test_real_photographs():
    paths = sorted((SHARED_DATA / "photos").glob("*.[jp][pn]g"))
    if not paths:
        pytest.skip("the photographs are not there")
    for path in paths:
        image = read_image(path)
        assert image.shape == (*image_size(path), 3)
        with Image.open(path) as picture:
            assert np.array_equal(image, np.asarray(picture.convert("RGB")))
