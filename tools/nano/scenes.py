"""Generated scenes for training and measuring the bundled nano model.

A scene is an RGB image and a label map of what is visible of each object. Two kinds: *everyday* scenes of overlapping, textured, shaded objects
of many shapes, and *crowds* of similar roundish blobs. Scene `index` of stream `seed` is always the same. The ranges below are the definition of
the task that the model is measured on; docs/nano.md publishes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from shapes import Shape, random_blob, random_shape

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator
# Centre (x, y) and extent of a blob, in pixels.
Place = tuple[npt.NDArray[np.float64], float]

# Side of a scene in pixels.
SCENE_SIZE = 256

# Streams: training, choosing between checkpoints, reporting.
TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 3

# Share of crowd scenes; the rest are everyday scenes.
CROWD_SHARE = 0.3

# Everyday scenes: number of objects drawn, and their radius-like extent as a share of the side (log-uniform).
EVERYDAY_OBJECTS = (1, 10)
EVERYDAY_EXTENT = (0.06, 0.40)

# Crowd scenes: number of blobs, extent of the typical blob (log-uniform), spread around it, and how near two centres may lie (in summed radii).
CROWD_OBJECTS = (8, 60)
CROWD_EXTENT = (0.035, 0.10)
CROWD_SPREAD = (0.75, 1.3)
CROWD_SPACING = (0.75, 1.1)

# Width of an object after squeezing it along one axis, as a share of its length.
EVERYDAY_SQUEEZE = (0.55, 1.0)
CROWD_SQUEEZE = (0.6, 1.0)

# Shares of images with each disturbance, and its largest strength.
SHADOW_SHARE = 0.4
GREY_SHARE = 0.2
BLUR_SHARE, BLUR_SIGMA_PX = 0.4, (0.4, 1.8)
NOISE_SHARE, NOISE_STD = 0.5, (0.01, 0.08)
LOW_CONTRAST_SHARE, LOW_CONTRAST = 0.3, (0.3, 0.8)
# Smallest colour difference (Euclidean, RGB in 0..1) between an object and what lies behind its centre.
SMALLEST_DIFFERENCE = 0.12

# An object counts (can be prompted, is measured) when this much of it is visible; what is less stays in the image as clutter.
VISIBLE_AREA_PX = 150
VISIBLE_SHARE = 0.25


@dataclass(frozen=True)
class Scene:
    """One generated scene.

    Attributes:
        image: uint8 RGB H x W x 3 in 0..255.
        label_map: uint8 H x W; 0 background and clutter, 1..N visible pixels of object n.
    """

    image: npt.NDArray[np.uint8]
    label_map: npt.NDArray[np.uint8]


def render_scene(seed: int, index: int) -> Scene:
    """Render scene `index` of stream `seed`, SCENE_SIZE pixels square."""
    rng = np.random.default_rng([seed, index])
    canvas = Canvas(background(rng))
    if rng.random() < CROWD_SHARE:
        _draw_crowd(canvas, rng)
    else:
        _draw_everyday(canvas, rng)
    return Scene(disturb(canvas.image, rng), canvas.visible_labels())


class Canvas:
    """An image in the making: float RGB in 0..1 with the label map and drawn area of each object."""

    def __init__(self, image: Floats, label_map: npt.NDArray[np.uint8] | None = None) -> None:
        """Start with an image SCENE_SIZE pixels square and, where there are some, the objects in it."""
        self.image = image
        self.label_map = np.zeros((SCENE_SIZE, SCENE_SIZE), np.uint8) if label_map is None else label_map.copy()
        self.drawn_areas: list[int] = np.bincount(self.label_map.ravel())[1:].tolist()

    def paint(self, alpha: Floats, colours: Floats, corner: tuple[int, int]) -> None:
        """Lay `colours` h x w x 3 over the image through `alpha` h x w in 0..1; `corner` (x, y) px is the top left."""
        x, y = corner
        window = np.s_[y : y + alpha.shape[0], x : x + alpha.shape[1]]
        self.image[window] += alpha[..., None] * (colours - self.image[window])
        inside = alpha >= 0.5
        self.drawn_areas.append(int(inside.sum()))
        self.label_map[window][inside] = len(self.drawn_areas)

    def visible_labels(self, smallest_px: int = VISIBLE_AREA_PX) -> npt.NDArray[np.uint8]:
        """The label map of the objects that count, renumbered from 1."""
        areas = np.bincount(self.label_map.ravel(), minlength=len(self.drawn_areas) + 1)[1:]
        counts = (areas >= smallest_px) & (areas >= VISIBLE_SHARE * np.asarray(self.drawn_areas))
        numbers = np.concatenate([[0], np.where(counts, np.cumsum(counts), 0)]).astype(np.uint8)
        return numbers[self.label_map]


def _draw_everyday(canvas: Canvas, rng: Rng) -> None:
    palette = rng.random((3, 3)).astype(np.float32) if rng.random() < 0.3 else None
    shadows = rng.random() < SHADOW_SHARE
    for _ in range(rng.integers(EVERYDAY_OBJECTS[0], EVERYDAY_OBJECTS[1] + 1)):
        extent_px = log_uniform(rng, EVERYDAY_EXTENT) * SCENE_SIZE
        centre = rng.uniform(0.05, 0.95, 2) * SCENE_SIZE
        alpha, corner = rasterise(random_shape(rng), extent_px, centre, EVERYDAY_SQUEEZE, rng)
        if alpha is None:
            continue
        if shadows:
            cast_shadow(canvas, alpha, corner, rng)
        colour = rng.random(3) if palette is None else palette[rng.integers(3)] + rng.normal(0, 0.06, 3)
        colour = away_from(colour, _colour_at(canvas.image, centre), rng)
        canvas.paint(alpha, surface(alpha.shape, colour, rng), corner)


def _draw_crowd(canvas: Canvas, rng: Rng) -> None:
    typical_px = log_uniform(rng, CROWD_EXTENT) * SCENE_SIZE
    spacing = rng.uniform(*CROWD_SPACING)
    base = canvas.image.mean((0, 1))
    colour = away_from(rng.random(3) if rng.random() < 0.5 else np.full(3, rng.random()), base, rng)
    roughness, variation = rng.uniform(0, 0.25), rng.uniform(0.01, 0.12)
    texture, softness = rng.uniform(0, 0.15), rng.uniform(0, 1.2)
    for centre, extent_px in _crowd_places(rng, typical_px, spacing):
        alpha, corner = rasterise(random_blob(rng, roughness), extent_px, centre, CROWD_SQUEEZE, rng)
        if alpha is None:
            continue
        if softness > 0.3:
            alpha = cv2.GaussianBlur(alpha, (0, 0), softness)
        own = colour + rng.normal(0, variation) + rng.normal(0, variation / 3, 3)
        canvas.paint(alpha, surface(alpha.shape, own, rng, strength=texture), corner)


def _crowd_places(rng: Rng, typical_px: float, spacing: float) -> list[Place]:
    """Centres (x, y) px and extents px of blobs that keep their distance."""
    wanted = int(rng.integers(CROWD_OBJECTS[0], CROWD_OBJECTS[1] + 1))
    return apart(
        wanted, 4 * wanted, spacing, lambda: (rng.uniform(0, SCENE_SIZE, 2), typical_px * rng.uniform(*CROWD_SPREAD))
    )


def apart(wanted: int, tries: int, spacing: float, draw: Callable[[], Place]) -> list[Place]:
    """Up to `wanted` of the drawn places, none nearer to another one than `spacing` times their summed extents."""
    places: list[Place] = []
    for _ in range(tries):
        centre, extent = draw()
        if all(np.hypot(*(centre - other)) >= spacing * (extent + radius) for other, radius in places):
            places.append((centre, extent))
        if len(places) == wanted:
            break
    return places


def rasterise(
    shape: Shape, extent_px: float, centre: npt.NDArray[np.float64], squeeze: tuple[float, float], rng: Rng
) -> tuple[Floats | None, tuple[int, int]]:
    """Turn, scale and draw a unit shape: alpha h x w in 0..1 and its corner (x, y) px, or None when outside the scene."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    contours = [np.asarray(c) * (1, rng.uniform(*squeeze)) @ turn.T * extent_px + centre for c in shape]
    points = np.concatenate(contours)
    low = np.maximum(np.floor(points.min(0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + 3, SCENE_SIZE)
    if (high - low < 4).any():
        return None, (0, 0)
    alpha = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    # cv2 places a pixel's centre at whole numbers, scenes place it at +0.5; 4 bits of sub-pixel precision.
    fixed = [np.round((c - low - 0.5) * 16).astype(np.int32) for c in contours]
    cv2.fillPoly(alpha, fixed, 255, lineType=cv2.LINE_AA, shift=4)
    return alpha.astype(np.float32) / 255, (int(low[0]), int(low[1]))


def cast_shadow(canvas: Canvas, alpha: Floats, corner: tuple[int, int], rng: Rng) -> None:
    """Darken what lies beside and behind a thing that is about to be painted."""
    offset = rng.uniform(-6, 6, 2)
    layer = np.zeros((SCENE_SIZE, SCENE_SIZE), np.float32)
    layer[corner[1] : corner[1] + alpha.shape[0], corner[0] : corner[0] + alpha.shape[1]] = alpha
    layer = cv2.warpAffine(layer, np.float32([[1, 0, offset[0]], [0, 1, offset[1]]]), (SCENE_SIZE, SCENE_SIZE))
    canvas.image *= 1 - rng.uniform(0.2, 0.6) * cv2.GaussianBlur(layer, (0, 0), rng.uniform(1, 5))[..., None]


def background(rng: Rng) -> Floats:
    """A plain, graded or textured background, float32 RGB in 0..1."""
    kind = rng.random()
    colour = rng.random(3) if kind < 0.7 else np.full(3, rng.choice([rng.uniform(0, 0.15), rng.uniform(0.75, 1)]))
    strength = rng.uniform(0, 0.25) if kind < 0.7 else rng.uniform(0, 0.06)
    return np.clip(surface((SCENE_SIZE, SCENE_SIZE), colour, rng, strength), 0, 1)


def surface(shape: tuple[int, ...], colour: npt.ArrayLike, rng: Rng, strength: float | None = None) -> Floats:
    """Colour h x w x 3 with shading and a texture of up to `strength`."""
    height, width = shape[:2]
    strength = rng.uniform(0, 0.25) if strength is None else strength
    light = _shading(height, width, rng) * strength + _texture(height, width, rng) * strength
    tint = np.asarray(colour, np.float32) + light[..., None] * rng.uniform(0.7, 1.3, 3).astype(np.float32)
    return np.clip(tint, 0, 1).astype(np.float32)


def _shading(height: int, width: int, rng: Rng) -> Floats:
    """A linear or round gradient in about -1..1."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    angle = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        return (np.cos(angle) * x + np.sin(angle) * y).astype(np.float32)
    dx, dy = rng.uniform(-0.6, 0.6, 2)
    return (1 - (x - dx) ** 2 - (y - dy) ** 2).astype(np.float32)


def _texture(height: int, width: int, rng: Rng) -> Floats:
    """Noise of one grain size, stripes, checks, or nothing, in about -1..1."""
    kind = rng.random()
    if kind < 0.35:
        return np.zeros((height, width), np.float32)
    if kind < 0.75:
        cell = rng.uniform(1, 24)
        small = rng.uniform(-1, 1, (int(height / cell) + 2, int(width / cell) + 2)).astype(np.float32)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    angle, period = rng.uniform(0, 2 * np.pi), rng.uniform(4, 24)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    waves = np.sin(2 * np.pi * along / period)
    if kind > 0.9:
        waves = np.sign(waves * np.sin(2 * np.pi * across / period)) * 0.7
    return waves.astype(np.float32)


def disturb(image: Floats, rng: Rng) -> npt.NDArray[np.uint8]:
    """Grey, contrast, blur and noise as a camera or microscope adds them; uint8 RGB."""
    if rng.random() < GREY_SHARE:
        image = np.repeat(image.mean(2, keepdims=True), 3, axis=2)
    if rng.random() < LOW_CONTRAST_SHARE:
        mean = image.mean((0, 1))
        image = mean + (image - mean) * np.float32(rng.uniform(*LOW_CONTRAST))
    if rng.random() < BLUR_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(*BLUR_SIGMA_PX))
    if rng.random() < NOISE_SHARE:
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(*NOISE_STD))
    return np.asarray(np.clip(np.round(image * 255), 0, 255).astype(np.uint8))


def away_from(colour: npt.ArrayLike, behind: npt.ArrayLike, rng: Rng) -> npt.NDArray[np.float64]:
    """The colour, or another one when it can hardly be told from what lies behind."""
    chosen, other = np.asarray(colour, np.float64), np.asarray(behind, np.float64)
    while np.linalg.norm(chosen - other) < SMALLEST_DIFFERENCE:
        chosen = np.clip(chosen + rng.normal(0, 0.15, 3), 0, 1)
    return chosen


def _colour_at(image: Floats, centre: npt.NDArray[np.float64]) -> Floats:
    x, y = np.clip(centre.astype(int), 0, SCENE_SIZE - 1)
    return image[y, x]


def log_uniform(rng: Rng, limits: tuple[float, float]) -> float:
    """A number between two limits, every doubling equally likely."""
    return float(np.exp(rng.uniform(*np.log(limits))))
