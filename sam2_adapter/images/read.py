"""Reading images: any common file becomes one upright uint8 RGB array, or one `ImageError` that names it.

- EXIF orientation is applied, so that an image is read the way people see it.
- Transparency, deep grey and other pixel modes are brought to RGB by the rules of `pixel_modes` and `tiff.pixels`.
- Of animations and multi-page files the first picture is read; `read_image_with_notes` says so.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from sam2_adapter.arguments import path_of, whole_number
from sam2_adapter.errors import ImageError
from sam2_adapter.files import reason_of
from sam2_adapter.images.decoders import OpenedImage, exif_orientation
from sam2_adapter.images.pixel_modes import to_rgb
from sam2_adapter.input_files import open_regular

MAX_PIXELS = 100_000_000

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED_ORIENTATIONS = {5, 6, 7, 8}


def read_image(
    source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, name: str | None = None
) -> npt.NDArray[np.uint8]:
    """Read an image file.

    Args:
        source: path of a PNG, JPEG, WebP, AVIF, TIFF, JPEG 2000, BMP, GIF or PNM file, with the package `pillow-heif` also
            of a HEIC photo, or its content.
        max_pixels: largest accepted number of pixels, read from the header before anything is decoded.
        name: what to call the image in messages; the path when left out.

    Returns:
        uint8 H x W x 3, RGB in 0..255, upright.

    Raises:
        ImageError: missing, not an image, broken or too large; the text names the image and says what to do.
    """
    return read_image_with_notes(source, max_pixels=max_pixels, name=name)[0]


def read_image_with_notes(
    source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, name: str | None = None
) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """Read an image file as `read_image` does, and say what of it is not in the picture.

    Returns:
        The image, and notes such as "5 pages, of which the first one is read"; mostly none.

    Raises:
        ImageError: as in `read_image`.
    """
    name = name or _name_of(source)
    whole_number(max_pixels, "max_pixels", 1)
    with _decoding(name), _opened(source, name) as file:
        opened = OpenedImage(file)
        _check_size(opened.size_wh, max_pixels, name)
        pixels = np.array(_turned(to_rgb(opened.load()), opened.orientation()))
        return pixels, opened.notes()


def image_size(source: str | Path | bytes, *, name: str | None = None) -> tuple[int, int]:
    """The (height, width) in pixels of the upright image, from the header alone wherever the format allows it.

    Raises:
        ImageError: missing or not an image.
    """
    return image_size_with_notes(source, name=name)[0]


def image_size_with_notes(
    source: str | Path | bytes, *, name: str | None = None
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """The size as `image_size` gives it, and the notes that `read_image_with_notes` would give.

    Raises:
        ImageError: missing or not an image.
    """
    name = name or _name_of(source)
    with _decoding(name), _opened(source, name) as file:
        opened = OpenedImage(file)
        width, height = opened.size_wh
        is_turned = opened.orientation() in _TURNED_ORIENTATIONS
        return (width, height) if is_turned else (height, width), opened.notes()


@contextmanager
def decoded(
    source: str | Path | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    allowed_hw: Collection[tuple[int, int]] = (),
) -> Iterator[Image.Image]:
    """Decode an image as it is stored, for files whose mode means something, such as masks.

    Args:
        source: as in `read_image`.
        max_pixels: as in `read_image`.
        name: as in `read_image`.
        allowed_hw: the only (height, width) that are accepted, any where there is none. A mask has the size of its
            image, so that a small file of a huge picture is refused by its header before anything is decoded.

    Raises:
        ImageError: as in `read_image`, or the size is another, also for whatever goes wrong in the body of the `with`.
    """
    name = name or _name_of(source)
    with _decoding(name), _opened(source, name) as file:
        opened = OpenedImage(file)
        _check_allowed(opened.size_wh, allowed_hw, name)
        _check_size(opened.size_wh, max_pixels, name)
        yield opened.load(keeps_values=True)


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: {error}.") from None
    except MemoryError:
        raise ImageError(f"{name}: not enough memory to decode the image. Give a smaller image.") from None
    # Broken files make decoders raise almost anything: OSError, SyntaxError, struct.error, zlib.error, OverflowError,
    # ...
    except Exception as error:
        reason = str(reason_of(error)).rstrip(".")
        raise ImageError(
            f"{name}: the image is broken, cut off or of an unsupported kind ({reason}). "
            "Download it again, or save it as PNG or JPEG."
        ) from error


@contextmanager
def _opened(source: str | Path | bytes, name: str) -> Iterator[IO[bytes]]:
    if isinstance(source, bytes):
        _check_not_empty(len(source), name)
        yield io.BytesIO(source)
        return
    try:
        file = open_regular(source)
    except FileNotFoundError:
        raise ImageError(f"{name}: there is no such file. Check the path.") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot read the file: {reason_of(error)}. Give an image file.") from error
    with file:
        _check_not_empty(os.fstat(file.fileno()).st_size, name)
        yield file


def _name_of(source: str | Path | bytes) -> str:
    if isinstance(source, bytes):
        return f"image of {len(source)} bytes"
    return str(path_of(source, "An image", "a file, or its content as bytes", ImageError))


def _check_not_empty(num_bytes: int, name: str) -> None:
    if not num_bytes:
        raise ImageError(f"{name}: the file is empty (0 bytes). Export or download the image again.")


def _check_allowed(size_wh: tuple[int, int], allowed_hw: Collection[tuple[int, int]], name: str) -> None:
    if allowed_hw and size_wh[::-1] not in allowed_hw:
        wanted = " or ".join(f"{width}x{height}" for height, width in allowed_hw)
        raise ImageError(
            f"{name}: the size is {size_wh[0]}x{size_wh[1]} pixels, but that of its upright image is expected: {wanted}."
        )


def _check_size(size_wh: tuple[int, int], max_pixels: int, name: str) -> None:
    width, height = size_wh
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: the image has {width}x{height} = {width * height:,} pixels, but the limit is {max_pixels:,}. "
            "Give a smaller image, or raise the limit with max_pixels."
        )


def upright(picture: Image.Image, source: Image.Image) -> Image.Image:
    """A picture turned as the EXIF orientation of the Pillow image that it was made from says."""
    return _turned(picture, exif_orientation(source))


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    transposition = _TRANSPOSITIONS.get(orientation)
    return image if transposition is None else image.transpose(transposition)
