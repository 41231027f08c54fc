"""Masks to test with: random pixels, generated objects and, where they are present, real ones."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from sam2_adapter.annotations.prompts import BoolArray

# How many times more examples `make soak` tries.
MORE_EXAMPLES = int(os.environ.get("SAM2_ADAPTER_MORE_EXAMPLES", "1"))

# The same examples in every run, in memory only; tests/conftest.py makes it the profile of tests without settings of their own.
repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=50 * MORE_EXAMPLES)
QUICK = settings(repeatable, max_examples=30 * MORE_EXAMPLES)
FEW = settings(repeatable, max_examples=12 * MORE_EXAMPLES)

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@st.composite
def pixel_masks(draw: st.DrawFn, largest: int = 12) -> BoolArray:
    """Any pattern of pixels: specks, touching corners, nested holes, empty and full masks."""
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    seed, share = draw(st.integers(0, 2**32 - 1)), draw(st.floats(0, 1))
    return np.random.default_rng(seed).random((height, width)) < share


@st.composite
def object_masks(draw: st.DrawFn, *, may_have_holes: bool = True) -> BoolArray:
    """Objects as a model finds them: one to three blobs of wavy outline, anywhere, also cut by the image border, some with holes."""
    height, width = draw(st.integers(60, 160)), draw(st.integers(60, 160))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = np.zeros((height, width), np.bool_)
    for _ in range(draw(st.integers(1, 3))):
        center = rng.uniform(0, (height, width))
        blob = _blob((height, width), center, rng.uniform(14, 45), rng)
        if may_have_holes and draw(st.booleans()):
            blob &= ~_blob((height, width), center, rng.uniform(2, 9), rng)
        mask |= blob
    return mask


def ellipse(shape: tuple[int, int], center: tuple[float, float], radii: tuple[float, float]) -> BoolArray:
    """An ellipse; (row, column) pixels throughout."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return ((y - center[0]) / radii[0]) ** 2 + ((x - center[1]) / radii[1]) ** 2 <= 1


def iou(first: BoolArray, second: BoolArray) -> float:
    """Intersection over union, computed here so that the package does not judge itself."""
    return float((first & second).sum() / (first | second).sum())


def real_masks(data_set: str, count: int, least_area: int = 0) -> list[BoolArray]:
    """Masks of real objects; skips the test where the data are not there."""
    return list(_real_masks(data_set, count, least_area))


@cache
def _real_masks(data_set: str, count: int, least_area: int) -> list[BoolArray]:
    paths = sorted((SHARED_DATA / data_set / "masks").glob("*.png"))
    if not paths:
        pytest.skip(f"no real masks in {SHARED_DATA / data_set}")
    masks = []
    for path in paths:
        label_map = np.array(Image.open(path))
        masks += [
            label_map == number for number in np.unique(label_map)[1:] if (label_map == number).sum() > least_area
        ]
        if len(masks) >= count:
            break
    return masks[:count]


def _blob(shape: tuple[int, int], center: np.ndarray, radius: float, rng: np.random.Generator) -> BoolArray:
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    dy, dx = y - center[0], (x - center[1]) * rng.uniform(0.6, 1.6)
    angle = np.arctan2(dy, dx)
    waves = sum(rng.uniform(0, 0.16) * np.cos(k * angle + rng.uniform(0, 7)) for k in (2, 3, 5))
    return np.hypot(dx, dy) <= radius * (1 + waves)
