"""`Region`: a rectangle of whole pixels of an image; what is cut at full resolution and what an answer is pasted back into.

The pixels of a region are pixels of the image, only counted from another corner. So a mask goes there and back exactly, and what is pasted has
no seam. A region may reach beyond the image; what lies there is filled up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.prompt_values import short
from sam2_adapter.annotations.prompts import FOREGROUND, BoolArray, Prompt
from sam2_adapter.arguments import is_number
from sam2_adapter.errors import PromptError

Number = TypeVar("Number", bound=np.generic)

Box = tuple[float, float, float, float]


@dataclass(frozen=True, order=True)
class Region:
    """Pixels x0 to x1 and y0 to y1 of an image, half-open, checked when built.

    Attributes:
        x0: left side in pixels of the image; negative where the region begins beside it.
        y0: upper side.
        x1: right side, greater than `x0`.
        y1: lower side, greater than `y0`.
    """

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        """Check that there is at least one pixel."""
        if not (self.x1 > self.x0 and self.y1 > self.y0):
            raise PromptError(
                f"Region {self} is empty: a region is x0, y0, x1, y1 in whole pixels, with x1 greater than x0 and y1 greater than y0."
            )

    def __str__(self) -> str:
        """The four numbers."""
        return f"({self.x0}, {self.y0}, {self.x1}, {self.y1})"

    @classmethod
    def whole(cls, original_hw: tuple[int, int]) -> Region:
        """All of an image of (height, width) pixels."""
        height, width = original_hw
        return cls(0, 0, width, height)

    @classmethod
    def around(cls, centre_xy: tuple[float, float], size_hw: tuple[int, int], original_hw: tuple[int, int]) -> Region:
        """A region of (height, width) pixels around a point, moved into the image; where the image is smaller, all of that side of it."""
        height, width = (min(wanted, there) for wanted, there in zip(size_hw, original_hw, strict=True))
        x0 = min(max(0, round(centre_xy[0] - width / 2)), original_hw[1] - width)
        y0 = min(max(0, round(centre_xy[1] - height / 2)), original_hw[0] - height)
        return cls(x0, y0, x0 + width, y0 + height)

    @classmethod
    def padded_around(
        cls, centre_xy: tuple[float, float], size_hw: tuple[int, int], original_hw: tuple[int, int]
    ) -> Region:
        """As `around`, but always of that size: where the image is smaller, it lies in the middle of the region."""
        inside = cls.around(centre_xy, size_hw, original_hw)
        x0 = inside.x0 - (size_hw[1] - inside.width) // 2
        y0 = inside.y0 - (size_hw[0] - inside.height) // 2
        return cls(x0, y0, x0 + size_hw[1], y0 + size_hw[0])

    @classmethod
    def covering(cls, box_xyxy: Box) -> Region:
        """The smallest region that covers a box."""
        x0, y0, x1, y1 = box_xyxy
        return cls(math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1))

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.y1 - self.y0

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def contains(self, box_xyxy: Box) -> bool:
        """Whether a box lies in the region; its sides may lie on the region's."""
        x0, y0, x1, y1 = box_xyxy
        return self.x0 <= x0 and self.y0 <= y0 and x1 <= self.x1 and y1 <= self.y1

    def within(self, original_hw: tuple[int, int]) -> Region:
        """The part that lies in an image of (height, width) pixels.

        Raises:
            PromptError: no part of the region does.
        """
        height, width = original_hw
        if self.x0 >= width or self.y0 >= height or self.x1 <= 0 or self.y1 <= 0:
            raise PromptError(f"Region {self} lies outside the image, which is {width}x{height} pixels.")
        return Region(max(self.x0, 0), max(self.y0, 0), min(self.x1, width), min(self.y1, height))

    def moved(self, x: int, y: int) -> Region:
        """The region x pixels to the right and y pixels down."""
        return Region(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)

    def cut(self, values: npt.NDArray[Number], fill: Sequence[int] | int = 0) -> npt.NDArray[Number]:
        """The region's part of an image or mask.

        Args:
            values: H x W or H x W x C, the whole image.
            fill: what stands beyond the image, one value or C.

        Returns:
            height x width (x C); a view of the image where the region lies inside it.

        Raises:
            PromptError: the region lies outside the image.
        """
        height, width = values.shape[:2]
        inside = self.within((height, width))
        return self.filled_up(values[inside.y0 : inside.y1, inside.x0 : inside.x1], (height, width), fill)

    def filled_up(
        self, part: npt.NDArray[Number], original_hw: tuple[int, int], fill: Sequence[int] | int = 0
    ) -> npt.NDArray[Number]:
        """What `cut` gives, of `part`, the region's part inside the image of (height, width) pixels."""
        inside = self.within(original_hw)
        if inside == self:
            return part
        result = np.empty((*self.size_hw, *part.shape[2:]), part.dtype)
        result[...] = np.asarray(fill, part.dtype)
        at = inside.moved(-self.x0, -self.y0)
        result[at.y0 : at.y1, at.x0 : at.x1] = part
        return result

    def part_inside(
        self, mask: npt.NDArray[Number], original_hw: tuple[int, int]
    ) -> tuple[npt.NDArray[Number], Region]:
        """The part of what covers the region, ... x height x width, that lies in the image, and where it lies there."""
        inside = self.within(original_hw)
        at = inside.moved(-self.x0, -self.y0)
        return mask[..., at.y0 : at.y1, at.x0 : at.x1], inside

    def paste(self, masks: BoolArray, original_hw: tuple[int, int]) -> BoolArray:
        """Masks of the region, bool ... x height x width, as masks of the image, bool ... x H x W, with nothing set elsewhere."""
        part, inside = self.part_inside(masks, original_hw)
        whole = np.zeros((*masks.shape[:-2], *original_hw), np.bool_)
        whole[..., inside.y0 : inside.y1, inside.x0 : inside.x1] = part
        return whole

    def cuts_off(self, mask: BoolArray, original_hw: tuple[int, int]) -> bool:
        """Whether a mask of the region, bool height x width, reaches a side beyond which the image goes on: what it shows may go on there, too."""
        height, width = original_hw
        sides = (
            (self.x0 > 0, mask[:, 0]),
            (self.y0 > 0, mask[0]),
            (self.x1 < width, mask[:, -1]),
            (self.y1 < height, mask[-1]),
        )
        return any(goes_on and bool(side.any()) for goes_on, side in sides)

    def prompt_in(self, prompt: Prompt) -> Prompt:
        """A prompt of the image in pixels of the region.

        Points outside the region are left out, and a mask is cut. Earlier logits stay as they are; `moved_logits` moves them.

        Raises:
            PromptError: nothing of the prompt says where in the region the object is.
        """
        values: dict[str, Any] = {field.name: getattr(prompt, field.name) for field in fields(prompt)}
        x, y = prompt.point_coords[:, 0], prompt.point_coords[:, 1]
        is_inside = (x >= self.x0) & (x <= self.x1) & (y >= self.y0) & (y <= self.y1)
        values["point_coords"] = prompt.point_coords[is_inside] - np.array([self.x0, self.y0], np.float32)
        values["point_labels"] = prompt.point_labels[is_inside]
        if prompt.mask is not None:
            part = self.cut(prompt.mask)
            values["mask"] = part if part.any() else None
        if prompt.box_xyxy is not None:
            values |= self._box_in(prompt.box_xyxy, prompt.box_hull or prompt.box_xyxy)
        is_placed = values["box_xyxy"] is not None or values["mask"] is not None or prompt.mask_input is not None
        if not is_placed and not (values["point_labels"] == FOREGROUND).any():
            raise PromptError(f"Nothing of the prompt lies in the region {self}: {prompt!r}.")
        return Prompt(**values)

    def _box_in(self, box_xyxy: Box, hull: Box) -> dict[str, Any]:
        if hull[0] >= self.x1 or hull[1] >= self.y1 or hull[2] <= self.x0 or hull[3] <= self.y0:
            return {"box_xyxy": None, "box_angle": 0.0}
        x0, y0, x1, y1 = box_xyxy
        return {"box_xyxy": (x0 - self.x0, y0 - self.y0, x1 - self.x0, y1 - self.y0)}


def checked_region(given: object) -> Region:
    """The region that a caller gives, as (x0, y0, x1, y1) in whole pixels.

    Raises:
        PromptError: it has another form, or no pixel.
    """
    if isinstance(given, Region):
        return given
    values = given.tolist() if isinstance(given, np.ndarray) else given
    numbers = list(values) if isinstance(values, list | tuple) else []
    if len(numbers) != 4 or not all(_is_whole(number) for number in numbers):
        raise PromptError(f"A region is x0, y0, x1, y1 in whole pixels, but got {short(given)}.")
    return Region(*(int(number) for number in numbers))


def _is_whole(number: object) -> bool:
    return is_number(number) and math.isfinite(number) and number == int(number)
