"""Pictures of crowds as microscopes show them: small blobs of very different brightness that touch, seen from near and out of focus."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from batches import enlarged_window
from scenes import SCENE_SIZE, Canvas, Place, apart, disturb, log_uniform, rasterise, surface
from shapes import random_blob

Rng = np.random.Generator
Image = npt.NDArray[np.uint8]

# Blobs: extent (radius) before the window is enlarged, as a share of the side, and how near two centres may lie (in summed radii).
_EXTENT, _SPREAD, _SPACING = (0.016, 0.06), (0.6, 1.5), (0.65, 1.1)
_MOST = 160
# The window that is enlarged to the whole side, as a share of it.
_WINDOW = (0.25, 1.0)
_SMALLEST_AREA_PX = 25


def crowd_of_cells(rng: Rng) -> tuple[Image, Image]:
    """A picture SCENE_SIZE square and its label map (at most 255 blobs)."""
    is_dark = rng.random() < 0.6
    ground = rng.uniform(0, 0.2) if is_dark else rng.uniform(0.55, 1)
    hue = np.ones(3) if rng.random() < 0.5 else np.clip(1 + rng.normal(0, 0.25, 3), 0.2, 1.4)
    canvas = Canvas(np.clip(surface((SCENE_SIZE, SCENE_SIZE), ground * hue, rng, rng.uniform(0, 0.08)), 0, 1))
    typical, spacing = log_uniform(rng, _EXTENT) * SCENE_SIZE, rng.uniform(*_SPACING)
    contrast, variation = log_uniform(rng, (0.08, 0.7)), rng.uniform(0.05, 0.6)
    roughness, texture, softness = rng.uniform(0, 0.3), rng.uniform(0, 0.12), rng.uniform(0, 1.5)
    tint = np.ones(3) if rng.random() < 0.6 else np.clip(1 + rng.normal(0, 0.4, 3), 0.1, 1.5)
    for centre, extent in _places(rng, typical, spacing):
        alpha, corner = rasterise(random_blob(rng, roughness), extent, centre, (0.5, 1.0), rng)
        if alpha is None:
            continue
        if softness > 0.3:
            alpha = cv2.GaussianBlur(alpha, (0, 0), softness)
        step = max(0.04, contrast * np.exp(rng.normal(0, variation)))
        colour = np.clip(ground * hue + (step if is_dark else -step) * tint, 0, 1)
        canvas.paint(alpha, surface(alpha.shape, colour, rng, strength=texture), corner)
    image = canvas.image
    if rng.random() < 0.3:
        # light from things out of focus
        image = image + rng.uniform(0.1, 0.5) * (cv2.GaussianBlur(image, (0, 0), rng.uniform(3, 12)) - image)
    # A person, or a window of prediction, looks at small things so.
    image, label_map = enlarged_window(disturb(image, rng), canvas.visible_labels(_SMALLEST_AREA_PX), rng, _WINDOW)
    turns = rng.integers(4)
    return np.ascontiguousarray(np.rot90(image, turns)), np.ascontiguousarray(np.rot90(label_map, turns))


def _places(rng: Rng, typical: float, spacing: float) -> list[Place]:
    """Centres (x, y) px and extents px; clusters in half of the pictures."""
    wanted = int(rng.integers(6, _MOST))
    middles = rng.uniform(0, SCENE_SIZE, (int(rng.integers(2, 9)), 2)) if rng.random() < 0.5 else None

    def draw() -> Place:
        centre = rng.uniform(0, SCENE_SIZE, 2)
        if middles is not None and rng.random() < 0.8:
            centre = middles[rng.integers(len(middles))] + rng.normal(0, 2.5 * typical, 2)
        return centre, typical * rng.uniform(*_SPREAD)

    return apart(wanted, 3 * wanted, spacing, draw)
