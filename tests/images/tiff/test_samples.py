"""Whatever the layout of a TIFF file, its numbers come out as they were written; `tifffile` is the judge."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sam2_adapter.images.read import image_size, read_image
from sam2_adapter.images.tiff.pixel_layout import read_layout
from sam2_adapter.images.tiff.samples import read_samples
from sam2_adapter.images.tiff.tags import read_directories
from tests.images.tiff.writing import COMPRESSIONS, KINDS, Layout
from tests.shapes import QUICK

LAYOUTS = st.builds(
    Layout,
    st.sampled_from(KINDS),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from("<>"),
    st.sampled_from(["minisblack", "miniswhite", "rgb"]),
    st.sampled_from(COMPRESSIONS),
    st.booleans(),
    st.booleans(),
    st.booleans(),
).filter(lambda layout: layout.is_possible)


def our_samples(data):
    """Our reading of the numbers; `None` for a file that Pillow reads."""
    layout = read_layout(next(read_directories(io.BytesIO(data))))
    return None if layout is None else read_samples(data, layout)


def _check(layout, height=37, width=53, seed=0):
    samples = layout.samples(height, width, seed)
    data = layout.write(samples)
    assert image_size(data) == (height, width)
    image = read_image(data)
    ours = our_samples(data)
    if ours is not None:
        assert ours.dtype == np.dtype(layout.kind)
        assert np.array_equal(ours, samples)
    if layout.kind == "u1":
        shown = samples[..., :3] if layout.channels >= 3 else samples[..., :1].repeat(3, axis=2)
        assert np.array_equal(image, 255 - shown if layout.photometric == "miniswhite" else shown)
    elif layout.kind[0] == "u" and layout.photometric == "rgb":
        assert np.array_equal(image, samples[..., :3] >> (8 * np.dtype(layout.kind).itemsize - 8))
    elif samples[..., 0].std():
        slope = np.corrcoef(image[..., 0].ravel(), samples[..., 0].astype(np.float64).ravel())[0, 1]
        assert slope < -0.98 if layout.photometric == "miniswhite" else slope > 0.98


@QUICK
@given(LAYOUTS, st.integers(1, 40), st.integers(2, 70), st.integers(0, 2**16))
def test_any_layout_is_read_right(layout, height, width, seed):
    _check(layout, height, width, seed)


@pytest.mark.soak
def test_every_layout_is_read_right():
    orders = itertools.product(
        KINDS, range(1, 6), (False, True), "<>", ("minisblack", "miniswhite", "rgb"), COMPRESSIONS, *[(False, True)] * 3
    )
    layouts = [layout for values in orders if (layout := Layout(*values)).is_possible]
    assert len(layouts) > 10_000
    for layout in layouts:
        _check(layout)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15])
def test_samples_of_any_number_of_bits(bits, compression):
    for channels in (1, 3):
        layout = Layout("u1" if bits <= 8 else "u2", channels, photometric="rgb" if channels == 3 else "minisblack")
        samples = layout.samples(9, 21) >> (8 * np.dtype(layout.kind).itemsize - bits)
        packed = _packed(samples, bits)
        data = _rewritten(Layout("u1", 1, compression=compression).write(packed[..., None]), 21, bits, channels)
        if channels == 3 or bits not in (1, 2, 4):
            assert np.array_equal(our_samples(data), samples)
        image = read_image(data)
        expected = samples.astype(np.float64) * (255 / (2**bits - 1))
        if channels == 3:
            assert np.abs(image - expected).max() <= 1
        else:
            assert np.corrcoef(image[..., 0].ravel(), expected.ravel())[0, 1] > 0.98


def _packed(samples, bits):
    ones = (samples.reshape(len(samples), -1)[..., None] >> np.arange(bits - 1, -1, -1).astype(samples.dtype)) & 1
    return np.packbits(ones.reshape(len(samples), -1).astype(np.uint8), axis=1)


def _rewritten(data, width, bits, channels):
    """A file of grey bytes whose index says that they are packed samples."""
    raw = bytearray(data)
    start = int.from_bytes(raw[4:8], "little")
    for entry in range(start + 2, start + 2 + 12 * int.from_bytes(raw[start : start + 2], "little"), 12):
        tag = int.from_bytes(raw[entry : entry + 2], "little")
        value = {256: width, 258: bits, 277: channels, 262: 2 if channels == 3 else 1}.get(tag)
        if value is not None:
            raw[entry + 8 : entry + 12] = value.to_bytes(4, "little")
    return bytes(raw)


def test_pillows_own_files_of_every_mode():
    values = np.random.default_rng(1).integers(0, 65535, (9, 12), np.uint16)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "TIFF", compression=compression)
        assert np.array_equal(our_samples(buffer.getvalue())[..., 0], values)
