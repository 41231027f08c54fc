"""Layouts of TIFF files that are not read are refused by name, before anything is decoded."""

from __future__ import annotations

import io

import numpy as np
import pytest

from sam2_adapter.errors import ImageError
from sam2_adapter.images.read import image_size, read_image
from sam2_adapter.images.tiff.pixel_layout import read_layout
from sam2_adapter.images.tiff.tags import read_directories
from tests.images.tiff.writing import Layout

NOISE = np.random.default_rng(0).integers(0, 4000, (32, 32, 3)).astype(np.uint16)


def with_value(data, tag, value):
    """A little-endian TIFF file with another number in an entry."""
    raw = bytearray(data)
    start = int.from_bytes(raw[4:8], "little")
    for entry in range(start + 2, start + 2 + 12 * int.from_bytes(raw[start : start + 2], "little"), 12):
        if int.from_bytes(raw[entry : entry + 2], "little") == tag:
            raw[entry + 8 : entry + 12] = value.to_bytes(4, "little")
    return bytes(raw)


GREY16 = Layout("u2").write(NOISE[..., :1])
PACKED16 = Layout("u2", compression="zlib").write(NOISE[..., :1])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (with_value(GREY16, 262, 32803), r"colours of raw sensor pixels \(CFA\) with 1 x 16 bits is not read"),
        (with_value(GREY16, 262, 8), "colours of CIE Lab"),
        (with_value(GREY16, 262, 77), "colours of kind 77"),
        (with_value(GREY16, 262, 2), "a TIFF of 3 colours needs as many channels, but has 1"),
        (with_value(GREY16, 258, 24), "a TIFF of 24-bit whole numbers is not read"),
        (with_value(Layout("f4").write(NOISE[..., :1].astype("f4")), 258, 24), "24-bit floating-point numbers"),
        (with_value(Layout("f4").write(NOISE[..., :1].astype("f4")), 339, 6), "32-bit complex numbers"),
        (with_value(PACKED16, 259, 34712), "1 x 16 bits with the compression JPEG 2000 is not read"),
        (with_value(PACKED16, 259, 7), "with the compression JPEG is not read"),
        (with_value(PACKED16, 259, 999), "with the compression number 999 is not read"),
        (with_value(GREY16, 277, 60_000), "a TIFF of 60000 channels is not read"),
        (with_value(GREY16, 257, 2_000_000_000), r"parts of the picture instead of|pixels, but the limit is"),
        (with_value(GREY16, 256, 0), "TIFF header: a picture of 0x32 pixels"),
    ],
)
def test_layouts_that_are_not_read_are_named(data, text):
    with pytest.raises(ImageError, match=text) as caught:
        read_image(data, name="a.tif")
    assert str(caught.value).startswith("a.tif: ")


def test_the_pixel_limit_holds_for_every_layout():
    data = Layout("u2", 5).write(NOISE[:, :, :1].repeat(5, axis=2))
    assert image_size(data) == (32, 32)
    with pytest.raises(ImageError, match="32x32 = 1,024 pixels, but the limit is 1,000"):
        read_image(data, max_pixels=1000)


def test_files_that_are_cut_off_are_refused():
    for layout in (Layout("u2"), Layout("u2", 3, True, photometric="rgb"), Layout("f4", compression="zlib")):
        data = layout.write(layout.samples())
        for share in (0.1, 0.5, 0.9):
            with pytest.raises(ImageError):
                read_image(data[: int(share * len(data))])


@pytest.mark.parametrize(
    ("layout", "is_pillows"),
    [
        (Layout("u1"), True),
        (Layout("u1", photometric="miniswhite"), True),
        (Layout("u1", 3, photometric="rgb"), True),
        (Layout("u1", 3, True, photometric="rgb"), False),
        (Layout("u1", 3, byte_order=">", big=True, photometric="rgb"), False),
        (Layout("u1", 5), False),
        (Layout("u2"), False),
        (Layout("u2", 3, photometric="rgb"), False),
    ],
)
def test_pillow_reads_the_usual_layouts(layout, is_pillows):
    data = layout.write(layout.samples())
    assert (read_layout(next(read_directories(io.BytesIO(data)))) is None) == is_pillows
