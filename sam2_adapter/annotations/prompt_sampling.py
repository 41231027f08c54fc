"""Prompts from ground-truth masks for training: what a user would point at first. Works for every mask, as the points in `clicks` do."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.clicks import (
    Click,
    centre_point,
    clicks_to_arrays,
    evaluation_click,
    positions_to_points,
    sample_correction_click,
    sample_positive_points,
    tight_box,
)
from sam2_adapter.annotations.masks import distances_to
from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND, BoolArray, FloatArray, Prompt
from sam2_adapter.config_views import PromptMix
from sam2_adapter.errors import ConfigError

__all__ = [
    "BOX_JITTER",
    "Click",
    "PromptKind",
    "centre_point",
    "clicks_to_arrays",
    "draw_kind",
    "evaluation_click",
    "jitter_box",
    "sample_box",
    "sample_correction_click",
    "sample_negative_points",
    "sample_positive_points",
    "sample_prompt",
]

Box = tuple[float, float, float, float]

PromptKind = Literal["box", "tight_box", "click", "centre_click", "clicks", "box_and_clicks"]

# SAM2 moves each side of a box by up to a tenth of the box's size, and at most 20 pixels of the model's input
# (`sample_box_points` in sam2/modeling/sam2_utils.py).
BOX_JITTER = 0.1
MAX_JITTER_PX = 20.0

# Negative points near the object lie in a band of this width around it, in pixels of the model's input (as in micro-sam).
BAND_PX = 10.0


def draw_kind(mix: PromptMix, rng: np.random.Generator) -> PromptKind:
    """Draw a kind of first prompt."""
    kinds: tuple[PromptKind, ...] = get_args(PromptKind)
    weights = np.array([getattr(mix, kind) for kind in kinds], np.float64)
    return kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]


def sample_prompt(
    mask: BoolArray,
    kind: PromptKind,
    rng: np.random.Generator,
    *,
    input_scale: tuple[float, float] = (1.0, 1.0),
    max_points: int = 3,
    ignored: BoolArray | None = None,
) -> Prompt:
    """Draw the first prompt for an object.

    Args:
        mask: bool H x W with at least one pixel.
        kind: what to draw.
        rng: source of randomness.
        input_scale: (x, y) pixels of the model's input per pixel of the mask; keeps jitter and bands the same at every image size.
        max_points: for several points, the largest number inside and the largest number outside.
        ignored: bool H x W, pixels that no point falls on; none of them is in the mask.
    """
    box = None
    if kind in ("box", "tight_box", "box_and_clicks"):
        box = sample_box(mask, rng, jitter=0.0 if kind == "tight_box" else BOX_JITTER, input_scale=input_scale)
    clicks = _sample_clicks(mask, kind, rng, input_scale, max_points, ignored)
    coords, labels = clicks_to_arrays(clicks)
    return Prompt(box_xyxy=box, point_coords=coords, point_labels=labels)


def sample_negative_points(
    mask: BoolArray,
    rng: np.random.Generator,
    count: int = 1,
    *,
    band_px: float = BAND_PX,
    near_share: float = 0.5,
    ignored: BoolArray | None = None,
) -> FloatArray:
    """Draw points outside a mask, some in the band around it and some farther away.

    Args:
        mask: bool H x W.
        rng: source of randomness.
        count: number of points.
        band_px: width of the band in pixels of the mask.
        near_share: probability that a point comes from the band; where one of the two regions is empty, all come from the other.
        ignored: bool H x W, pixels outside that no point falls on.

    Returns:
        float32 N x 2 (x, y); N = `count`, or 0 where no pixel is left outside.
    """
    near, far = _outside_near_and_far(mask, band_px)
    if ignored is not None:
        near, far = (positions[~ignored.reshape(-1)[positions]] for positions in (near, far))
    if not len(near) and not len(far):
        return np.zeros((0, 2), np.float32)
    num_near = int(rng.binomial(count, near_share))
    num_near = count if not len(far) else num_near if len(near) else 0
    chosen = np.concatenate([_choose(near, num_near, rng), _choose(far, count - num_near, rng)])
    return positions_to_points(chosen, mask.shape[1])


def sample_box(
    mask: BoolArray,
    rng: np.random.Generator,
    *,
    jitter: float = BOX_JITTER,
    max_jitter_px: float = MAX_JITTER_PX,
    input_scale: tuple[float, float] = (1.0, 1.0),
) -> Box:
    """The box of a mask, its sides moved at random.

    Args:
        mask: bool H x W with at least one pixel.
        rng: source of randomness; unused without jitter.
        jitter: largest shift of a side, as a share of the box's size along that axis, below 0.5; 0 gives the tight box.
        max_jitter_px: largest shift in pixels of the model's input.
        input_scale: (x, y) pixels of the model's input per pixel of the mask.

    Returns:
        (x0, y0, x1, y1), half-open, within the mask's frame, never empty.
    """
    return jitter_box(
        tight_box(mask), mask.shape, rng, jitter=jitter, max_jitter_px=max_jitter_px, input_scale=input_scale
    )


def jitter_box(
    box_xyxy: Box,
    original_hw: tuple[int, ...],
    rng: np.random.Generator,
    *,
    jitter: float = BOX_JITTER,
    max_jitter_px: float = MAX_JITTER_PX,
    input_scale: tuple[float, float] = (1.0, 1.0),
) -> Box:
    """Move the sides of a box at random within an image of `original_hw` (height, width); other arguments as in `sample_box`."""
    if not 0 <= jitter < 0.5:
        raise ConfigError(f"The jitter of a box is at least 0 and below 0.5 of its size, but got {jitter}.")
    x0, y0, x1, y1 = box_xyxy
    if not jitter:
        return float(x0), float(y0), float(x1), float(y1)
    max_dx = min((x1 - x0) * jitter, max_jitter_px / input_scale[0])
    max_dy = min((y1 - y0) * jitter, max_jitter_px / input_scale[1])
    moved = np.array(box_xyxy) + rng.uniform(-1, 1, 4) * (max_dx, max_dy, max_dx, max_dy)
    height, width = original_hw
    left, top, right, bottom = np.clip(moved, 0, (width, height, width, height)).tolist()
    return left, top, right, bottom


def _sample_clicks(
    mask: BoolArray,
    kind: PromptKind,
    rng: np.random.Generator,
    input_scale: tuple[float, float],
    max_points: int,
    ignored: BoolArray | None,
) -> list[Click]:
    if kind == "centre_click":
        return [Click(*centre_point(mask), FOREGROUND)]
    if kind == "click":
        return [_foreground(point) for point in sample_positive_points(mask, rng, 1)]
    if kind not in ("clicks", "box_and_clicks"):
        return []
    num_inside, num_outside = int(rng.integers(1, max_points + 1)), int(rng.integers(0, max_points + 1))
    band_px = BAND_PX / min(input_scale)
    inside = [_foreground(point) for point in sample_positive_points(mask, rng, num_inside)]
    outside = sample_negative_points(mask, rng, num_outside, band_px=band_px, ignored=ignored)
    return inside + [Click(float(x), float(y), BACKGROUND) for x, y in outside]


def _foreground(point: FloatArray) -> Click:
    return Click(float(point[0]), float(point[1]), FOREGROUND)


def _choose(candidates: npt.NDArray[np.int64], count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    if not count:
        return np.zeros(0, np.int64)
    chosen: npt.NDArray[np.int64] = rng.choice(candidates, count, replace=count > len(candidates))
    return chosen


def _outside_near_and_far(mask: BoolArray, band_px: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Flat positions of the pixels outside a mask, at most and more than `band_px` away from it."""
    if mask.all():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    distance = distances_to(mask).reshape(-1)
    return np.flatnonzero((distance > 0) & (distance <= max(band_px, 1.0))), np.flatnonzero(
        distance > max(band_px, 1.0)
    )
