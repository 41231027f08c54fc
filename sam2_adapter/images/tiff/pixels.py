"""From the samples of a TIFF file to a picture: which channels are shown, and how their range is brought to 8 bits.

- One channel becomes a grey picture of its depth, which `pixel_modes` stretches.
- Colours of whole numbers keep their upper 8 bits; floats from 0 to 1 are shares of full brightness; colours of other
  numbers are stretched together.
- Of several channels without a meaning the first three are shown as red, green and blue, stretched together where they
  have more than 8 bits; of two the first as grey. What is not shown is told.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter.images.pixel_modes import ALPHA, WHITE_IS_ZERO, stretched
from sam2_adapter.images.tiff.pixel_layout import CMYK, GREY, GREY_WHITE_IS_ZERO, PALETTE, RGB, TiffLayout
from sam2_adapter.images.tiff.samples import Samples

Bytes = npt.NDArray[np.uint8]


def samples_to_image(samples: Samples, layout: TiffLayout) -> Image.Image:
    """A picture of the samples H x W x C; one of more than 8 bits of grey keeps them."""
    if layout.photometric == PALETTE:
        palette = np.array(layout.color_map, np.uint16).reshape(3, -1) >> 8
        return _image(palette.astype(np.uint8).T[samples[..., 0].astype(np.int64)], _alpha(samples, layout), layout)
    if layout.photometric == CMYK:
        return Image.fromarray(_full_range(samples[..., :4], layout), "CMYK")
    shown = shown_channels(layout)
    if len(shown) == 1 and (layout.alpha is None or (layout.bits > 8 and not layout.is_premultiplied)):
        image = _grey_image(samples[..., shown[0]], layout)
        if (alpha := _alpha(samples, layout)) is not None:
            image.info[ALPHA] = alpha
        return image
    colors = samples[..., list(shown)]
    is_full_range = layout.photometric == RGB or layout.bits <= 8
    pixels = _full_range(colors, layout) if is_full_range else stretched(colors)
    if layout.photometric == GREY_WHITE_IS_ZERO:
        pixels = np.uint8(255) - pixels
    return _image(pixels, _alpha(samples, layout), layout)


def shown_channels(layout: TiffLayout) -> tuple[int, ...]:
    """The channels that are seen, from 0; those of an alpha channel apart."""
    if layout.photometric in (RGB, CMYK):
        return tuple(range(4 if layout.photometric == CMYK else 3))
    colors = [channel for channel in range(layout.channels) if channel != layout.alpha]
    is_color = layout.photometric in (GREY, GREY_WHITE_IS_ZERO) and len(colors) >= 3
    return tuple(colors[: 3 if is_color else 1])


def passed_over_channels(layout: TiffLayout) -> str | None:
    """A sentence on the channels that are not shown; `None` where all are."""
    shown = shown_channels(layout)
    if len(shown) + (layout.alpha is not None) == layout.channels:
        return None
    named = "the first one is shown as grey" if len(shown) == 1 else "the first three are shown as red, green and blue"
    if layout.photometric in (RGB, CMYK):
        named = f"the first {len(shown)} are shown"
    return f"{layout.channels} channels, of which {named}"


def _grey_image(values: Samples, layout: TiffLayout) -> Image.Image:
    if layout.bits <= 8 and layout.kind == "u":
        grey = _full_range(values, layout)
        return Image.fromarray(np.uint8(255) - grey if layout.photometric == GREY_WHITE_IS_ZERO else grey)
    image = Image.fromarray(_in_a_mode_of_pillow(values))
    if layout.photometric == GREY_WHITE_IS_ZERO:
        image.info[WHITE_IS_ZERO] = True
    return image


def _in_a_mode_of_pillow(values: Samples) -> Samples:
    """Grey values as 16 bits, 32 signed bits or 32-bit floats."""
    if values.dtype == np.uint16:
        return values
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond the range of 32 bits: infinite, and so left out when it is stretched
            return values.astype(np.float32)
    limits = np.iinfo(np.int32)
    fits = not values.size or (int(values.min()) >= limits.min and int(values.max()) <= limits.max)
    return values.astype(np.int32 if fits else np.float32)


def _full_range(values: Samples, layout: TiffLayout) -> Bytes:
    """Values by the range of their type, as 8 bits."""
    if layout.kind == "u":
        if layout.bits <= 8:
            return _bytes(np.round(values * (255 / (2**layout.bits - 1))))
        return _bytes(values >> np.array(layout.bits - 8, values.dtype))
    if layout.kind == "f" and not np.isnan(values).any() and (values >= 0).all() and (values <= 1).all():
        return _bytes(np.round(values * 255))
    return stretched(values)


def _alpha(samples: Samples, layout: TiffLayout) -> Bytes | None:
    if layout.alpha is None:
        return None
    values = samples[..., layout.alpha]
    if layout.kind == "u":
        return _full_range(values, layout)
    largest = 1.0 if layout.kind == "f" else float(np.iinfo(values.dtype).max)
    return _bytes(np.round(np.clip(np.nan_to_num(values.astype(np.float64)) / largest, 0, 1) * 255))


def _bytes(values: Samples) -> Bytes:
    return values.astype(np.uint8)


def _image(pixels: Bytes, alpha: Bytes | None, layout: TiffLayout) -> Image.Image:
    if alpha is None:
        return Image.fromarray(np.ascontiguousarray(pixels if pixels.shape[2] > 1 else pixels[..., 0]))
    mode = {1: "LA", 3: "RGBA"}[pixels.shape[2]]
    mode = mode.replace("A", "a") if layout.is_premultiplied else mode
    data = np.ascontiguousarray(np.dstack([pixels, alpha]))
    return Image.frombytes(mode, (data.shape[1], data.shape[0]), data.tobytes())
