"""Which prompts of an image can be used: a prompt that cannot is refused with its reason, and the others stay.

`check_prompts` looks at the prompts alone, `fit_prompts` holds them against their image. Both keep every prompt at its position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sam2_adapter.annotations.masks import looks_inverted
from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt, Units
from sam2_adapter.errors import PromptError

# A box that reaches over the image by more than this part of the image's width or height was hardly meant so.
_FAR_OUTSIDE = 0.5

# Fractions run from 0 to 1; a little more is a box drawn over the border.
_LARGEST_FRACTION = 2.0


@dataclass(frozen=True)
class UsablePrompts:
    """The prompts of one image, held against it. Positions count from 0 among all prompts of the image.

    Attributes:
        prompts: those that can be used, in pixels and cut to the image.
        positions: the position of each of them.
        refused: position to reason of the others.
        warnings: position to a sentence on a prompt that is used but was hardly meant so.
    """

    prompts: tuple[Prompt, ...]
    positions: tuple[int, ...]
    refused: Mapping[int, str] = field(default_factory=dict)
    warnings: Mapping[int, str] = field(default_factory=dict)


def check_prompts(entries: Sequence[Prompt | RefusedPrompt | Mapping[str, Any]] | None) -> list[Prompt | RefusedPrompt]:
    """Bring prompts and dicts of the prompts file's form to `Prompt`; a malformed entry becomes a `RefusedPrompt`."""
    return [_checked(entry) for entry in entries or ()]


def fit_prompts(
    prompts: Sequence[Prompt | RefusedPrompt], original_hw: tuple[int, int], *, units: Units = "pixel"
) -> UsablePrompts:
    """Hold the prompts of an image against it.

    Args:
        prompts: as `check_prompts` and `read_prompts_file` give them.
        original_hw: (height, width) of the upright image in pixels.
        units: what the coordinates of boxes and points are: `pixel`, or `fraction` of the image's width and height.
    """
    usable: dict[int, Prompt] = {}
    refused: dict[int, str] = {}
    warnings: dict[int, str] = {}
    for position, prompt in enumerate(prompts):
        if isinstance(prompt, RefusedPrompt):
            refused[position] = prompt.reason
            continue
        try:
            in_pixels = _in_pixels(prompt, original_hw) if units == "fraction" else prompt
            usable[position] = in_pixels.fitted_to(original_hw)
        except PromptError as error:
            refused[position] = _with_hint(str(error), prompt, units)
            continue
        warning = _warning(prompt, in_pixels, original_hw, units)
        if warning:
            warnings[position] = warning
    return UsablePrompts(tuple(usable.values()), tuple(usable), refused, warnings)


def look_like_fractions(prompt: Prompt) -> bool:
    """Whether all coordinates of a prompt lie between 0 and 1, as those of a fraction of the image do."""
    numbers = _coordinates(prompt)
    is_inside = bool(numbers) and all(0 <= number <= 1 for number in numbers)
    return is_inside and (prompt.box_xyxy is not None or any(number not in (0, 1) for number in numbers))


def _checked(entry: Prompt | RefusedPrompt | Mapping[str, Any]) -> Prompt | RefusedPrompt:
    if isinstance(entry, Prompt | RefusedPrompt):
        return entry
    try:
        return Prompt.from_dict(entry)
    except PromptError as error:
        return RefusedPrompt(str(error))


def _coordinates(prompt: Prompt) -> list[float]:
    return [*(prompt.box_xyxy or ()), *prompt.point_coords.ravel().tolist()]


def _in_pixels(prompt: Prompt, original_hw: tuple[int, int]) -> Prompt:
    height, width = original_hw
    largest = max((abs(number) for number in _coordinates(prompt)), default=0.0)
    if largest > _LARGEST_FRACTION:
        raise PromptError(
            f"The coordinates are fractions of the image, from 0 to 1, but one of them is {largest:g}; "
            "give fractions, or use pixels."
        )
    box = prompt.box_xyxy
    scaled = None if box is None else (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    points = (prompt.point_coords * np.array([width, height], np.float32)).astype(np.float32)
    return replace(prompt, box_xyxy=scaled, point_coords=points)


def _with_hint(reason: str, prompt: Prompt, units: Units) -> str:
    return f"{reason} {_FRACTION_HINT}" if units == "pixel" and look_like_fractions(prompt) else reason


_FRACTION_HINT = (
    "All its coordinates lie between 0 and 1, as fractions of the image do, and were taken as pixels; "
    "if fractions are meant, say so with the units 'fraction' (--units fraction)."
)


_INVERTED = (
    "Its mask covers the whole border of the image and encloses the rest; if that is the background, invert the mask."
)


def _warning(given: Prompt, in_pixels: Prompt, original_hw: tuple[int, int], units: Units) -> str:
    # In an image of one pixel all coordinates lie between 0 and 1.
    if units == "pixel" and max(original_hw) > 1 and look_like_fractions(given):
        return _FRACTION_HINT
    if given.mask is not None and looks_inverted(given.mask):
        return _INVERTED
    height, width = original_hw
    hull = in_pixels.box_hull
    if hull is None:
        return ""
    overhang = max(-hull[0] / width, -hull[1] / height, hull[2] / width - 1, hull[3] / height - 1)
    if overhang <= _FAR_OUTSIDE:
        return ""
    numbers = ", ".join(f"{number:g}" for number in hull)
    return f"Box ({numbers}) reaches far over the image, which is {width}x{height} pixels; only its part inside the image counts."
