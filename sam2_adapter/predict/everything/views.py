"""Where everything is looked for: the whole image, crops and tiles of it, and the grid of points in each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sam2_adapter.annotations.prompts import FloatArray
from sam2_adapter.config_everything import EverythingSettings

Box = tuple[int, int, int, int]

# How far crops of the first layer, and tiles, reach over each other, as a share of their side (`crop_overlap_ratio` of Meta's generator).
_OVERLAP = 512 / 1500


@dataclass(frozen=True)
class View:
    """A part of the image that is encoded on its own.

    Attributes:
        box_xyxy: (x0, y0, x1, y1) in pixels of the image, half-open.
        original_hw: (height, width) of the image in pixels.
        points_per_side: of the grid in it.
    """

    box_xyxy: Box
    original_hw: tuple[int, int]
    points_per_side: int

    @property
    def view_hw(self) -> tuple[int, int]:
        """(height, width) of the part in pixels."""
        x0, y0, x1, y1 = self.box_xyxy
        return y1 - y0, x1 - x0

    @property
    def area(self) -> int:
        """Pixels of the part."""
        height, width = self.view_hw
        return height * width

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole image."""
        return self.view_hw == self.original_hw

    @cached_property
    def points(self) -> FloatArray:
        """The grid, float32 N x 2, (x, y) pixels of the part, row by row."""
        return grid_points(self.points_per_side) * np.array(self.view_hw[::-1], np.float32)

    def cuts(self, box_xyxy: Box, tolerance: float) -> bool:
        """Whether an object may go on outside: a side of its box is close to a side of this part that is not one of the image.

        Args:
            box_xyxy: first and last pixel of the object, (x0, y0, x1, y1) in pixels of the image.
            tolerance: how close, in pixels.
        """
        height, width = self.original_hw
        sides = zip(box_xyxy, self.box_xyxy, (0, 0, width, height), strict=True)
        return any(abs(at - own) <= tolerance and abs(at - outer) > tolerance for at, own, outer in sides)


def grid_points(points_per_side: int) -> FloatArray:
    """Evenly spaced points, float32 N x 2 (x, y) in 0..1, row by row, half a step from the borders."""
    steps = np.linspace(1 / (2 * points_per_side), 1 - 1 / (2 * points_per_side), points_per_side)
    x, y = np.meshgrid(steps, steps)
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def views_of(original_hw: tuple[int, int], settings: EverythingSettings) -> list[View]:
    """The whole image, the layers of crops and the tiles that the settings ask for, in this order."""
    height, width = original_hw
    views = [View((0, 0, width, height), original_hw, settings.points_per_side)]
    for layer in range(1, settings.crop_n_layers + 1):
        points = max(1, int(settings.points_per_side / settings.crop_n_points_downscale_factor**layer))
        views += [View(box, original_hw, points) for box in crop_boxes(original_hw, 2**layer)]
    if settings.tile_size and settings.tile_size < max(original_hw):
        boxes = tile_boxes(original_hw, settings.tile_size)
        views += [View(box, original_hw, settings.points_per_side) for box in boxes]
    return list({view.box_xyxy: view for view in views}.values())


def crop_boxes(original_hw: tuple[int, int], per_side: int) -> list[Box]:
    """`per_side` x `per_side` overlapping parts of an image, as Meta's generator cuts them, column by column."""
    height, width = original_hw
    overlap = int(_OVERLAP * min(height, width) * (2 / per_side))
    crop_height, crop_width = (math.ceil((overlap * (per_side - 1) + side) / per_side) for side in (height, width))
    lefts = [int((crop_width - overlap) * index) for index in range(per_side)]
    tops = [int((crop_height - overlap) * index) for index in range(per_side)]
    return [
        (left, top, min(left + crop_width, width), min(top + crop_height, height)) for left in lefts for top in tops
    ]


def tile_boxes(original_hw: tuple[int, int], tile_size: int) -> list[Box]:
    """Overlapping parts of at most `tile_size` pixels per side that cover an image evenly, row by row."""
    (tops, height), (lefts, width) = (_starts(side, tile_size) for side in original_hw)
    return [(left, top, left + width, top + height) for top in tops for left in lefts]


def _starts(side: int, tile_size: int) -> tuple[list[int], int]:
    """Where tiles begin along a side, and how long they are."""
    if tile_size >= side:
        return [0], side
    count = math.ceil((side - tile_size) / max(1, tile_size * (1 - _OVERLAP))) + 1
    return [round(index * (side - tile_size) / (count - 1)) for index in range(count)], tile_size
