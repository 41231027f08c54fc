"""How a TIFF file stores its first picture, and which of the many ways Pillow reads right.

TIFF is a family of formats: any number of channels of any number of bits, interleaved or one plane after another, in
either byte order. Pillow reads the usual ways of 8 bits per channel; the others come out wrong or not at all, and are
read by `samples`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sam2_adapter.images.tiff.tags import ByteOrder, Directory, Tag

# https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, section 8; the names are used in messages.
GREY_WHITE_IS_ZERO, GREY, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
_PHOTOMETRIC_NAMES = {
    4: "a transparency mask",
    8: "CIE Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "raw sensor pixels (CFA)",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear raw",
}
_COMPRESSION_NAMES = {
    2: "CCITT",
    3: "CCITT group 3",
    4: "CCITT group 4",
    6: "old JPEG",
    7: "JPEG",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_NONE = 1
# Compressions of bytes, whatever they mean, which libtiff undoes: LZW, Deflate (two numbers), PackBits, LZMA, Zstandard.
_OF_BYTES = {5, 8, 32946, 32773, 34925, 50000}
_JPEG = {6, 7}
# Neither by Pillow nor by us.
_NOT_READ = frozenset(_COMPRESSION_NAMES) - {2, 3, 4, 6, 7, 50001}
_NO_PREDICTOR, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3

_ASSOCIATED_ALPHA, _ALPHA = 1, 2

# Sample kinds by the number in the file; "void" bits are counted as numbers.
_KINDS: dict[int, Literal["u", "i", "f"]] = {1: "u", 2: "i", 3: "f", 4: "u"}

_MOST_CHANNELS = 1024

# More bytes of pixels than this for each accepted pixel are refused: 16 are four channels of 32 bits.
MAX_BYTES_PER_PIXEL = 64


class UnsupportedTiff(ValueError):
    """A way of storing pixels that is not read; the text says which."""


@dataclass(frozen=True)
class TiffLayout:
    """How the pixels of a picture lie in a TIFF file.

    Attributes:
        width: in pixels, as stored.
        height: in pixels, as stored.
        channels: samples of a pixel, with extra ones.
        bits: of a sample.
        kind: `u` for whole numbers from 0, `i` for signed ones, `f` for floats.
        photometric: what the samples mean, a number of TIFF's.
        alpha: channel that says how opaque a pixel is; `None` without.
        is_premultiplied: whether the colours are multiplied by alpha.
        is_planar: whether every channel is stored for itself.
        compression: a number of TIFF's.
        predictor: 1 none, 2 differences of neighbours, 3 differences of the bytes of floats.
        is_bit_reversed: whether the lowest bit of a byte comes first.
        byte_order: `<` or `>`.
        orientation: as in EXIF.
        segment_hw: rows and columns of a strip or tile.
        is_tiled: tiles, which are filled up to their full size, not strips.
        offsets: where the segments start in the file, plane by plane.
        byte_counts: their lengths in the file.
        color_map: of a palette picture, red, green and blue values of 16 bits, one after another.
    """

    width: int
    height: int
    channels: int
    bits: int
    kind: Literal["u", "i", "f"]
    photometric: int
    alpha: int | None
    is_premultiplied: bool
    is_planar: bool
    compression: int
    predictor: int
    is_bit_reversed: bool
    byte_order: ByteOrder
    orientation: int
    segment_hw: tuple[int, int]
    is_tiled: bool
    offsets: tuple[int, ...]
    byte_counts: tuple[int, ...]
    color_map: tuple[int, ...]

    @property
    def num_planes(self) -> int:
        """Parts of the file that hold a picture each."""
        return self.channels if self.is_planar else 1

    @property
    def plane_channels(self) -> int:
        """Interleaved samples of a pixel within a plane."""
        return 1 if self.is_planar else self.channels

    @property
    def segments_hw(self) -> tuple[int, int]:
        """How many segments lie below and beside each other in a plane."""
        return -(-self.height // self.segment_hw[0]), -(-self.width // self.segment_hw[1])

    @property
    def row_bytes(self) -> int:
        """Of one row of a segment."""
        return -(-self.segment_hw[1] * self.plane_channels * self.bits // 8)


def read_layout(directory: Directory) -> TiffLayout | None:
    """The layout of a picture; `None` for one that Pillow reads right.

    Raises:
        UnsupportedTiff: neither Pillow nor `samples` reads this layout.
        ValueError: the directory contradicts itself.
    """
    bits, kinds = _per_channel(directory, Tag.BITS), _per_channel(directory, Tag.SAMPLE_FORMAT)
    if _is_read_by_pillow(directory, bits, kinds):
        return None
    _check_supported(directory, bits, kinds)
    return _layout(directory, bits[0], _KINDS[kinds[0]])


def any_layout(directory: Directory) -> TiffLayout:
    """The layout of a picture that Pillow reads right.

    Raises:
        ValueError: the directory contradicts itself.
    """
    return _layout(directory, _per_channel(directory, Tag.BITS)[0], "u")


def one_segment_tiff(content: bytes, layout: TiffLayout, directory: Directory, height: int) -> bytes:
    """A TIFF file of one tile or strip, with the rows that it has, for Pillow.

    Args:
        content: the tile or strip as it is stored.
        layout: of the whole file, interleaved.
        directory: of the whole file.
        height: rows of the segment.
    """
    tags: dict[int, Sequence[int] | bytes] = {
        Tag.WIDTH: [layout.segment_hw[1]],
        Tag.HEIGHT: [height],
        Tag.BITS: [layout.bits] * layout.channels,
        Tag.STRIP_OFFSETS: [8],
        Tag.ROWS_PER_STRIP: [height],
        Tag.STRIP_BYTE_COUNTS: [len(content)],
    }
    kept = (Tag.COMPRESSION, Tag.PHOTOMETRIC, Tag.FILL_ORDER, Tag.CHANNELS, Tag.PREDICTOR, Tag.COLOR_MAP)
    for tag in (*kept, Tag.EXTRA_SAMPLES, Tag.YCBCR_SUBSAMPLING):
        if tag in directory.tags:
            tags[tag] = directory.tags[tag]
    if Tag.JPEG_TABLES in directory.tags:
        tags[Tag.JPEG_TABLES] = bytes(directory.tags[Tag.JPEG_TABLES])
    return _with_directory(bytes(8) + content, tags)


def _num_channels(directory: Directory) -> int:
    channels = directory.one(Tag.CHANNELS, 1)
    if not 1 <= channels <= _MOST_CHANNELS:
        raise UnsupportedTiff(f"a TIFF of {channels} channels is not read")
    return channels


def _per_channel(directory: Directory, tag: Tag) -> tuple[int, ...]:
    """A value for each channel; writers that give one mean all, and the default is 1 in both cases."""
    channels = _num_channels(directory)
    values = directory.tags.get(tag) or (1,)
    return values * channels if len(values) == 1 else values[:channels]


def _is_read_by_pillow(directory: Directory, bits: Sequence[int], kinds: Sequence[int]) -> bool:
    channels, photometric = len(bits), directory.one(Tag.PHOTOMETRIC, 0)
    is_big_endian_big = directory.is_big and directory.byte_order == ">"  # which Pillow takes for an ordinary TIFF
    if set(kinds) != {1} or is_big_endian_big or directory.one(Tag.COMPRESSION, _NONE) in _NOT_READ:
        return False
    if directory.one(Tag.COMPRESSION, _NONE) in _JPEG or photometric == YCBCR:
        return set(bits) == {8} and channels in (1, 3, 4)
    if directory.one(Tag.PLANAR, 1) == 2 and channels > 1:
        return False
    if photometric == GREY_WHITE_IS_ZERO or (photometric in (GREY, PALETTE) and channels == 1):
        return channels == 1 and bits[0] in (1, 2, 4, 8)
    colors = {GREY: 1, RGB: 3, PALETTE: 1, CMYK: 4}.get(photometric)
    if colors is None or set(bits) != {8}:
        return False
    return channels == colors or (channels == colors + 1 <= 4 and _alpha(directory, channels)[0] is not None)


def _check_supported(directory: Directory, bits: Sequence[int], kinds: Sequence[int]) -> None:
    photometric, compression = directory.one(Tag.PHOTOMETRIC, 0), directory.one(Tag.COMPRESSION, _NONE)
    channels = len(bits)
    if compression != _NONE and compression not in _OF_BYTES:
        name = _COMPRESSION_NAMES.get(compression, f"number {compression}")
        raise UnsupportedTiff(f"a TIFF of {channels} x {bits[0]} bits with the compression {name} is not read")
    if len(set(bits)) > 1 or len(set(kinds)) > 1:
        raise UnsupportedTiff(f"a TIFF whose channels differ in their bits ({', '.join(map(str, bits))}) is not read")
    kind = _KINDS.get(kinds[0])
    allowed = {"u": {*range(1, 17), 32, 64}, "i": {8, 16, 32, 64}, "f": {16, 32, 64}}.get(kind or "", set())
    if bits[0] not in allowed:
        names = {"u": "whole", "i": "signed", "f": "floating-point", None: "complex"}
        raise UnsupportedTiff(f"a TIFF of {bits[0]}-bit {names[kind]} numbers is not read")
    least = {GREY_WHITE_IS_ZERO: 1, GREY: 1, RGB: 3, PALETTE: 1, CMYK: 4}.get(photometric)
    if least is None:
        name = _PHOTOMETRIC_NAMES.get(photometric, f"kind {photometric}")
        raise UnsupportedTiff(f"a TIFF of colours of {name} with {channels} x {bits[0]} bits is not read")
    if channels < least:
        raise UnsupportedTiff(f"a TIFF of {least} colours needs as many channels, but has {channels}")
    predictor = directory.one(Tag.PREDICTOR, _NO_PREDICTOR)
    if compression != _NONE and not _is_known_predictor(predictor, bits[0], kind):
        raise UnsupportedTiff(f"a TIFF of {bits[0]} bits with the predictor {predictor} is not read")


def _is_known_predictor(predictor: int, bits: int, kind: str | None) -> bool:
    if predictor == _DIFFERENCES:
        return bits in (8, 16, 32, 64)
    return predictor == _NO_PREDICTOR or (predictor == _FLOAT_DIFFERENCES and kind == "f")


def _layout(directory: Directory, bits: int, kind: Literal["u", "i", "f"]) -> TiffLayout:
    width, height = directory.one(Tag.WIDTH, 0), directory.one(Tag.HEIGHT, 0)
    photometric, channels = directory.one(Tag.PHOTOMETRIC, 0), _num_channels(directory)
    is_tiled = Tag.TILE_OFFSETS in directory.tags
    alpha, is_premultiplied = _alpha(directory, channels)
    compression = directory.one(Tag.COMPRESSION, _NONE)
    segment_hw = (
        (directory.one(Tag.TILE_HEIGHT, 0), directory.one(Tag.TILE_WIDTH, 0))
        if is_tiled
        else (min(directory.one(Tag.ROWS_PER_STRIP, height), height), width)
    )
    if min(width, height, *segment_hw) < 1:
        raise ValueError(f"TIFF header: a picture of {width}x{height} pixels in segments of {segment_hw}")
    layout = TiffLayout(
        width,
        height,
        channels,
        bits,
        kind,
        photometric,
        alpha,
        is_premultiplied,
        directory.one(Tag.PLANAR, 1) == 2 and channels > 1,
        compression,
        directory.one(Tag.PREDICTOR, _NO_PREDICTOR) if compression != _NONE else _NO_PREDICTOR,
        directory.one(Tag.FILL_ORDER, 1) == 2,
        directory.byte_order,
        directory.one(Tag.ORIENTATION, 1),
        segment_hw,
        is_tiled,
        directory.tags.get(Tag.TILE_OFFSETS if is_tiled else Tag.STRIP_OFFSETS, ()),
        directory.tags.get(Tag.TILE_BYTE_COUNTS if is_tiled else Tag.STRIP_BYTE_COUNTS, ()),
        directory.tags.get(Tag.COLOR_MAP, ()),
    )
    _check_segments(layout)
    return layout


def _check_segments(layout: TiffLayout) -> None:
    down, across = layout.segments_hw
    expected = down * across * layout.num_planes
    if len(layout.offsets) < expected or len(layout.byte_counts) < expected:
        raise ValueError(f"TIFF header: {len(layout.offsets)} parts of the picture instead of {expected}")
    if layout.photometric == PALETTE and len(layout.color_map) != 3 * 2**layout.bits:
        raise ValueError("TIFF header: the palette has not as many colours as its numbers need")


def _alpha(directory: Directory, channels: int) -> tuple[int | None, bool]:
    extra = directory.tags.get(Tag.EXTRA_SAMPLES, ())[:channels]
    for index, meaning in enumerate(extra, start=channels - len(extra)):
        if meaning in (_ASSOCIATED_ALPHA, _ALPHA):
            return index, meaning == _ASSOCIATED_ALPHA
    return None, False


def as_bytes_tiff(content: bytes, layout: TiffLayout, plane: int) -> bytes:
    """The same file with another index, in which the rows of a plane are rows of grey bytes: so libtiff unpacks any samples.

    Args:
        content: the file.
        layout: with a compression of bytes.
        plane: the plane, from 0.
    """
    down, across = layout.segments_hw
    first = plane * down * across
    offsets, counts = (values[first : first + down * across] for values in (layout.offsets, layout.byte_counts))
    rows, row_bytes = layout.segment_hw[0], layout.row_bytes
    height = down * rows if layout.is_tiled else layout.height
    tags: dict[int, Sequence[int] | bytes] = {
        256: [across * row_bytes],
        257: [height],
        258: [8],
        259: [layout.compression],
        262: [GREY],
        266: [2 if layout.is_bit_reversed else 1],
        277: [1],
    }
    tags |= (
        {322: [row_bytes], 323: [rows], 324: offsets, 325: counts}
        if layout.is_tiled
        else {273: offsets, 278: [rows], 279: counts}
    )
    return _with_directory(content, tags)


def _with_directory(content: bytes, tags: Mapping[int, Sequence[int] | bytes]) -> bytes:
    """A file with an index of whole numbers of 32 bits; bytes stand there as such."""
    start = len(content) + len(content) % 2
    values_at = start + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for number in sorted(tags):
        given = tags[number]
        packed = given if isinstance(given, bytes) else struct.pack(f"<{len(given)}I", *given)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place = struct.pack("<I", values_at + len(values))
            values += packed
        entries += struct.pack("<HHI", number, 7 if isinstance(given, bytes) else 4, len(given)) + place
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + values
    return b"".join([b"II*\0", struct.pack("<I", start), content[8:], b"\0" * (start - len(content)), directory])
