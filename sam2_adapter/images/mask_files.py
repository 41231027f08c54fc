"""Masks as image files: which pixels of a picture belong to the object."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.annotations.soft_edges import brightness, harden, has_soft_edges
from sam2_adapter.errors import ImageError
from sam2_adapter.images.decoders import LOSSLESS
from sam2_adapter.images.pixel_modes import ALPHA
from sam2_adapter.images.read import MAX_PIXELS, decoded

# Formats that change values, so that the values of a mask mean little; WebP only in one of its two forms.
_LOSSY_FORMATS = frozenset({"JPEG", "MPO", "AVIF", "HEIF"})

# Alpha above which a pixel belongs to the mask, as the platform reads it.
_ALPHA_THRESHOLD = 127


def read_mask(
    source: str | Path | bytes,
    *,
    allowed_hw: Collection[tuple[int, int]] = (),
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> BoolArray:
    """Read a mask that a person or another tool made.

    Where the image has transparency, its opaque pixels (alpha over 127) are the mask, whatever their colour. Otherwise,
    and where nothing is transparent, every pixel that is not black is: masks of 0 and 1, of 0 and 255 and label maps
    all read as expected. A mask of one colour or grey with soft edges (JPEG, smoothed, resized) is cut at half its largest value.

    Args:
        source: as in `read_image`.
        allowed_hw: the (height, width) of the image that it belongs to; other sizes are refused before it is decoded.
        max_pixels: as in `read_image`.
        name: as in `read_image`.

    Returns:
        bool H x W.

    Raises:
        ImageError: as in `read_image`, the mask has another size than its image, or the picture is a photograph.
    """
    with decoded(source, max_pixels=max_pixels, name=name, allowed_hw=allowed_hw) as image:
        alpha = _alpha(image)
        if alpha is not None and not alpha.all():
            return alpha
        is_lossy = has_lossy_pixels(image)
        grey = _grey(image)
        if grey is None and is_lossy:
            grey = np.asarray(image.convert("RGB")).max(axis=2)
        is_soft = is_lossy or (grey is not None and has_soft_edges(grey))
        if grey is None and image.mode != "P" and _have_soft_edges(rgb := np.asarray(image.convert("RGB"))):
            grey, is_soft = brightness(rgb), True
        if not is_soft:
            return _not_black(image)
        mask = None if grey is None else harden(grey)
        if mask is None:
            what = name or ("mask" if isinstance(source, bytes) else source)
            raise ImageError(
                f"{what}: its values run into one another like those of a photograph, so that it cannot be told which pixels belong to the "
                "object. Give a mask of two values, saved as PNG."
            )
        return mask


def has_lossy_pixels(image: Image.Image) -> bool:
    """Whether the format of an image that was read from a file has changed its values."""
    return image.format in _LOSSY_FORMATS or (image.format == "WEBP" and not image.info.get(LOSSLESS))


def read_alpha_mask(
    source: str | Path | bytes,
    *,
    allowed_hw: Collection[tuple[int, int]] = (),
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> BoolArray:
    """Read a mask of the platform's form: the pixels with alpha over 127, whatever their colour; bool H x W.

    Arguments as in `read_mask`.

    Raises:
        ImageError: as in `read_mask`, or the image has no transparency.
    """
    with decoded(source, max_pixels=max_pixels, name=name, allowed_hw=allowed_hw) as image:
        alpha = _alpha(image)
        if alpha is None:
            raise ImageError(
                f"{name or 'mask'}: expected a PNG with transparency (RGBA), but its mode is {image.mode}."
            )
        return alpha


def alpha_mask_png(mask: BoolArray, color: tuple[int, int, int]) -> bytes:
    """Encode a mask in the platform's form, a PNG with RGBA pixels: `color` and alpha 255 inside, all 0 outside.

    Args:
        mask: bool H x W.
        color: (red, green, blue) in 0..255; may be black: the mask is in the alpha channel alone.
    """
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[mask] = (*color, 255)
    return png(Image.fromarray(rgba))


def png(image: Image.Image) -> bytes:
    """The image as the content of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _alpha(image: Image.Image) -> BoolArray | None:
    if ALPHA in image.info:
        is_opaque: BoolArray = image.info[ALPHA] > _ALPHA_THRESHOLD
        return is_opaque
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return np.asarray(image.convert("RGBA"))[..., 3] > _ALPHA_THRESHOLD if has_alpha else None


def _grey(image: Image.Image) -> npt.NDArray[np.generic] | None:
    """The values H x W of a grey picture, also of one stored as RGB; `None` for palettes and colours."""
    if image.mode in ("L", "I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode in ("P", "1"):
        return None
    rgb = np.asarray(image.convert("RGB"))
    is_grey = (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all()
    return rgb[..., 0] if is_grey else None


def _have_soft_edges(rgb: npt.NDArray[np.uint8]) -> bool:
    """As `has_soft_edges`, for colours H x W x 3, of which black is the background."""
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    colors = red << 16 | green << 8 | blue
    found, numbers = np.unique(colors, return_inverse=True)
    return has_soft_edges(numbers.reshape(colors.shape) + int(found[0] != 0))


def _not_black(image: Image.Image) -> BoolArray:
    # The indices of a palette are names of colours, not brightness.
    shown = (
        image.convert("RGB") if image.mode not in ("1", "L", "I", "F") and not image.mode.startswith("I;") else image
    )
    values: npt.NDArray[np.generic] = np.asarray(shown)
    is_set: BoolArray = values.astype(np.bool_)
    return is_set if is_set.ndim == 2 else np.logical_or.reduce(is_set, axis=2)
