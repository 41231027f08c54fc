"""Outlines of the generated objects: unit shapes that fit a circle of radius 1 around (0, 0)."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Rng = np.random.Generator

# Closed contours, each N x 2 (x, y); filled by the even-odd rule, so that a contour inside another one is a hole.
Shape = list[npt.NDArray[np.float64]]

# Grid on which strokes and composites are drawn before their outlines are traced.
_GRID = 192


def random_shape(rng: Rng) -> Shape:
    """Draw one of the shape families at random."""
    families: list[Callable[[Rng], Shape]] = [
        _ellipse,
        _rectangle,
        _polygon,
        _star,
        _crescent,
        _ring,
        _bars,
        _stroke,
        _composite,
        lambda rng: random_blob(rng, rng.uniform(0.05, 0.35)),
    ]
    return families[rng.integers(len(families))](rng)


def large_shape(rng: Rng) -> Shape:
    """A compact shape: an ellipse, a smooth blob, a rectangle or a polygon."""
    kind = rng.random()
    if kind < 0.4:
        return _ellipse(rng)
    if kind < 0.7:
        return random_blob(rng, rng.uniform(0.03, 0.2))
    return _rectangle(rng) if kind < 0.85 else _polygon(rng)


def random_blob(rng: Rng, roughness: float) -> Shape:
    """A smooth blob: a circle with a few waves of relative amplitude `roughness`."""
    angles = _angles(48)
    waves = [rng.normal() / k * np.cos(k * angles + rng.uniform(0, 2 * np.pi)) for k in range(2, 6)]
    radius = np.clip(1 + roughness * np.sum(waves, axis=0), 0.3, None)
    return [_polar(angles, radius / radius.max())]


def _ellipse(rng: Rng) -> Shape:
    return [_polar(_angles(40), np.ones(40)) * (1, rng.uniform(0.4, 1))]


def _rectangle(rng: Rng) -> Shape:
    return [_box(-0.8, -0.8 * rng.uniform(0.3, 1), 0.8)]


def _polygon(rng: Rng) -> Shape:
    corners = rng.integers(3, 8)
    angles = _angles(corners) + rng.uniform(-0.3, 0.3, corners) * 2 * np.pi / corners
    return [_polar(angles, rng.uniform(0.6, 1, corners))]


def _star(rng: Rng) -> Shape:
    tips = rng.integers(4, 8)
    return [_polar(_angles(2 * tips), np.tile([1, rng.uniform(0.35, 0.65)], tips))]


def _crescent(rng: Rng) -> Shape:
    """What a second circle through the two tips leaves of a circle."""
    tip = rng.uniform(0.4, 0.9)
    centre = rng.uniform(0.15, 0.6)
    outer = _polar(np.linspace(tip, 2 * np.pi - tip, 32), np.ones(32))
    inner_tip = np.arctan2(np.sin(tip), np.cos(tip) - centre)
    radius = np.hypot(np.sin(tip), np.cos(tip) - centre)
    inner = _polar(np.linspace(2 * np.pi - inner_tip, inner_tip, 32), np.full(32, radius))
    inner[:, 0] += centre
    return [np.concatenate([outer, inner])]


def _ring(rng: Rng) -> Shape:
    hole = rng.uniform(0.35, 0.7)
    outer = _polar(_angles(40), np.ones(40))
    return [outer, outer * hole + rng.uniform(-0.15, 0.15, 2) * (1 - hole)]


def _bars(rng: Rng) -> Shape:
    """An L, T, U or cross of two or three bars."""
    t = rng.uniform(0.2, 0.4)
    r = 0.8
    kind = rng.integers(4)
    if kind == 0:
        points = [(-r, -r), (-r + 2 * t, -r), (-r + 2 * t, r - 2 * t), (r, r - 2 * t), (r, r), (-r, r)]
    elif kind == 1:
        points = [
            (-r, -r),
            (r, -r),
            (r, -r + 2 * t),
            (t, -r + 2 * t),
            (t, r),
            (-t, r),
            (-t, -r + 2 * t),
            (-r, -r + 2 * t),
        ]
    elif kind == 2:
        u = t * 0.9
        points = [(-r, -r), (-r + u, -r), (-r + u, r - u), (r - u, r - u), (r - u, -r), (r, -r), (r, r), (-r, r)]
    else:
        points = [
            (-t, -r),
            (t, -r),
            (t, -t),
            (r, -t),
            (r, t),
            (t, t),
            (t, r),
            (-t, r),
            (-t, t),
            (-r, t),
            (-r, -t),
            (-t, -t),
        ]
    return [np.array(points)]


def _stroke(rng: Rng) -> Shape:
    """A thick curved line."""
    time = np.linspace(-1, 1, 16)
    bend, wave = rng.uniform(-0.5, 0.5), rng.uniform(-0.3, 0.3)
    line = np.stack([time * 0.8, bend * (time**2 - 0.5) + wave * np.sin(np.pi * time)], axis=1)
    grid = np.zeros((_GRID, _GRID), np.uint8)
    cv2.polylines(grid, [_to_grid(line)], False, 255, thickness=int(_GRID * rng.uniform(0.08, 0.2)))
    return _trace(grid)


def _composite(rng: Rng) -> Shape:
    """Two simple shapes that overlap and make one object."""
    grid = np.zeros((_GRID, _GRID), np.uint8)
    angle = rng.uniform(0, 2 * np.pi)
    for side in (-1, 1):
        part = (_ellipse, _rectangle, _polygon)[rng.integers(3)](rng)[0]
        offset = 0.4 * side * np.array([np.cos(angle), np.sin(angle)])
        cv2.fillPoly(grid, [_to_grid(part * rng.uniform(0.35, 0.6) + offset)], 255)
    return _trace(grid)


def _trace(grid: npt.NDArray[np.uint8]) -> Shape:
    contours, _ = cv2.findContours(grid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [(c[:, 0].astype(np.float64) + 0.5) / _GRID * 2.2 - 1.1 for c in contours if len(c) > 2]


def _to_grid(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.round((points + 1.1) / 2.2 * _GRID - 0.5).astype(np.int32)


def _angles(count: int) -> npt.NDArray[np.float64]:
    return np.arange(count) * (2 * np.pi / count)


def _polar(angles: npt.NDArray[np.float64], radius: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.stack([np.cos(angles) * radius, np.sin(angles) * radius], axis=1)


def _box(low_x: float, low_y: float, high_x: float) -> npt.NDArray[np.float64]:
    return np.array([(low_x, low_y), (high_x, low_y), (high_x, -low_y), (low_x, -low_y)])
