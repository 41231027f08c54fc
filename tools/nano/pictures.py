"""Pictures to measure on: generated scenes, and data sets of images with label maps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from batches import object_boxes
from PIL import Image
from scenes import render_scene

Mask = npt.NDArray[np.bool_]

# Objects a scene, chosen at random: crowds would otherwise outweigh everything.
OBJECTS_PER_SCENE = 5


@dataclass(frozen=True)
class Picture:
    """An image with the objects to measure.

    Attributes:
        name: of the image in its data set.
        image: uint8 RGB H x W x 3.
        masks: bool O x H x W.
        boxes: float32 O x 4, half-open pixel edges of the masks.
    """

    name: str
    image: npt.NDArray[np.uint8]
    masks: Mask
    boxes: npt.NDArray[np.float32]

    def sides_px(self, image_size: int) -> npt.NDArray[np.float64]:
        """The shorter side of each object's box in pixels of the model's input, O."""
        height, width = self.image.shape[:2]
        sides = (self.boxes[:, 2:] - self.boxes[:, :2]) * (image_size / width, image_size / height)
        return np.asarray(sides.min(1), np.float64)

    def only(self, which: npt.NDArray[np.bool_]) -> Picture:
        """The same picture with the objects that are true in O."""
        return Picture(self.name, self.image, self.masks[which], self.boxes[which])

    def at_most(self, count: int) -> Picture:
        """The same picture with at most `count` of its objects, evenly spread over them."""
        which = np.zeros(len(self.masks), np.bool_)
        which[np.linspace(0, max(len(which) - 1, 0), min(count, len(which))).round().astype(int)] = True
        return self.only(which)


def generated_pictures(seed: int, count: int) -> Iterator[Picture]:
    """Scenes of a stream with at most OBJECTS_PER_SCENE objects each."""
    for index in range(count):
        scene = render_scene(seed, index)
        numbers = np.random.default_rng([seed, index]).permutation(int(scene.label_map.max()))[:OBJECTS_PER_SCENE] + 1
        if len(numbers):
            yield _picture(str(index), scene.image, scene.label_map, numbers)


def label_map_pictures(folder: Path, split: str) -> Iterator[Picture]:
    """All objects of a split of an `images/` + `masks/` data set with a split.json."""
    for stem in json.loads((folder / "split.json").read_text("utf-8"))[split]:
        image = np.asarray(Image.open(next((folder / "images").glob(f"{stem}.*"))).convert("RGB"))
        label_map = np.asarray(Image.open(folder / "masks" / f"{stem}.png")).astype(np.int32)
        yield _picture(stem, image, label_map, np.unique(label_map[label_map > 0]))


def _picture(
    name: str, image: npt.NDArray[np.uint8], label_map: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer]
) -> Picture:
    return Picture(name, image, label_map[None] == numbers[:, None, None], object_boxes(label_map)[numbers - 1])
