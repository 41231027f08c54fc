"""Bringing the pixels of any image to RGB in 0..255, the way people see them.

- Transparent pixels are laid over white, as viewers show them; the colours that a file hides behind them mean nothing.
- Grey images of more than 8 bits (16-bit, 32-bit, float) are stretched linearly, the 0.1 % darkest pixels becoming 0
  and the 0.1 % brightest 255: cameras and microscopes use 10 to 14 of 16 bits, and scaling by the type's range would
  leave such images black. Colour images of 16 bits per channel come from image editors, which use the full range: their
  upper 8 bits are kept.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

_DEEP_GREY_MODES = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}

# Keys of `Image.info` of a deep grey picture: 0 is white; its transparency, uint8 H x W.
WHITE_IS_ZERO = "white_is_zero"
ALPHA = "alpha"

# Share of the pixels that deep grey images lose to 0 and to 255 each, in percent.
_CLIPPED_PERCENT = 0.1


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a decoded image of any mode to mode RGB by the rules at the head of this module."""
    if image.mode in _DEEP_GREY_MODES:
        grey = stretched(np.asarray(image))
        picture = Image.fromarray(np.uint8(255) - grey if image.info.get(WHITE_IS_ZERO) else grey)
        if ALPHA not in image.info:
            return picture.convert("RGB")
        return _over_white(Image.merge("LA", (picture, Image.fromarray(image.info[ALPHA]))))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _over_white(image)
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    straight = image.convert("LA") if image.mode == "La" else image
    rgba = straight.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def stretched(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Deep values of any shape, uint8 by the rule at the head of this module; a constant image becomes black."""
    grey = values.astype(np.float64 if values.dtype.itemsize > 2 and values.dtype.kind != "f" else np.float32)
    is_finite = np.isfinite(grey)
    if not is_finite.any():
        raise ValueError("no pixel has a finite value")
    finite = grey[is_finite]
    low, high = np.percentile(finite, (_CLIPPED_PERCENT, 100 - _CLIPPED_PERCENT)).tolist()
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    if low == high or not math.isfinite(high - low):
        return np.zeros(grey.shape, np.uint8)
    scaled = np.clip((np.where(is_finite, grey, low) - low) * (255 / (high - low)), 0, 255)
    stretched: npt.NDArray[np.uint8] = np.round(scaled).astype(np.uint8)
    return stretched
