"""PNG files of 16 bits per channel and more than one channel, of which Pillow keeps the upper 8 bits.

Grey values need all 16: cameras use 10 to 14 of them, and the numbers of a label map may use the lower 8 alone.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from sam2_adapter.images.pixel_modes import ALPHA
from sam2_adapter.images.repair import essential_png

# Positions in a file: bit depth and colour type of its first piece, whose type and content the checksum covers.
_DEPTH, _COLOUR_TYPE = 24, 25
_CHECKED = slice(12, 29)
_CHECKSUM = slice(29, 33)

_RGB, _GREY_WITH_ALPHA, _RGBA = 2, 4, 6

Samples = npt.NDArray[np.uint16]


def may_be_deep_grey(start: bytes, *, in_colours: bool) -> bool:
    """Whether a PNG file has 16 bits of grey and 16 of transparency, by its first 26 bytes; `in_colours`: or colours that may all be grey."""
    return _kind(start) in ((16, _GREY_WITH_ALPHA), *(((16, _RGB), (16, _RGBA)) if in_colours else ()))


def deep_grey(content: bytes) -> Image.Image | None:
    """The picture as grey of 16 bits, its transparency under `ALPHA`; `None` where the file is of another kind or has colours.

    Raises:
        Exception: anything that a decoder raises for a damaged file.
    """
    if not may_be_deep_grey(content, in_colours=True):
        return None
    _, colour_type = _kind(content)
    essential = essential_png(content) or content
    if colour_type == _RGB and b"tRNS" in essential:
        return None
    samples = _grey_with_alpha(essential) if colour_type == _GREY_WITH_ALPHA else _colours(essential)
    if samples.shape[2] > 2 and not (samples[..., :1] == samples[..., 1:3]).all():
        return None
    image = Image.fromarray(samples[..., 0])
    if samples.shape[2] in (2, 4):
        image.info[ALPHA] = (samples[..., -1] >> 8).astype(np.uint8)
    return image


def _kind(content: bytes) -> tuple[int, int]:
    """Bit depth and colour type."""
    return (content[_DEPTH], content[_COLOUR_TYPE]) if len(content) > _COLOUR_TYPE else (0, 0)


def _grey_with_alpha(content: bytes) -> Samples:
    """H x W x 2. The file is read as if its four bytes per pixel were four channels, which are filtered in the same way."""
    as_bytes = bytearray(content)
    as_bytes[_DEPTH], as_bytes[_COLOUR_TYPE] = 8, _RGBA
    as_bytes[_CHECKSUM] = struct.pack(">I", zlib.crc32(as_bytes[_CHECKED]))
    with PngImagePlugin.PngImageFile(io.BytesIO(as_bytes), "") as image:
        image.load()
        return np.asarray(image).view(">u2").astype(np.uint16)


def _colours(content: bytes) -> Samples:
    """H x W x 3 or 4: the upper bytes of all samples, then the lower ones."""
    upper, lower = (_bytes_of_colours(content, order) for order in "BL")
    samples: Samples = upper.astype(np.uint16) << np.uint16(8) | lower
    return samples


def _bytes_of_colours(content: bytes, order: str) -> npt.NDArray[np.uint8]:
    """The upper byte of each sample, or the lower one, which is the upper one in the wrong order of bytes."""
    with PngImagePlugin.PngImageFile(io.BytesIO(content), "") as image:
        image.tile = [tile._replace(args=f"{image.mode};16{order}") for tile in image.tile]
        image.load()
        return np.asarray(image)
