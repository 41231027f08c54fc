"""A picture of discs that the bundled model segments, and what there is in it."""

from __future__ import annotations

import numpy as np


def disc_picture(height: int, width: int, step: int, radius: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Light discs on a dark ground, every `step` pixels: uint8 RGB H x W x 3, and their masks."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    image = np.full((height, width, 3), 40, np.uint8)
    masks = []
    for y in np.arange(step / 2, height, step):
        for x in np.arange(step / 2, width, step):
            mask = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
            image[mask] = (220, 190, 120)
            masks.append(mask)
    return image, masks
