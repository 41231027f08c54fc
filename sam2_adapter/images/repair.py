"""Files that every viewer shows although they are damaged in a place that no pixel needs.

- A JPEG file whose last two bytes, the marker of its end, are missing: some cameras leave them out.
- A PNG file with a damaged or overlong piece of text, colour profile or other metadata.

A file that lacks pixels is no such file, and stays refused.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator

from PIL import JpegImagePlugin

_END_OF_IMAGE = b"\xff\xd9"

# If the pixels were not complete, either of these would be taken for the next of them, and the pictures would differ.
_PROBES = (b"\x55\xa5" * 2048, b"\xb6\x2d" * 2048)

_RESTART_INTERVAL = b"\xff\xdd"
_RESTARTS = re.compile(rb"\xff[\xd0-\xd7]")

_PNG_START = b"\x89PNG\r\n\x1a\n"

# Ancillary pieces of a PNG file that change what is seen: transparency and orientation.
_SEEN = {b"tRNS", b"eXIf"}


def completed_jpeg(content: bytes) -> bytes | None:
    """A JPEG file with the marker of its end, where that is all that it lacks; `None` otherwise."""
    end = content.rstrip(b"\0")
    end += b"\0" if len(end) < len(content) and end.endswith(b"\xff") else b""  # a stuffed byte, not filling
    end = end.removesuffix(b"\xff") if not end.endswith(_END_OF_IMAGE) else end
    restart = _next_restart(end)
    pictures = [_decoded(end + gap + probe + _END_OF_IMAGE) for gap in {b"", restart} for probe in _PROBES]
    is_complete = pictures[0] is not None and pictures.count(pictures[0]) == len(pictures)
    return end + _END_OF_IMAGE if is_complete else None


def _next_restart(content: bytes) -> bytes:
    """The restart marker that would come next where a file has such markers, so that a cut before one is seen."""
    if _RESTART_INTERVAL not in content:
        return b""
    markers = _RESTARTS.findall(content)
    return bytes([0xFF, 0xD0 + (markers[-1][1] - 0xD0 + 1) % 8]) if markers else b"\xff\xd0"


def _decoded(content: bytes) -> bytes | None:
    try:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(content), "") as image:
            image.load()
            return image.tobytes()
    except Exception:  # whatever a decoder raises, the file is not repaired
        return None


def essential_png(content: bytes) -> bytes | None:
    """A PNG file without the pieces that say nothing about its pixels; `None` for one that has none of them, or no frame."""
    try:
        chunks = list(_png_chunks(content))
    except struct.error:
        return None
    kept = [chunk for kind, chunk, is_sound in chunks if not kind[0] & 32 or (kind in _SEEN and is_sound)]
    return _PNG_START + b"".join(kept) if len(kept) < len(chunks) else None


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Kind, bytes and soundness of every piece of a PNG file, up to its end."""
    position = len(_PNG_START)
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        (checksum,) = struct.unpack_from(">I", content, end - 4)
        yield kind, content[position:end], checksum == zlib.crc32(content[position + 4 : end - 4])
        position = end
        if kind == b"IEND":
            return
