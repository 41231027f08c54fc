"""The forms in which a program may give an image: a file, its content, a Pillow image or an array."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter.errors import ImageError
from sam2_adapter.images.pixel_modes import to_rgb
from sam2_adapter.images.read import MAX_PIXELS, read_image, upright

Pixels = npt.NDArray[np.uint8]
"""uint8 RGB H x W x 3 in 0..255."""

ImageSource = str | Path | bytes | Image.Image | Pixels
"""A path, the content of a file, a Pillow image, or `Pixels`."""

# What a caller may loop over, and what is no sequence of images all the same.
_NO_SEQUENCE = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, Mapping)


def is_one_image(images: ImageSource | Sequence[ImageSource]) -> TypeGuard[ImageSource]:
    """Whether this is an image, or nothing that could be one, and not a sequence of them; an array of three axes is one image."""
    if isinstance(images, _NO_SEQUENCE) or hasattr(images, "read"):  # the lines of an open file are no images
        return True
    if hasattr(images, "ndim") and hasattr(images, "dtype"):  # an array of any library, or a column of paths
        return bool(images.ndim <= 3) and not (images.ndim == 1 and getattr(images.dtype, "kind", "") in ("O", "U"))
    return not isinstance(images, Iterable)


def as_pixels(image: ImageSource, name: str = "The image", *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The pixels of an image in any form, upright.

    Args:
        image: a path, the content of a file, a Pillow image of any mode (its EXIF orientation is applied), or an array.
        name: what to call the image in messages, unless it is a path.
        max_pixels: largest accepted file.

    Raises:
        ImageError: the file cannot be read, the Pillow image cannot be decoded, or the array is not uint8 H x W x 3.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(os.fsdecode(image), max_pixels=max_pixels)
    if isinstance(image, bytes | bytearray | memoryview):
        return read_image(bytes(image), max_pixels=max_pixels, name=name)
    if isinstance(image, Image.Image):
        return _pixels_of_pillow(image, name)
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or not image.size
    ):
        found = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(
            f"{name}: expected a path, the content of a file as bytes, a Pillow image or a uint8 RGB array of shape H x W x 3, but got {found}."
        )
    return image


def _pixels_of_pillow(image: Image.Image, name: str) -> Pixels:
    if not (image.width and image.height):
        raise ImageError(f"{name}: the Pillow image has no pixels, it is {image.width}x{image.height}.")
    try:
        image.load()
        return np.array(upright(to_rgb(image), image))
    except Exception as error:  # broken files make decoders raise almost anything
        raise ImageError(f"{name}: the Pillow image cannot be decoded ({error}).") from error
