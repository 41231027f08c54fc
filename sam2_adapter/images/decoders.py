"""Opening an image file with the decoder that its first bytes name; no pixel is decoded before it is asked for."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from typing import IO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from sam2_adapter.images.deep_png import deep_grey, may_be_deep_grey
from sam2_adapter.images.kinds import HEIF_ADVICE, READABLE, can_read_heif, what_it_is
from sam2_adapter.images.repair import completed_jpeg, essential_png
from sam2_adapter.images.tiff.open import OpenedTiff, count_pages, open_tiff, stored_values
from sam2_adapter.input_files import NUM_BYTES, what_stands_in

Decoder = Callable[[IO[bytes], str], Image.Image]


def _heif_decoder(file: IO[bytes], name: str) -> Image.Image:
    if not can_read_heif():
        raise UnidentifiedImageError(f"this is a HEIC photo, which this installation does not read; {HEIF_ADVICE}")
    from pillow_heif.as_plugin import HeifImageFile

    image: Image.Image = HeifImageFile(file, name)  # type: ignore[no-untyped-call]
    return image


# Only these decoders are ever tried on a file; Pillow knows others, some of which start programs. Not through `Image.open`,
# whose own size limit is a global that no option could raise for one image; nor with its decoder of several pictures
# in a JPEG file, which fails where the list of them is stale.
_DECODERS: tuple[tuple[str, bytes, Decoder], ...] = (
    ("JPEG", rb"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    ("PNG", rb"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    ("WEBP", rb"RIFF.{4}WEBP", WebPImagePlugin.WebPImageFile),
    ("TIFF", rb"II[*+]\0|MM\0[*+]", TiffImagePlugin.TiffImageFile),
    ("BMP", rb"BM", BmpImagePlugin.BmpImageFile),
    ("GIF", rb"GIF8[79]a", GifImagePlugin.GifImageFile),
    ("JPEG2000", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", Jpeg2KImagePlugin.Jpeg2KImageFile),
    ("AVIF", rb".{4}ftyp(avi[fs]|(mif1|msf1).{4}(.{4}){,8}avi[fs])", AvifImagePlugin.AvifImageFile),
    ("HEIF", rb".{4}ftyp(he[iv][cxms]|mif1|msf1)", _heif_decoder),
    ("PPM", rb"P[1-6f][\s#]", PpmImagePlugin.PpmImageFile),
)
_START_BYTES = 64

# A file of frames that is larger is not searched for their number, of which there may be hundreds of thousands.
_LARGEST_COUNTED = 2**20

# Key of `Image.info` of a WebP picture: whether its values are those that were saved.
LOSSLESS = "lossless"

_PARTS = {"TIFF": "pages", "HEIF": "photos"}


class OpenedImage:
    """An image file whose header has been read.

    Attributes:
        format: such as `JPEG`.
        size_wh: (width, height) in pixels before the picture is turned upright.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Read the header.

        Raises:
            UnidentifiedImageError: it is no image; the text ends a sentence that begins with the file's name.
            Exception: anything that a decoder raises for a broken file.
        """
        self._file = file
        self.format, decoder = _find_decoder(file)
        self._tiff: OpenedTiff | None = open_tiff(file) if self.format == "TIFF" else None
        self._image = self._read_header(decoder) if self._tiff is None else None
        self.size_wh: tuple[int, int] = self._tiff.size_wh if self._tiff is not None else self._header.size

    def load(self, *, keeps_values: bool = False) -> Image.Image:
        """Decode the pixels; the picture is not turned.

        Args:
            keeps_values: whether all bits of grey values count, as in masks, also where they are stored as colours, and values are those
                that are stored where 0 is white.
        """
        if self._tiff is not None:
            return self._tiff.load()
        if self.format == "PNG" and may_be_deep_grey(self._content(NUM_BYTES), in_colours=keeps_values):
            deep = deep_grey(self._content())
            if deep is not None:
                return deep
        try:
            self._header.load()
        except Exception:
            repaired = self._repaired()
            if repaired is None:
                raise
            self._image = repaired
        if self.format == "WEBP":
            self._header.info[LOSSLESS] = _is_lossless_webp(self._content())
        if keeps_values and self.format == "TIFF" and self._header.mode == "L":
            return stored_values(self._header)
        return self._header

    def orientation(self) -> int:
        """The EXIF orientation, 1 to 8; before the pixels are decoded without decoding them."""
        if self._tiff is not None:
            return self._tiff.orientation
        if self.format == "TIFF":  # Pillow turns these, and reports their upright size
            return 1
        return 1 if self._has_no_exif() else exif_orientation(self._header)

    def notes(self) -> tuple[str, ...]:
        """What of the file is not in the picture, each as "5 pages, of which the first is read"; asked after the pixels are used."""
        notes = []
        try:
            number = count_pages(self._file) if self.format == "TIFF" else self._num_frames()
        except Exception:  # of damage behind the first picture nothing is said
            number = 1
        if number != 1:
            parts, which = _PARTS.get(self.format, "frames"), "main" if self.format == "HEIF" else "first"
            notes.append(f"{number or 'several'} {parts}, of which the {which} one is read")
        if self._tiff is not None and self._tiff.note is not None:
            notes.append(self._tiff.note)
        return tuple(notes)

    @property
    def _header(self) -> Image.Image:
        """As Pillow sees the file."""
        assert self._image is not None  # only where we read a TIFF file without Pillow
        return self._image

    def _read_header(self, decoder: Decoder) -> Image.Image:
        self._file.seek(0)
        try:
            return decoder(self._file, "")
        except UnidentifiedImageError:
            raise
        except Exception as error:
            essential = essential_png(self._content()) if self.format == "PNG" else None
            if essential is None:
                reason = error if isinstance(error, OSError | ValueError | SyntaxError) else "it cannot be read"
                raise ValueError(f"{self.format} header: {reason}") from error
            return decoder(io.BytesIO(essential), "")

    def _repaired(self) -> Image.Image | None:
        repairs: dict[str, tuple[Callable[[bytes], bytes | None], Decoder]] = {
            "JPEG": (completed_jpeg, JpegImagePlugin.JpegImageFile),
            "PNG": (essential_png, PngImagePlugin.PngImageFile),
        }
        if self.format not in repairs:
            return None
        repair, decoder = repairs[self.format]
        content = repair(self._content())
        if content is None:
            return None
        image = decoder(io.BytesIO(content), "")
        image.load()
        return image

    def _content(self, num_bytes: int = -1) -> bytes:
        """All bytes of the file, or so many of its first ones."""
        position = self._file.tell()  # where Pillow goes on
        self._file.seek(0)
        content = self._file.read(num_bytes)
        self._file.seek(position)
        return content

    def _num_frames(self) -> int:
        """0 for more than one, whose number would take long to find."""
        if not getattr(self._header, "is_animated", False):
            return 1
        size = self._file.seek(0, os.SEEK_END)
        return int(getattr(self._header, "n_frames", 1)) if self.format != "GIF" or size <= _LARGEST_COUNTED else 0

    def _has_no_exif(self) -> bool:
        """Whether a PNG file has no metadata: Pillow would decode the whole image to look for them behind the pixels."""
        if self.format != "PNG" or "exif" in self._header.info:
            return False
        content = self._content()
        return b"eXIf" not in content and b"Raw profile type exif" not in content and b"tiff:Orientation" not in content


def _find_decoder(file: IO[bytes]) -> tuple[str, Decoder]:
    file.seek(0)
    start = file.read(NUM_BYTES)
    for name, pattern, decoder in _DECODERS:
        if re.match(pattern, start[:_START_BYTES], re.DOTALL):
            return name, decoder
    stands_in = what_stands_in(start)
    if stands_in is not None:
        raise UnidentifiedImageError(f"this is {stands_in}")
    known = what_it_is(start)
    wrong = f"this is {known}, not an image that is read here" if known else "not an image in a known format"
    raise UnidentifiedImageError(f"{wrong}. Give a {READABLE} file")


def _is_lossless_webp(content: bytes) -> bool:
    """Whether the first picture of a WebP file is stored without loss."""
    position = 12  # behind RIFF, size and WEBP
    while position + 8 <= len(content):
        kind, size = content[position : position + 4], int.from_bytes(content[position + 4 : position + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        position += 24 if kind == b"ANMF" else 8 + size + size % 2  # a frame of an animation holds chunks itself
    return False


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation of a picture, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata raise almost anything, and are left out
        return 1
