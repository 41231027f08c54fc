"""Sessions to teach on: small pictures with bright disks that are accepted, and a run as teaching leaves it, without a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sam2_adapter.annotations.rle import Rle, mask_to_rle, rle_to_mask
from sam2_adapter.label.run import LabelSession

HW = (96, 128)

QUICK = {"num_epochs": 2, "variants": "original", "general_set": "none", "device": "cpu", "runtime": "torch"}
"""Settings of a training of seconds."""


def disk_pictures(folder: Path, count: int) -> dict[str, dict[str, object]]:
    """Make pictures `disks0.png`, ... of three disks each; returns their objects by picture and id."""
    folder.mkdir(exist_ok=True)
    y, x = np.mgrid[: HW[0], : HW[1]]
    rng, objects = np.random.default_rng(0), {}
    for number in range(count):
        image = np.full((*HW, 3), 40, np.uint8)
        found = objects[f"disks{number}.png"] = {}
        for place in range(3):
            centre = 20 + 40 * place + rng.integers(0, 6), 30 + rng.integers(0, 30)
            mask = np.hypot(x - centre[0], y - centre[1]) < 10 + rng.integers(0, 6)
            image[mask] = (200, 180, 60)
            found[f"o{place}"] = {"label": "disk", "counts": mask_to_rle(mask).counts, "score": 0.9}
        Image.fromarray(image).save(folder / f"disks{number}.png")
    return objects


def middle_of(entry: dict[str, object]) -> tuple[float, float]:
    """The (x, y) in the middle of an object."""
    y, x = rle_to_mask(Rle(entry["counts"], HW)).nonzero()
    return round(float(x.mean()), 1), round(float(y.mean()), 1)


def accepted(folder: Path, count: int, *, objects_in: int | None = None) -> LabelSession:
    """A session on such pictures in which all objects of the first `objects_in` are accepted."""
    objects = disk_pictures(folder, count)
    session = LabelSession([folder])
    for name in list(objects)[:objects_in]:
        session.work.change(name, HW, objects[name])
    return session
