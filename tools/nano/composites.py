"""Training pictures from photographs: windows of them, and objects and shapes of photographic content pasted on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from photographs import Photograph
from scenes import (
    EVERYDAY_SQUEEZE,
    SCENE_SIZE,
    Canvas,
    away_from,
    background,
    cast_shadow,
    disturb,
    log_uniform,
    rasterise,
    surface,
)
from scipy.ndimage import find_objects
from shapes import large_shape, random_shape

Rng = np.random.Generator
Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

# Objects in photographs count from this visible area on, in pixels of a scene.
SMALLEST_AREA_PX = 30

# Objects are cut out when they have this many pixels in the photograph, and touch no more of its sides.
_CUTOUT_AREA_PX, _CUTOUT_SIDES = 500, 1

# How many things are pasted on a picture, how large (longer side as a share of the scene's), and how many of them are generated shapes.
_PASTED = (1, 4)
_CUTOUT_EXTENT, _SHAPE_EXTENT = (0.12, 0.75), (0.06, 0.35)
_SHAPE_SHARE = 0.35
_SHADOW_SHARE = 0.25

# How large a thing is that fills much of a picture (radius as a share of the scene's side), and how it is squeezed.
_LARGE_EXTENT, _LARGE_SQUEEZE = (0.3, 0.55), (0.7, 1.0)


@dataclass(frozen=True)
class Cutout:
    """An object cut from a photograph.

    Attributes:
        image: uint8 RGB h x w x 3.
        mask: uint8 h x w, 255 inside.
    """

    image: Image
    mask: Image


def cut_objects(photographs: list[Photograph]) -> list[Cutout]:
    """The objects that are large and whole enough to stand elsewhere."""
    found = []
    for photo in photographs:
        for number, place in enumerate(find_objects(photo.label_map), start=1):
            mask = None if place is None else photo.label_map[place] == number
            if place is None or mask is None or mask.sum() < _CUTOUT_AREA_PX:
                continue
            if _sides_touched(place, photo.label_map.shape) <= _CUTOUT_SIDES:
                found.append(Cutout(photo.image[place], mask.astype(np.uint8) * 255))
    return found


def window_of(photo: Photograph, rng: Rng, whole_share: float = 0.33) -> tuple[Image, Image]:
    """A window of a photograph stretched to a scene's square, and its label map; `whole_share` are the whole photograph."""
    image, label_map = photo.image, photo.label_map
    if rng.random() < 1 - whole_share:
        rows, columns = _window(label_map, rng)
        image, label_map = image[rows, columns], label_map[rows, columns]
    size = (SCENE_SIZE, SCENE_SIZE)
    square = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    labels = np.asarray(cv2.resize(label_map, size, interpolation=cv2.INTER_NEAREST))
    if rng.random() < 0.35:
        square, labels = _turned(square, labels, rng)
    if rng.random() < 0.5:
        square, labels = square[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(square), np.ascontiguousarray(labels)


def paste_on(
    image: Image, label_map: Image, cutouts: list[Cutout], photographs: list[Photograph], rng: Rng
) -> tuple[Image, Image]:
    """Paste objects and shapes filled with photographs; the picture and the label map of what is visible."""
    canvas = Canvas(image.astype(np.float32) / 255, label_map)
    for _ in range(rng.integers(_PASTED[0], _PASTED[1] + 1)):
        if rng.random() < _SHAPE_SHARE:
            alpha, colours, corner = _filled_shape(photographs, rng)
        else:
            alpha, colours, corner = _placed_cutout(cutouts[rng.integers(len(cutouts))], rng)
        if alpha is None:
            continue
        if rng.random() < _SHADOW_SHARE:
            cast_shadow(canvas, alpha, corner, rng)
        canvas.paint(alpha, colours, corner)
    pasted = np.clip(np.round(canvas.image * 255), 0, 255).astype(np.uint8)
    return pasted, canvas.visible_labels(SMALLEST_AREA_PX)


def large_thing(photographs: list[Photograph], rng: Rng) -> tuple[Image, Image]:
    """One thing that fills much of a picture, on a plain ground or on a photograph out of focus; the picture and its label map."""
    if rng.random() < 0.6:
        ground = background(rng)
    else:
        image, _ = window_of(photographs[rng.integers(len(photographs))], rng)
        ground = cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), rng.uniform(2, 8))
    canvas = Canvas(ground.astype(np.float32))
    centre, extent_px = rng.uniform(0.4, 0.6, 2) * SCENE_SIZE, rng.uniform(*_LARGE_EXTENT) * SCENE_SIZE
    alpha, corner = rasterise(large_shape(rng), extent_px, centre, _LARGE_SQUEEZE, rng)
    assert alpha is not None
    if rng.random() < 0.5:
        colours = surface(alpha.shape, away_from(rng.random(3), ground.mean((0, 1)), rng), rng)
        if rng.random() < 0.5:
            colours = 0.7 * colours + 0.3 * _piece(photographs, alpha.shape, rng).astype(np.float32) / 255
    else:
        colours = change_colours(_piece(photographs, alpha.shape, rng), rng).astype(np.float32) / 255
    canvas.paint(alpha, colours.astype(np.float32), corner)
    return disturb(canvas.image, rng), canvas.visible_labels(SMALLEST_AREA_PX)


def change_colours(image: Image, rng: Rng) -> Image:
    """Light, colour, sharpness and noise as cameras differ in them."""
    values = image.astype(np.float32) / 255
    if rng.random() < 0.7:
        values = _tinted(values, rng)
    if rng.random() < 0.1:
        values = np.repeat(values.mean(2, keepdims=True), 3, axis=2)
    if rng.random() < 0.2:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.25:
        values = values + rng.standard_normal(values.shape, np.float32) * np.float32(rng.uniform(0.01, 0.05))
    return np.asarray(np.clip(np.round(values * 255), 0, 255).astype(np.uint8))


