"""The pictures of a labelling session, by ids, as browsers show them: a whole view, tiles in full resolution, and thumbnails.

A page names pictures by ids alone, never by paths. What browsers show just as `read_image` reads it is handed over as it is, small
pictures at least; everything else is decoded here and sent as JPEG.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import ImageError
from sam2_adapter.files import encodable, reason_of
from sam2_adapter.images.decoders import exif_orientation
from sam2_adapter.images.read import image_size, read_image, upright
from sam2_adapter.images.sources import Pixels
from sam2_adapter.input_files import open_regular
from sam2_adapter.label.memory import give_memory_back

OVERVIEW_PX = 2048
"""Longest side of the view of the whole picture; a larger picture has tiles."""
# A view this much smaller does as well where it is decoded several times as quickly.
_NEARLY = 0.9
TILE_PX = 512
THUMBNAIL_PX = 192

_DECODED_BYTES = 192 * 2**20
_SENT_BYTES = 48 * 2**20
_ID_DIGITS = 16

# What browsers show in the same pixels as `read_image` gives.
_PLAIN = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_PLAIN_MODES = {"RGB", "L"}
_MOST_PLAIN_BYTES = 12 * 2**20


@dataclass(frozen=True)
class Picture:
    """One picture of the session.

    Attributes:
        id: what the page calls it; the same at the next start.
        name: path below the folder, with forward slashes.
        path: the file.
    """

    id: str
    name: str
    path: Path

    def told(self) -> dict[str, str]:
        """What the model's process is told."""
        return {"id": self.id, "name": self.name, "path": str(self.path)}


@dataclass(frozen=True)
class Sent:
    """What is sent to a browser.

    Attributes:
        content: of an image file.
        media_type: its kind.
    """

    content: bytes
    media_type: str


def named_pictures(paths: Sequence[Path], folder: Path) -> list[Picture]:
    """Give pictures their names and ids, which stay the same as long as the folder is the same.

    Args:
        paths: image files in the folder or below it.
        folder: what names are relative to.
    """
    named: dict[str, Path] = {}
    for path in paths:
        name = encodable(Path(os.path.relpath(path, folder)).as_posix())
        while name in named:  # escapes made two names equal
            name += "_"
        named[name] = path
    return [Picture(_id_of(name), name, path) for name, path in named.items()]


def _id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_ID_DIGITS]


class PictureFiles:
    """Reads and scales pictures; safe between threads. Decoded pictures are kept within a limit of bytes."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.by_id = {picture.id: picture for picture in pictures}
        self._decoded = ByteBoundedCache(_DECODED_BYTES)
        self._sent = ByteBoundedCache(_SENT_BYTES)
        self._decoding = threading.Lock()  # one decoded picture at a time is enough to hold

    def original_hw(self, picture: Picture) -> tuple[int, int]:
        """(height, width) of the upright picture in pixels.

        Raises:
            ImageError: it is missing, broken or too large.
        """
        return image_size(picture.path, name=picture.name)

    def overview(self, picture: Picture) -> Sent:
        """The whole picture, its longest side at most `OVERVIEW_PX`.

        Raises:
            ImageError: it cannot be read.
        """
        plain = _plain_file(picture)
        return plain or self._made(
            picture,
            ("overview",),
            lambda: encoded_jpeg(_shrunk(self._view(picture, round(_NEARLY * OVERVIEW_PX)), OVERVIEW_PX)),
        )

    def tile(self, picture: Picture, column: int, row: int) -> Sent:
        """One square of the picture in full resolution, `TILE_PX` wide and high but for the last ones.

        Raises:
            ImageError: there is no such square, or the picture cannot be read.
        """

        def cut_out() -> bytes:
            pixels = self.pixels(picture)
            part = pixels[row * TILE_PX : (row + 1) * TILE_PX, column * TILE_PX : (column + 1) * TILE_PX]
            if not part.size:
                raise ImageError(f"{picture.name}: there is no tile {column}, {row} in this picture.")
            return encoded_jpeg(part)

        return self._made(picture, ("tile", column, row), cut_out)

    def thumbnail(self, picture: Picture) -> Sent:
        """A small view for lists.

        Raises:
            ImageError: it cannot be read.
        """
        return self._made(
            picture, ("thumbnail",), lambda: encoded_jpeg(_shrunk(self._view(picture, THUMBNAIL_PX), THUMBNAIL_PX))
        )

    def _made(self, picture: Picture, what: tuple[object, ...], make: Callable[[], bytes]) -> Sent:
        key = (picture.id, *what)
        content: bytes | None = self._sent.get(key)
        if content is None:
            content = make()
            self._sent.put(key, content, len(content))
        return Sent(content, "image/jpeg")

    def _view(self, picture: Picture, least_px: int) -> Pixels:
        """The picture, or a smaller one with a longest side of at least so many pixels where that is quicker."""
        decoded: Pixels | None = self._decoded.get(picture.id)
        if decoded is None:
            decoded = _quickly_decoded(picture, least_px)
        return self.pixels(picture) if decoded is None else decoded

    def pixels(self, picture: Picture) -> Pixels:
        """All pixels, uint8 RGB H x W x 3, not to be changed.

        Raises:
            ImageError: it cannot be read.
        """
        with self._decoding:
            pixels: Pixels | None = self._decoded.get(picture.id)
            if pixels is None:
                pixels = read_image(picture.path, name=picture.name)
                self._decoded.put(picture.id, pixels, pixels.nbytes)
                give_memory_back()
            return pixels


def _plain_file(picture: Picture) -> Sent | None:
    """The file itself, where browsers show it as it is and it is small."""
    try:
        with open_regular(picture.path) as file, Image.open(file) as image:
            kind = _PLAIN.get(image.format or "")
            is_plain = image.mode in _PLAIN_MODES and not getattr(image, "is_animated", False)
            if not kind or not is_plain or max(image.size) > OVERVIEW_PX or exif_orientation(image) != 1:
                return None
            image.load()  # a file that is cut off is refused in the same words everywhere
            file.seek(0)
            content = file.read(_MOST_PLAIN_BYTES + 1)
    except Exception:  # `read_image` says what is wrong
        return None
    return Sent(content, kind) if len(content) <= _MOST_PLAIN_BYTES else None


def _quickly_decoded(picture: Picture, least_px: int) -> Pixels | None:
    """A JPEG file in the smallest size that its decoder gives at once and that has a longest side of at least so many pixels."""
    try:
        with open_regular(picture.path) as file, Image.open(file) as image:
            share = max(image.size) // least_px
            if image.format != "JPEG" or image.mode not in _PLAIN_MODES or share < 2:
                return None
            image.draft(image.mode, (image.width // share, image.height // share))
            return np.array(upright(image.convert("RGB"), image))
    except Exception:  # `read_image` says what is wrong
        return None


def _shrunk(pixels: Pixels, longest_px: int) -> Pixels:
    import cv2

    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return pixels
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def encoded_jpeg(pixels: Pixels) -> bytes:
    """A JPEG file of pixels, uint8 RGB H x W x 3.

    Raises:
        ImageError: it cannot be written as JPEG.
    """
    content = io.BytesIO()
    try:
        Image.fromarray(pixels).save(content, format="JPEG", quality=92, subsampling=0)
    except OSError as error:
        raise ImageError(f"The picture cannot be sent: {reason_of(error)}.") from error
    return content.getvalue()
