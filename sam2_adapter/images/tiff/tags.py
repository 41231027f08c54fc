"""The directories of a TIFF file, one for each of its pictures: numbers that say how the picture is stored."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, Literal

ByteOrder = Literal["<", ">"]

# How a file begins, in either byte order, BigTIFF last.
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Tag(IntEnum):
    """The entries that are read, by their numbers in the TIFF 6.0 specification and its supplements."""

    SUBFILE_TYPE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    CHANNELS = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    PLANAR = 284
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347
    YCBCR_SUBSAMPLING = 530


# Whole numbers by the type of an entry; entries of texts and fractions are not needed.
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_WANTED = frozenset(int(tag) for tag in Tag)


@dataclass(frozen=True)
class Directory:
    """One picture of a TIFF file.

    Attributes:
        byte_order: of the whole file.
        is_big: whether the file is a BigTIFF, with offsets of 64 bits.
        tags: the values of the entries that `Tag` names.
    """

    byte_order: ByteOrder
    is_big: bool
    tags: Mapping[int, tuple[int, ...]]

    def one(self, tag: Tag, default: int) -> int:
        """The first value of an entry."""
        return self.tags.get(tag, (default,))[0]


def read_directories(file: IO[bytes]) -> Iterator[Directory]:
    """Read the directories of a TIFF file in their order; a chain that comes back to itself ends there.

    Raises:
        ValueError: the file is cut off or no TIFF file.
        struct.error: the same.
    """
    file.seek(0)
    header = file.read(4)
    order: ByteOrder = "<" if header[:2] == b"II" else ">"
    (version,) = struct.unpack(f"{order}H", header[2:])
    is_big = version == 43
    if is_big:
        file.read(4)  # the size of offsets, which is 8, and a zero
    offset_format = f"{order}{'Q' if is_big else 'I'}"
    offset, seen = _unpacked(file, offset_format)[0], set[int]()
    while offset and offset not in seen:
        seen.add(offset)
        file.seek(offset)
        tags = _read_entries(file, order, is_big)
        (offset,) = _unpacked(file, offset_format)
        yield Directory(order, is_big, {number: _values(file, *found) for number, found in tags.items()})


def _read_entries(file: IO[bytes], order: ByteOrder, is_big: bool) -> dict[int, tuple[str, int, bytes]]:
    """The format, number of values and last field of every wanted entry."""
    (count,) = _unpacked(file, f"{order}{'Q' if is_big else 'H'}")
    entry = struct.Struct(f"{order}{'HHQ8s' if is_big else 'HHI4s'}")
    if count > 2**16:
        raise ValueError(f"TIFF header: a directory of {count} entries")
    content = _exactly(file, count * entry.size)
    found = {}
    for number, kind, length, field in entry.iter_unpack(content):
        if number in _WANTED and kind in _FORMATS:
            found[number] = (f"{order}{{}}{_FORMATS[kind]}", length, field)
    return found


def _values(file: IO[bytes], form: str, length: int, field: bytes) -> tuple[int, ...]:
    packed = struct.Struct(form.format(length))
    if packed.size <= len(field):
        return packed.unpack(field[: packed.size])
    (offset,) = struct.unpack(f"{form[0]}{'Q' if len(field) == 8 else 'I'}", field)
    position = file.tell()
    file.seek(offset)
    try:
        return packed.unpack(_exactly(file, packed.size))
    finally:
        file.seek(position)


def _unpacked(file: IO[bytes], form: str) -> tuple[int, ...]:
    return struct.unpack(form, _exactly(file, struct.calcsize(form)))


def _exactly(file: IO[bytes], num_bytes: int) -> bytes:
    content = file.read(num_bytes)
    if len(content) < num_bytes:
        raise ValueError("TIFF header: the file is cut off")
    return content
