"""Ground-truth masks on the grid of the decoder's logits."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from sam2_adapter.annotations.prompts import BoolArray, FloatArray
from sam2_adapter.models.network.preprocess import Geometry

__all__ = ["inside_on_grid", "mask_on_grid"]


def loss_grid_hw(low_res_hw: tuple[int, int], least: int) -> tuple[int, int]:
    """(h, w) of the grid on which masks are compared: at least `least` a side, and a whole number of times as fine as the logits."""
    height, width = low_res_hw
    times = -(-least // min(height, width))
    return times * height, times * width


def mask_on_grid(mask: BoolArray, geometry: Geometry, grid_hw: tuple[int, int]) -> torch.Tensor:
    """The share of each cell that a mask covers.

    Args:
        mask: bool H x W in the size of the original image.
        geometry: how the image lies in the model's square.
        grid_hw: (h, w) of the grid that is laid over the square; a divisor of the square's side.

    Returns:
        float32 h x w in 0..1; padding is 0.
    """
    covered = np.ascontiguousarray(mask, np.float32)
    if geometry.resize == "stretch":
        return torch.from_numpy(_by_area(covered, grid_hw))
    return torch.from_numpy(_by_area(_in_square(_by_area(covered, geometry.input_hw), geometry.image_size), grid_hw))


def inside_on_grid(geometry: Geometry, grid_hw: tuple[int, int]) -> torch.Tensor:
    """The share of each cell that lies inside the image and not in its padding; float32 h x w in 0..1."""
    if geometry.resize == "stretch":
        return torch.ones(grid_hw)
    return torch.from_numpy(_by_area(_in_square(np.ones(geometry.input_hw, np.float32), geometry.image_size), grid_hw))


def _by_area(values: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    """Resample H x W values: averages over areas where it shrinks, bilinear where it grows."""
    rows = _resized(values, (size_hw[0], values.shape[1]))
    return np.clip(_resized(rows, size_hw), 0, 1)


def _resized(values: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    if values.shape == size_hw:
        return values
    # INTER_AREA averages only where both sides shrink or stay, which is why each side is resampled on its own.
    shrinks = size_hw[0] <= values.shape[0] and size_hw[1] <= values.shape[1]
    return cv2.resize(values, size_hw[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR).astype(
        np.float32, copy=False
    )


def _in_square(values: FloatArray, size: int) -> FloatArray:
    height, width = values.shape
    return np.pad(values, ((0, size - height), (0, size - width)))
