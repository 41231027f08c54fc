"""A small data set on disk with splits: bright discs on a dark ground, `images/`, `masks/` and `split.json`."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

SPLITS = {"train": ["a", "b", "c"], "validation": ["d", "e"], "test": ["f", "g"]}


def make_disc_data(root: Path, *, with_splits: bool = True) -> Path:
    """Seven images of 96 x 128 pixels with two discs each; one disc of `a` is too small to be used."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for name, content in _files().items():
        (root / name).write_bytes(content)
    if with_splits:
        (root / "split.json").write_text(json.dumps(SPLITS))
    return root


@cache
def _files() -> dict[str, bytes]:
    """The files in `images` and `masks`, which are the same each time."""
    rng = np.random.default_rng(0)
    files = {}
    for name in (name for names in SPLITS.values() for name in names):
        image, label_map = _discs(rng)
        if name == "a":
            label_map[0, :4] = 3
        files[f"images/{name}.png"] = _png(image)
        files[f"masks/{name}.png"] = _png(label_map)
    return files


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _discs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:96, :128] + 0.5
    image = rng.integers(20, 60, (96, 128, 3)).astype(np.uint8)
    label_map = np.zeros((96, 128), np.uint8)
    for number, centre_x in enumerate((34, 94), start=1):
        disc = np.hypot(x - centre_x - rng.uniform(-5, 5), y - 48 - rng.uniform(-12, 12)) < rng.uniform(12, 24)
        image[disc] = rng.integers(150, 250, 3)
        label_map[disc] = number
    return image, label_map
