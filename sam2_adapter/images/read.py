"""Reading images: any common file becomes one upright uint8 RGB array, or one `ImageError` that names it.

- EXIF orientation is applied, so that an image is read the way people see it.
- Transparency, deep grey and other pixel modes are brought to RGB by the rules of `pixel_modes`.
- Of animations and multi-page files the first picture is read.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from sam2_adapter.errors import ImageError
from sam2_adapter.files import reason_of
from sam2_adapter.images.pixel_modes import to_rgb
from sam2_adapter.ownership import results_in
from sam2_adapter.regular_files import open_regular
from sam2_adapter.stand_ins import NUM_BYTES, what_stands_in

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

MAX_PIXELS = 100_000_000

# Only these decoders are ever tried on a file; Pillow knows others, some of which start programs. Importing one
# registers it with Pillow under this name.
_DECODERS = {
    "JPEG": JpegImagePlugin,
    "PNG": PngImagePlugin,
    "WEBP": WebPImagePlugin,
    "TIFF": TiffImagePlugin,
    "BMP": BmpImagePlugin,
    "GIF": GifImagePlugin,
}

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
        source: path of a PNG, JPEG, WebP, TIFF, BMP or GIF file, or its content.
        max_pixels: largest accepted number of pixels, read from the header before anything is decoded.
        name: what to call the image in messages; the path when left out.

    Returns:
        uint8 H x W x 3, RGB in 0..255, upright.

    Raises:
        ImageError: missing, not an image, broken or too large; the text names the image and says what to do.
    """
    with decoded(source, max_pixels=max_pixels, name=name) as image:
        return np.array(_upright(to_rgb(image), _orientation(image)))


def image_size(source: str | Path | bytes, *, name: str | None = None) -> tuple[int, int]:
    """The (height, width) in pixels of the upright image, from the header alone wherever the format allows it.

    Raises:
        ImageError: missing or not an image.
    """
    name = name or _name_of(source)
    with _decoding(name), _opened(source, name) as file:
        image = _open_image(file)
        width, height = image.size
        is_turned = _orientation_before_decoding(image, file) in _TURNED_ORIENTATIONS
        return (width, height) if is_turned else (height, width)


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
        image = _open_image(file)
        _check_allowed(image.size, allowed_hw, name)
        _check_size(image.size, max_pixels, name)
        image.load()
        yield image


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """Collect image files.

    Args:
        paths: files, taken whatever they are called, and folders, searched with all their subfolders for files whose
            suffix is one of `IMAGE_SUFFIXES` in any case. Hidden files and folders, whose name starts with a dot, are
            skipped, and so are the results of earlier runs (see `ownership`).

    Returns:
        The files in the order of `paths`, those of a folder sorted by path, each file once.

    Raises:
        ImageError: a path does not exist, or a folder cannot be read or holds no image.
    """
    found: dict[Path, None] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found.update(dict.fromkeys(_images_in(path)))
        elif path.exists():
            found[path] = None
        else:
            raise ImageError(f"{path}: there is no such file or folder. Check the path.")
    return list(found)


def _images_in(folder: Path) -> list[Path]:
    images = []
    has_results = False
    for parent, folders, files in os.walk(folder, onerror=_refuse_folder):
        results = results_in(parent)
        has_results |= bool(results)
        folders[:] = [name for name in folders if not name.startswith(".") and name not in results]
        images += [
            Path(parent, name)
            for name in files
            if not name.startswith(".") and name not in results and Path(name).suffix.lower() in IMAGE_SUFFIXES
        ]
    if not images:
        apart = " apart from the results of an earlier run" if has_results else ""
        raise ImageError(
            f"{folder}: no image in this folder{apart}; looked for files ending in {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return sorted(images, key=lambda path: path.relative_to(folder).parts)


def _refuse_folder(error: OSError) -> None:
    raise ImageError(f"{error.filename}: cannot read the folder: {reason_of(error)}.") from error


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
    return f"image of {len(source)} bytes" if isinstance(source, bytes) else str(source)


def _check_not_empty(num_bytes: int, name: str) -> None:
    if not num_bytes:
        raise ImageError(f"{name}: the file is empty (0 bytes). Export or download the image again.")


def _open_image(file: IO[bytes]) -> Image.Image:
    """Read the header. Not `Image.open`, whose own size limit is a global that no option could raise for one image."""
    prefix = file.read(16)
    for name in _DECODERS:
        factory, accept = Image.OPEN[name]
        if accept is None or accept(prefix) is not True:
            continue
        file.seek(0)
        try:
            image: Image.Image = factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:  # how Pillow's decoders refuse a file
            raise ValueError(f"{name} header: {error}") from error
        return image
    raise UnidentifiedImageError(_unknown(file))


def _unknown(file: IO[bytes]) -> str:
    file.seek(0)
    known = what_stands_in(file.read(NUM_BYTES))
    return (
        f"this is {known}" if known else "not an image in a known format. Give a PNG, JPEG, WebP, TIFF, BMP or GIF file"
    )


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


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    transposition = _TRANSPOSITIONS.get(orientation)
    return image if transposition is None else image.transpose(transposition)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a decoded image, 1 to 8; 1 when there is none or it is unreadable."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata raise almost anything, and cost only themselves
        return 1


def _orientation_before_decoding(image: Image.Image, file: IO[bytes]) -> int:
    if image.format == "TIFF":  # Pillow reports the upright size of TIFF files
        return 1
    if image.format == "PNG" and "exif" not in image.info:
        # Pillow would decode the whole image to look for metadata behind the pixels.
        position = file.tell()
        file.seek(0)
        content = file.read()
        file.seek(position)
        if b"eXIf" not in content and b"Raw profile type exif" not in content and b"tiff:Orientation" not in content:
            return 1
    return _orientation(image)
