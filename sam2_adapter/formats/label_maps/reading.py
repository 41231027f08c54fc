"""Reading label maps: pictures in which every number, or every colour, is one object.

They come as grey pictures of 1 to 32 bits, whole numbers as floats, palettes, and RGB whose colours tell the objects apart, as do those of a
palette whose first colour is not that of the background. Masks with soft
edges (smoothed, resized, saved as JPEG) hold many values that are no objects: a single mask is cut at half its brightness, and anything
else is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter.annotations.soft_edges import brightness, harden, has_soft_edges
from sam2_adapter.errors import DataError
from sam2_adapter.images.mask_files import has_lossy_pixels
from sam2_adapter.images.pixel_modes import ALPHA
from sam2_adapter.images.read import MAX_PIXELS, decoded

Numbers = npt.NDArray[np.uint32]

_OPAQUE = 127

_WHITE, _OF_WHITE = 0xFFFFFF, 255
_COLOURED = "coloured, each colour read as one object"

_LARGEST = 2**32 - 1


class LabelMap(NamedTuple):
    """A label map.

    Attributes:
        numbers: uint32 H x W, 0 for the background.
        remark: how it was read, where that was not plain; goes on after "2 masks ...".
    """

    numbers: Numbers
    remark: str = ""


class StoredPicture(NamedTuple):
    """A picture as it is stored.

    Attributes:
        values: H x W of any type of numbers, the only channel or the indices of a palette; `None` for colours.
        rgba: uint8 H x W x 4, the colours; `None` where there are values.
        is_lossy: whether its format has changed them.
    """

    values: Any
    rgba: npt.NDArray[np.uint8] | None
    is_lossy: bool


def read_label_map(path: str | Path) -> LabelMap:
    """Read a label map.

    Raises:
        ImageError: the file is missing, broken or too large.
        DataError: the picture's values cannot be the numbers of objects; the text says why and what to do.
    """
    return to_label_map(read_stored(path), path)


def read_stored(path: str | Path) -> StoredPicture:
    """Read a picture without asking what it means; errors as in `read_label_map`."""
    with decoded(path, max_pixels=MAX_PIXELS) as image:
        is_lossy = has_lossy_pixels(image)
        values = _stored_values(image)
        rgba = np.array(image.convert("RGBA")) if values is None else None
    return StoredPicture(values, rgba, is_lossy)


def to_label_map(stored: StoredPicture, path: str | Path) -> LabelMap:
    """The label map that a picture is; `path` and errors as in `read_label_map`."""
    values, rgba, is_lossy = stored
    return _of_values(values, is_lossy, path) if rgba is None else _of_colours(rgba, is_lossy, path)


def _stored_values(image: Image.Image) -> Any:
    """The values of a picture of one channel, as they are stored; the indices of a palette; `None` for colours."""
    is_one_channel = image.mode in ("1", "L", "P", "I", "F") or image.mode.startswith("I;16")
    if not is_one_channel or (image.mode == "P" and not _is_first_index_background(image)):
        return None
    values = np.array(image)
    if ALPHA not in image.info:
        return values
    is_visible = image.info[ALPHA] > _OPAQUE
    return (
        np.where(is_visible, values, 0) if values[is_visible].any() else is_visible
    )  # black objects on a transparent background


def _is_first_index_background(image: Image.Image) -> bool:
    """Whether the indices of a palette are numbers with 0 as the background; programs that save colours sort them in some other way."""
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    is_opaque = _opaque_indices(image, len(colors))
    if not len(colors) or not colors[0].any() or not is_opaque[0]:
        return True
    used = np.unique(np.asarray(image))
    seen = used[used < len(colors)]
    if (~colors[seen].any(axis=1)).any() or not is_opaque[seen].all():
        return False
    is_white = (colors == _OF_WHITE).all(axis=1)
    return bool(is_white[0]) or not is_white[seen].any()


def _opaque_indices(image: Image.Image, count: int) -> npt.NDArray[np.bool_]:
    """Which indices of a palette are not transparent; a file says so for one of them, or for the first ones."""
    is_opaque = np.ones(count, np.bool_)
    given = image.info.get("transparency")
    if isinstance(given, bytes):
        alpha = np.frombuffer(given, np.uint8)[:count]
        is_opaque[: len(alpha)] = alpha > _OPAQUE
    elif isinstance(given, int) and given < count:
        is_opaque[given] = False
    return is_opaque


def _of_values(values: npt.NDArray[Any], is_lossy: bool, path: str | Path) -> LabelMap:
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > _LARGEST:
        raise DataError(
            f"{path}: the numbers of objects are whole numbers from 0, but this picture has values from {values.min()} to {values.max()}."
        )
    if is_lossy or has_soft_edges(values):
        return _hardened(values, path)
    if not (values == np.round(values)).all():
        raise DataError(
            f"{path}: the numbers of objects are whole, but this picture has values such as {_fraction(values):g}."
        )
    return LabelMap(values.astype(np.uint32))


def _of_colours(rgba: npt.NDArray[np.uint8], is_lossy: bool, path: str | Path) -> LabelMap:
    is_visible = rgba[..., 3] > _OPAQUE
    red, green, blue = (rgba[..., channel].astype(np.uint32) for channel in range(3))
    if is_visible.all() and (red == green).all() and (green == blue).all():
        return _of_values(red, is_lossy, path)
    if is_lossy and (values := brightness(rgba[..., :3])) is not None:
        return _hardened(values, path)
    colours = np.where(is_visible, red << 16 | green << 8 | blue, 0)
    if not colours.any():  # black objects on a transparent background
        return LabelMap(is_visible.astype(np.uint32))
    background, remark = _background(colours)
    colours = np.where(colours == background, 0, colours)
    found, numbers = np.unique(colours, return_inverse=True)
    numbers = numbers.reshape(colours.shape).astype(np.uint32) + (found[0] != 0)
    if is_lossy or has_soft_edges(numbers):
        raise DataError(
            f"{path}: the colours of this mask run into one another, so that it cannot be told which are objects. "
            "Export it without smoothing, as PNG with one colour or number per object."
        )
    return LabelMap(numbers, remark)


def _background(colours: npt.NDArray[np.uint32]) -> tuple[int, str]:
    """The colour of the background, black where there is some, else white; and what to say about it."""
    if (colours == 0).any():
        return 0, _COLOURED
    if (colours == _WHITE).any():
        return _WHITE, f"{_COLOURED}, and white as the background, since nothing is black"
    return 0, f"{_COLOURED}; nothing is black, so that there is no background"


def _hardened(values: npt.NDArray[Any], path: str | Path) -> LabelMap:
    mask = harden(values)
    if mask is None:
        raise DataError(
            f"{path}: the values of this mask run into one another, as smoothing, resizing and JPEG make them, so that it cannot be told "
            "which are objects. Export it as PNG with one number per object."
        )
    return LabelMap(
        mask.astype(np.uint32), "with soft edges, read as one object: the pixels of at least half the largest value"
    )


def _fraction(values: npt.NDArray[Any]) -> float:
    return float(values[values != np.round(values)][0])
