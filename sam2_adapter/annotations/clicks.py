"""Points of a mask, drawn at random for training or chosen for evaluation.

All functions work for every mask with at least one pixel: single pixels, lines and full frames. Points are centres of pixels in the frame
of the mask, (x, y), so that the point of pixel (row i, column j) is (j + 0.5, i + 0.5). Randomness comes from the generator alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.masks import distances_to, mask_to_box_xyxy
from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND, BoolArray, FloatArray

# SAM2 draws a tenth of its correction clicks from the object instead of the error region
# (`prob_to_sample_from_gt_for_train` in training/model/sam2.py).
FROM_GT = 0.1


class Click(NamedTuple):
    """One point and its label.

    Attributes:
        x: pixels, to the right.
        y: pixels, downwards.
        label: 1 foreground, 0 background.
    """

    x: float
    y: float
    label: int


def sample_positive_points(mask: BoolArray, rng: np.random.Generator, count: int = 1) -> FloatArray:
    """Draw points uniformly inside a mask, each pixel at most once while there are enough.

    Args:
        mask: bool H x W with at least one pixel.
        rng: source of randomness.
        count: number of points.

    Returns:
        float32 N x 2 (x, y), N = `count`.
    """
    x0, y0, x1, y1 = tight_box(mask)
    inside = np.flatnonzero(mask[y0:y1, x0:x1])
    chosen = rng.choice(inside, count, replace=count > len(inside))
    return positions_to_points(chosen, x1 - x0) + np.array([x0, y0], np.float32)


def centre_point(mask: BoolArray) -> tuple[float, float]:
    """The (x, y) centre of the pixel farthest from the mask's border and the image's border; the first one row by row where several tie."""
    x, y, _ = _centre(mask)
    return x, y


def sample_correction_click(
    gt_mask: BoolArray,
    predicted_mask: BoolArray,
    rng: np.random.Generator,
    *,
    from_gt: float = FROM_GT,
    ignored: BoolArray | None = None,
) -> Click:
    """Draw the next click of training, uniformly from the pixels that the prediction has wrong.

    As in SAM2 (`sample_random_points_from_errors` in sam2/modeling/sam2_utils.py): a missed pixel gives a foreground click, a pixel too many
    a background click; some clicks are drawn from the object instead, and where nothing is wrong a background click is drawn.

    Args:
        gt_mask: bool H x W with at least one pixel.
        predicted_mask: bool H x W.
        rng: source of randomness.
        from_gt: probability of a foreground click anywhere in the object.
        ignored: bool H x W, pixels that get no click as long as there are others.
    """
    region = gt_mask if rng.random() < from_gt else gt_mask ^ predicted_mask
    if ignored is not None:
        region = _first_with_pixels(region & ~ignored, ~(gt_mask | ignored), gt_mask & ~ignored, gt_mask)
    elif not region.any():
        region = gt_mask if gt_mask.all() else ~gt_mask
    x, y = sample_positive_points(region, rng, 1)[0].tolist()
    return Click(x, y, FOREGROUND if gt_mask[int(y), int(x)] else BACKGROUND)


def evaluation_click(
    gt_mask: BoolArray, predicted_mask: BoolArray | None = None, clicked: FloatArray | None = None
) -> Click | None:
    """Choose the next click of the standard evaluation of interactive segmentation; no randomness.

    The click goes to the pixel farthest from the border of the missed region or of the region too many, whichever reaches deeper; where
    both are as deep it goes to the region too many, and of several pixels to the first one row by row. Pixels beyond the image count as
    right, and a pixel is not clicked twice (f-BRS, https://arxiv.org/abs/2001.10331, and RITM's `Clicker`).

    Args:
        gt_mask: bool H x W with at least one pixel.
        predicted_mask: bool H x W; `None` before the first click, which then goes to the middle of the object.
        clicked: float32 N x 2 (x, y), earlier clicks.

    Returns:
        The click; `None` when no wrong pixel is left to click.
    """
    missed = gt_mask if predicted_mask is None else gt_mask & ~predicted_mask
    too_many = None if predicted_mask is None else predicted_mask & ~gt_mask
    x, y, depth = _centre(missed, clicked)
    other_x, other_y, other_depth = (0.0, 0.0, 0.0) if too_many is None else _centre(too_many, clicked)
    if not depth and not other_depth:
        return None
    return Click(x, y, FOREGROUND) if depth > other_depth else Click(other_x, other_y, BACKGROUND)


def clicks_to_arrays(clicks: list[Click]) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Point coordinates float32 N x 2 and labels int64 N of clicks."""
    coords = np.array([(click.x, click.y) for click in clicks], np.float32).reshape(-1, 2)
    return coords, np.array([click.label for click in clicks], np.int64)


def tight_box(mask: BoolArray) -> tuple[int, int, int, int]:
    """The tight half-open box (x0, y0, x1, y1) of a mask with at least one pixel."""
    box = mask_to_box_xyxy(mask)
    if box is None:
        raise ValueError("A prompt can only be drawn from a mask with at least one pixel, but this one is empty.")
    return box


def positions_to_points(flat: npt.NDArray[np.int64], width: int) -> FloatArray:
    """Centres, float32 N x 2 (x, y), of pixels at flat positions of a frame of `width` pixels."""
    rows, columns = np.divmod(flat, width)
    return np.stack([columns + 0.5, rows + 0.5], axis=1).astype(np.float32)


def _first_with_pixels(*regions: BoolArray) -> BoolArray:
    return next(region for region in regions if region.any())


def _centre(mask: BoolArray, clicked: FloatArray | None = None) -> tuple[float, float, float]:
    """The (x, y) farthest from the border of a mask and its depth in pixels; depth 0 when there is nothing to click."""
    box = mask_to_box_xyxy(mask)
    if box is None:
        return 0.0, 0.0, 0.0
    x0, y0, x1, y1 = box
    depth = distances_to(~np.pad(mask[y0:y1, x0:x1], 1))[1:-1, 1:-1]
    for x, y in [] if clicked is None else np.floor(clicked).astype(int).tolist():
        if x0 <= x < x1 and y0 <= y < y1:
            depth[y - y0, x - x0] = 0
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return x0 + float(column) + 0.5, y0 + float(row) + 0.5, float(depth[row, column])
