"""A TIFF file is turned as its orientation says, and its pages are counted without smaller versions of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from sam2_adapter.images.read import image_size, read_image, read_image_with_notes
from sam2_adapter.images.tiff.open import count_pages, open_tiff
from tests.images.test_read import STORED, UPRIGHT
from tests.images.tiff.test_tiles import write_sparse
from tests.images.tiff.writing import Layout


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_are_upright(orientation):
    stored = np.ascontiguousarray(STORED[orientation](UPRIGHT)).astype(np.uint16) * 257
    data = Layout("u2", 3, photometric="rgb").write(stored, extratags=[(274, 3, 1, orientation, True)])
    assert image_size(data) == (6, 9)
    assert np.array_equal(read_image(data), UPRIGHT)


def test_smaller_versions_and_masks_are_no_pages():
    buffer = io.BytesIO()
    picture = Layout("u2").samples(64, 64)[..., 0]
    with tifffile.TiffWriter(buffer) as writer:
        for step, subfile_type in ((1, 0), (2, 1), (4, 1), (1, 4)):
            page = picture[::step, ::step]
            writer.write(page > 9 if subfile_type == 4 else page, subfiletype=subfile_type, metadata=None)
    assert count_pages(buffer) == 1
    assert read_image_with_notes(buffer.getvalue())[1] == ()


def test_pages_of_deep_pictures_are_said():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((5, 8, 9), np.uint16), photometric="minisblack", metadata=None)
    assert read_image_with_notes(buffer.getvalue())[1] == ("5 pages, of which the first one is read",)


def test_the_tiles_of_a_sparse_picture_are_in_their_places(tmp_path):
    tile = np.full((256, 256, 3), 200, np.uint8)
    write_sparse(tmp_path / "a.tif", 1000, {(1, 2): tile})
    expected = np.zeros((1000, 1000, 3), np.uint8)
    expected[256:512, 512:768] = 200
    assert image_size(tmp_path / "a.tif") == (1000, 1000)
    assert np.array_equal(read_image(tmp_path / "a.tif"), expected)


def test_sparse_pictures_are_upright(tmp_path):
    tile = np.zeros((256, 256, 3), np.uint8)
    tile[10, 20] = 200
    write_sparse(tmp_path / "a.tif", 500, {(0, 1): tile})
    write_sparse(tmp_path / "turned.tif", 500, {(0, 1): tile}, orientation=6)
    expected = np.rot90(read_image(tmp_path / "a.tif"), -1)
    assert expected.any()
    assert np.array_equal(read_image(tmp_path / "turned.tif"), expected)


def test_a_picture_whose_samples_fill_the_memory_is_refused():
    with pytest.raises(ValueError, match="the 5 channels of 64 bits take 16,000,000,000 bytes of memory"):
        open_tiff(io.BytesIO(_huge()))


def test_a_sparse_picture_whose_samples_fill_the_memory_is_not_read_as_a_whole():
    opened = open_tiff(io.BytesIO(_huge({279: 0})))
    assert opened.note.startswith("5 channels")
    with pytest.raises(ValueError, match="the 5 channels of 64 bits take 16,000,000,000 bytes of memory"):
        opened.load()


def _huge(values=()):
    """A small file that claims a huge picture; with other values of one entry each."""
    values = {256: 20_000, 257: 20_000, 278: 20_000, **dict(values)}
    raw = bytearray(Layout("f8", 5).write(Layout("f8", 5).samples(8, 8)))
    start = int.from_bytes(raw[4:8], "little")
    for entry in range(start + 2, start + 2 + 12 * int.from_bytes(raw[start : start + 2], "little"), 12):
        tag = int.from_bytes(raw[entry : entry + 2], "little")
        if tag in values:
            raw[entry + 8 : entry + 12] = values[tag].to_bytes(4, "little")
    return bytes(raw)


def test_the_pictures_of_a_large_stack_of_imagej_are_counted(tmp_path):
    """It has a directory for the first one only."""
    path = tmp_path / "stack.tif"
    description = "ImageJ=1.54f\nimages=24\nslices=24\nloop=false\n"
    tifffile.imwrite(path, np.zeros((4, 5), np.uint16), description=description, metadata=None)
    with path.open("rb") as file:
        assert count_pages(file) == 24


@pytest.mark.parametrize(
    ("photometric", "shown"), [("minisblack", "the first one is shown as grey"), ("rgb", "the first 3 are shown")]
)
def test_a_channel_of_8_bits_without_a_meaning_is_said(photometric, shown):
    channels = 2 if photometric == "minisblack" else 4
    samples = np.arange(6 * 8 * channels, dtype=np.uint8).reshape(6, 8, channels)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, photometric=photometric, planarconfig="contig", extrasamples=["unspecified"])
    pixels, notes = read_image_with_notes(buffer.getvalue())
    assert notes == (f"{channels} channels, of which {shown}",)
    np.testing.assert_array_equal(pixels, samples[..., [0, 0, 0] if channels == 2 else [0, 1, 2]])
