"""Files with damage that no pixel needs are read; files that lack pixels are not."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sam2_adapter.errors import ImageError
from sam2_adapter.images.read import image_size, read_image
from sam2_adapter.images.repair import completed_jpeg, essential_png
from tests.images.test_read import encoded

NOISE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
SCENE = np.kron(NOISE[:12, :16], np.ones((8, 8, 1), np.uint8))

JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 3},
    "fine": {"quality": 98, "subsampling": 0},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("picture", [SCENE, NOISE, SCENE[..., 0]], ids=["scene", "noise", "grey"])
@pytest.mark.parametrize("tail", [b"", b"\xff", b"\0" * 700, b"\0"], ids=["two bytes", "one byte", "zeros", "a zero"])
def test_a_jpeg_file_that_only_lacks_its_end_is_read(picture, options, tail):
    whole = encoded(picture, "JPEG", **options)
    assert whole.endswith(b"\xff\xd9")
    assert np.array_equal(read_image(whole[:-2] + tail), read_image(whole))


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("lost", [5, 8, 40, 400])
def test_a_jpeg_file_that_lacks_pixels_is_refused(options, lost):
    whole = encoded(NOISE, "JPEG", **options)
    with pytest.raises(ImageError, match="the image is broken, cut off"):
        read_image(whole[:-lost])
    assert completed_jpeg(whole[:-lost] + b"\0" * lost) is None


def test_a_jpeg_file_that_is_cut_before_a_restart_is_refused():
    whole = encoded(NOISE, "JPEG", restart_marker_blocks=3)
    for number in range(6):
        assert completed_jpeg(whole[: whole.rindex(bytes([0xFF, 0xD0 + number]))]) is None


def _chunk(kind, body, checksum=None):
    checksum = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


LONG_TEXT = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 3_000_000))
DAMAGED = {
    "long text": LONG_TEXT,
    "wrong checksum": _chunk(b"tEXt", b"a\0b", 7),
    "damaged profile": _chunk(b"iCCP", b"p\0\0damaged"),
    "senseless gamma": _chunk(b"gAMA", b"\0"),
    "unknown": _chunk(b"abCd", b"1234", 1),
    "damaged transparency": _chunk(b"tRNS", b"\0\0\0\0\0\0", 1),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_a_png_file_with_damaged_metadata_is_read(damage, before):
    data = encoded(NOISE)
    place = data.index(before) - 4
    content = data[:place] + damage + data[place:]
    assert np.array_equal(read_image(content), NOISE)
    assert image_size(content) == (60, 80)


@pytest.mark.slow
def test_a_png_file_with_more_text_than_pillow_reads():
    data = encoded(NOISE)
    place = data.index(b"IDAT") - 4
    much = _chunk(b"tEXt", b"a\0" + b"b" * 900_000) * 80
    assert np.array_equal(read_image(data[:place] + much + data[place:]), NOISE)


def test_what_is_seen_stays_when_metadata_are_damaged():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 0, 0])
    palette.putdata([0, 1])
    data = encoded(palette, transparency=0)
    place = data.index(b"IDAT") - 4
    content = data[:place] + LONG_TEXT + data[place:]
    assert read_image(content).tolist() == [[[255, 255, 255], [200, 0, 0]]]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(NOISE, exif=exif)
    place = turned.index(b"IDAT") - 4
    assert read_image(turned[:place] + LONG_TEXT + turned[place:]).shape == (80, 60, 3)


def test_ordinary_text_stays_as_it_is():
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "c")
    assert np.array_equal(read_image(encoded(NOISE, pnginfo=text)), NOISE)
    assert essential_png(encoded(NOISE)) is None
    assert essential_png(b"\x89PNG\r\n\x1a\n\0\0") is None


def test_a_png_file_with_damaged_pixels_is_refused():
    data = bytearray(encoded(NOISE))
    data[data.index(b"IDAT") + 60] ^= 1
    with pytest.raises(ImageError, match="the image is broken, cut off"):
        read_image(bytes(data))
