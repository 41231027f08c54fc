"""Augmented variants of a training image, each encoded once and kept like the image itself.

With a frozen image encoder an augmentation that were drawn again each time would have to be encoded each time. A few
fixed variants cost one encoding each, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.prompts import BoolArray

Image = npt.NDArray[np.uint8]

ORIGINAL = "original"

# Factors of the brightened and the darkened variant, and of the contrast around mid-grey.
_BRIGHTER, _DARKER = 1.25, 0.8
_MORE_CONTRAST, _LESS_CONTRAST = 1.3, 0.75
_MID_GREY = 127.5

LEAST_VISIBLE = 0.5
"""Part of an object that a crop or a window has to show for the object to be asked about in it."""

# Side of a crop as a part of the image's: crops of two corners overlap, so that few objects are cut by all of them.
_CROPPED = 0.6


@dataclass(frozen=True)
class Variant:
    """One way to change an image.

    Attributes:
        move: changes where pixels lie, or takes a part, H x W (x 3); the same for images and masks.
        recolour: changes the colours of an image, H x W x 3.
        is_crop: shows a part of the image only.
    """

    move: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
    recolour: Callable[[Image], Image]
    is_crop: bool = False

    def image(self, image: Image) -> Image:
        """The changed image, uint8 RGB H x W x 3 in 0..255."""
        return np.ascontiguousarray(self.move(self.recolour(image)))

    def mask(self, mask: BoolArray) -> BoolArray:
        """A mask of the image, bool H x W, moved along; empty where the object lies outside a crop."""
        return np.ascontiguousarray(self.move(mask))


def _same(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values


def _flip_x(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values[:, ::-1]


def _flip_y(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values[::-1]


def _turn(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values[::-1, ::-1]


def _transpose(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.swapaxes(values, 0, 1)


def _crop(*, top: bool, left: bool) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    def crop(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        rows, columns = (max(1, round(_CROPPED * side)) for side in values.shape[:2])
        return values[slice(rows) if top else slice(-rows, None), slice(columns) if left else slice(-columns, None)]

    return crop


def _scaled(factor: float, around: float) -> Callable[[Image], Image]:
    def recolour(image: Image) -> Image:
        changed: Image = np.clip((image.astype(np.float32) - around) * factor + around, 0, 255).round().astype(np.uint8)
        return changed

    return recolour


def _grey(image: Image) -> Image:
    # Luma of ITU-R BT.601, as in Pillow's "L" mode.
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat(luma.round().astype(np.uint8)[..., None], 3, axis=2)


VARIANTS: Mapping[str, Variant] = {
    ORIGINAL: Variant(_same, _same),
    "flip_x": Variant(_flip_x, _same),
    "flip_y": Variant(_flip_y, _same),
    "turn": Variant(_turn, _same),
    "transpose": Variant(_transpose, _same),
    "crop_top_left": Variant(_crop(top=True, left=True), _same, is_crop=True),
    "crop_top_right": Variant(_crop(top=True, left=False), _same, is_crop=True),
    "crop_bottom_left": Variant(_crop(top=False, left=True), _same, is_crop=True),
    "crop_bottom_right": Variant(_crop(top=False, left=False), _same, is_crop=True),
    "bright": Variant(_same, _scaled(_BRIGHTER, 0.0)),
    "dark": Variant(_same, _scaled(_DARKER, 0.0)),
    "contrast": Variant(_same, _scaled(_MORE_CONTRAST, _MID_GREY)),
    "pale": Variant(_same, _scaled(_LESS_CONTRAST, _MID_GREY)),
    "grey": Variant(_same, _grey),
}


def variants_to_encode(names: Sequence[str]) -> tuple[str, ...]:
    """The variants of an image that training asks about: those of `names`, and the original beside crops, which can miss an object."""
    needs_original = any(VARIANTS[name].is_crop for name in names)
    return tuple(dict.fromkeys((*names, ORIGINAL) if needs_original else names))
