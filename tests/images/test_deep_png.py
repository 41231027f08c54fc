"""PNG files of 16 bits per channel: all bits of grey count, in pictures and in masks."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sam2_adapter.errors import ImageError
from sam2_adapter.formats.label_maps.reading import read_label_map
from sam2_adapter.images.deep_png import deep_grey, may_be_deep_grey
from sam2_adapter.images.mask_files import read_mask
from sam2_adapter.images.pixel_modes import ALPHA
from sam2_adapter.images.read import read_image

GREY, RGB, GREY_WITH_ALPHA, RGBA = 0, 2, 4, 6
COLOUR_TYPES = {1: GREY, 2: GREY_WITH_ALPHA, 3: RGB, 4: RGBA}

# PNG, section 8.1: first column and row, and steps, of each pass of an interlaced picture.
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png_of(samples: npt.NDArray[Any], *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """A PNG file of samples uint16 H x W x C; each byte is stored as the difference to the pixel before it."""
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, interlaced)
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [samples]
    rows = b"".join(filtered(row) for part in passes if part.size for row in part)
    chunks = piece(b"IHDR", header) + extra + piece(b"IDAT", zlib.compress(rows)) + piece(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def filtered(row: npt.NDArray[Any]) -> bytes:
    stored = np.frombuffer(row.astype(">u2").tobytes(), np.uint8).reshape(len(row), -1)
    before = np.vstack([np.zeros_like(stored[:1]), stored[:-1]])
    return b"\x01" + (stored - before).tobytes()


def piece(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def samples_of(channels: int, high: int = 4096) -> npt.NDArray[np.uint16]:
    return np.random.default_rng(channels).integers(0, high, (13, 21, channels)).astype(np.uint16)


def with_alpha(grey: npt.NDArray[np.uint16], alpha: int | npt.NDArray[np.uint16] = 65_535) -> npt.NDArray[np.uint16]:
    return np.dstack([grey, np.broadcast_to(np.uint16(alpha), grey.shape)])


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_all_bits_are_read(channels: int, interlaced: bool) -> None:
    samples = samples_of(channels, 65_536)
    if channels > 2:
        samples[..., 1] = samples[..., 2] = samples[..., 0]
    image = deep_grey(png_of(samples, interlaced=interlaced))
    assert image is not None
    assert (np.asarray(image) == samples[..., 0]).all()
    assert (ALPHA in image.info) == (channels != 3)
    if channels != 3:
        assert (image.info[ALPHA] == samples[..., -1] >> 8).all()


def test_other_pictures_are_left_to_their_decoder() -> None:
    assert deep_grey(png_of(samples_of(1))) is None
    assert deep_grey(png_of(samples_of(3))) is None, "it has colours"
    content = io.BytesIO()
    Image.new("LA", (5, 4), (7, 9)).save(content, "PNG")
    assert deep_grey(content.getvalue()) is None
    assert not may_be_deep_grey(content.getvalue(), in_colours=True)
    assert not may_be_deep_grey(b"", in_colours=True)
    grey = samples_of(1)
    transparent_colour = piece(b"tRNS", struct.pack(">HHH", 5, 5, 5))
    assert deep_grey(png_of(np.repeat(grey, 3, axis=2), extra=transparent_colour)) is None


def test_grey_with_alpha_is_stretched_as_grey_without_it() -> None:
    grey = samples_of(1)
    plain = read_image(png_of(grey))
    assert plain.max() == 255, "4096 of the 65,536 values"
    assert (read_image(png_of(with_alpha(grey[..., 0]))) == plain).all()
    alpha = np.full(grey.shape[:2], 65_535, np.uint16)
    alpha[:4] = 0
    seen = read_image(png_of(with_alpha(grey[..., 0], alpha)))
    assert (seen[:4] == 255).all(), "transparent pixels lie on white"
    assert (seen[4:] == plain[4:]).all()


def test_colours_keep_their_upper_bits() -> None:
    samples = samples_of(3, 65_536)
    assert (read_image(png_of(samples)) == samples >> 8).all()
    opaque = np.dstack([samples, np.full(samples.shape[:2], 65_535, np.uint16)])
    assert (read_image(png_of(opaque)) == samples >> 8).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_small_numbers_of_a_label_map_are_not_lost(channels: int, tmp_path: Path) -> None:
    numbers = np.zeros((40, 40), np.uint16)
    numbers[5:15, 5:15], numbers[20:35, 20:35] = 1, 300
    samples = np.repeat(numbers[..., None], max(1, channels - (channels in (2, 4))), axis=2)
    if channels in (2, 4):
        samples = np.dstack([samples, np.full_like(numbers, 65_535)])
    path = tmp_path / "mask.png"
    path.write_bytes(png_of(samples))
    assert (read_label_map(path).numbers == numbers).all()
    assert (read_mask(path) == (numbers > 0)).all()


def test_transparent_pixels_of_a_deep_mask_are_background(tmp_path: Path) -> None:
    numbers = np.full((40, 40), 7, np.uint16)
    numbers[20:] = 9
    alpha = np.zeros((40, 40), np.uint16)
    alpha[5:35, 5:35] = 65_535
    path = tmp_path / "mask.png"
    path.write_bytes(png_of(with_alpha(numbers, alpha)))
    assert (read_label_map(path).numbers == np.where(alpha > 0, numbers, 0)).all()
    assert (read_mask(path) == (alpha > 0)).all()
    path.write_bytes(png_of(with_alpha(np.zeros_like(numbers), alpha)))
    assert (read_label_map(path).numbers == (alpha > 0)).all(), "black on a transparent background"


def test_damaged_metadata_cost_nothing_and_missing_pixels_are_told() -> None:
    content = png_of(with_alpha(samples_of(1)[..., 0]), extra=piece(b"tEXt", b"a" * 20)[:-1] + b"!")
    assert read_image(content).shape == (13, 21, 3)
    cut = png_of(with_alpha(samples_of(1)[..., 0]))[:-150]
    with pytest.raises(ImageError, match="broken, cut off"):
        read_image(cut)