def _tinted(values: Floats, rng: Rng) -> Floats:
    grey = values.mean(2, keepdims=True)
    values = grey + (values - grey) * np.float32(rng.uniform(0.5, 1.3))
    middle = values.mean()
    values = middle + (values - middle) * np.float32(rng.uniform(0.6, 1.3))
    values = values * rng.uniform(0.85, 1.15, 3).astype(np.float32) + np.float32(rng.uniform(-0.15, 0.15))
    return np.clip(values, 0, 1) ** np.float32(rng.uniform(0.7, 1.4))


def _window(label_map: Image, rng: Rng) -> tuple[slice, slice]:
    """A window around some labelled object, or anywhere where there is none."""
    height, width = label_map.shape
    share = rng.uniform(0.35, 1)
    stretch = np.exp(rng.uniform(-0.3, 0.3))
    h, w = min(height, round(height * share * stretch)), min(width, round(width * share / stretch))
    places = [place for place in find_objects(label_map) if place is not None]
    y, x = height / 2, width / 2
    if places:
        rows, columns = places[rng.integers(len(places))]
        y, x = rng.uniform(rows.start, rows.stop), rng.uniform(columns.start, columns.stop)
    top = int(np.clip(y - h * rng.uniform(0.2, 0.8), 0, height - h))
    left = int(np.clip(x - w * rng.uniform(0.2, 0.8), 0, width - w))
    return slice(top, top + h), slice(left, left + w)


def _turned(image: Image, label_map: Image, rng: Rng) -> tuple[Image, Image]:
    """Turn by up to 20 degrees, enlarged so that no corner is empty."""
    angle = rng.uniform(-20, 20)
    turn = np.deg2rad(abs(angle))
    matrix = cv2.getRotationMatrix2D((SCENE_SIZE / 2 - 0.5,) * 2, angle, np.cos(turn) + np.sin(turn))
    size = (SCENE_SIZE, SCENE_SIZE)
    turned = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned), np.asarray(cv2.warpAffine(label_map, matrix, size, flags=cv2.INTER_NEAREST))


def _placed_cutout(cutout: Cutout, rng: Rng) -> tuple[Floats | None, Floats, tuple[int, int]]:
    """A cut-out object with a soft border, scaled, mirrored and in other light: alpha, colours and corner in a scene."""
    height, width = cutout.mask.shape
    scale = log_uniform(rng, _CUTOUT_EXTENT) * SCENE_SIZE / max(height, width)
    # not much larger than it is: blur would give pasted objects away
    scale = min(scale, 1.3)
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    w, h = (int(np.clip(round(side), 8, SCENE_SIZE)) for side in (width * scale * stretch, height * scale / stretch))
    image = cv2.resize(cutout.image, (w, h), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(cutout.mask, (w, h), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    alpha = cv2.GaussianBlur(np.pad(mask, 2).astype(np.float32) / 255, (0, 0), rng.uniform(0.5, 1.2))[2:-2, 2:-2]
    colours = change_colours(image, rng).astype(np.float32) / 255
    x, y = (round(float(rng.uniform(-0.25, 0.75) * side)) for side in (SCENE_SIZE, SCENE_SIZE))
    return _within_scene(alpha, colours, (x, y))


def _filled_shape(photographs: list[Photograph], rng: Rng) -> tuple[Floats | None, Floats, tuple[int, int]]:
    """A generated shape filled with a piece of a photograph: alpha, colours and corner in a scene."""
    centre = rng.uniform(0.05, 0.95, 2) * SCENE_SIZE
    extent_px = log_uniform(rng, _SHAPE_EXTENT) * SCENE_SIZE
    alpha, corner = rasterise(random_shape(rng), extent_px, centre, EVERYDAY_SQUEEZE, rng)
    if alpha is None:
        return None, np.zeros((0, 0, 3), np.float32), corner
    piece = _piece(photographs, alpha.shape, rng)
    softness = rng.uniform(0, 1.2)
    soft = cv2.GaussianBlur(alpha, (0, 0), softness) if softness > 0.3 else alpha
    return soft, change_colours(piece, rng).astype(np.float32) / 255, corner


def _piece(photographs: list[Photograph], size: tuple[int, int], rng: Rng) -> Image:
    """A piece of a photograph, of about the size and stretched to it: uint8 h x w x 3."""
    height, width = size
    image = photographs[rng.integers(len(photographs))].image
    h, w = (
        min(int(rng.uniform(0.5, 1.5) * side), whole) for side, whole in zip((height, width), image.shape, strict=False)
    )
    h, w = max(h, 4), max(w, 4)
    y, x = rng.integers(0, image.shape[0] - h + 1), rng.integers(0, image.shape[1] - w + 1)
    return np.asarray(cv2.resize(image[y : y + h, x : x + w], (width, height), interpolation=cv2.INTER_AREA))


def _within_scene(
    alpha: Floats, colours: Floats, corner: tuple[int, int]
) -> tuple[Floats | None, Floats, tuple[int, int]]:
    """The part that lies in the scene; None where hardly any does."""
    x, y = corner
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(alpha.shape[1], SCENE_SIZE - x), min(alpha.shape[0], SCENE_SIZE - y)
    if right - left < 6 or bottom - top < 6:
        return None, colours, corner
    window = np.s_[top:bottom, left:right]
    return alpha[window], colours[window], (x + left, y + top)


def _sides_touched(place: tuple[slice, slice], shape: tuple[int, ...]) -> int:
    return sum((part.start == 0) + (part.stop == side) for part, side in zip(place, shape, strict=True))
