"""Training batches from generated scenes: crops, flips, colour changes, prompts and targets.

Batch `step` of process `rank` depends on these two alone, so that an interrupted run resumes on the same stream.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scenes import SCENE_SIZE, TRAIN_SEED, Scene, render_scene
from scipy.ndimage import find_objects
from torch.utils.data import Dataset

LOW_RES_STRIDE = 4
MOSAIC_SHARE = 0.35
# Objects with fewer visible pixels are not prompted.
SMALLEST_AREA_PX = 48
# Clicks amid an object lie no less deep in it, as a share of its deepest pixel.
_CENTRAL_DEPTH = 0.9
Rng = np.random.Generator
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BatchPlan:
    """What a batch holds and how it changes over the run.

    Attributes:
        batch_size: images per batch, in each process.
        small_prompts: objects prompted per image at `small_size`.
        full_prompts: objects prompted per image at `full_size`.
        small_size: model input in pixels during the first `small_steps` steps.
        full_size: model input in pixels afterwards.
        small_steps: steps at `small_size`.
        new_scenes: scenes that enter the pool of a process with every step.
        pool: scenes that a step draws from.
        mosaic_from: first step at which MOSAIC_SHARE of the pictures are four scenes at reduced size, for small objects.
        easy_steps: over how many steps the smallest prompted object shrinks to its final size.
    """

    batch_size: int = 8
    small_prompts: int = 8
    full_prompts: int = 5
    small_size: int = 128
    full_size: int = SCENE_SIZE
    small_steps: int = 1250
    new_scenes: int = 2
    pool: int = 1536
    easy_steps: int = 1250
    mosaic_from: int = 1600

    def image_size(self, step: int) -> int:
        """Model input in pixels at a step."""
        return self.small_size if step < self.small_steps else self.full_size

    def prompts(self, step: int) -> int:
        """Objects prompted per image at a step."""
        return self.small_prompts if step < self.small_steps else self.full_prompts

    def smallest_side(self, step: int) -> float:
        """Shorter side of the smallest prompted object, as a share of the scene's side."""
        return 0.03 + 0.17 * max(0.0, 1 - step / self.easy_steps)


class TrainingBatches(Dataset[dict[str, torch.Tensor]]):
    """Item `step` is the batch of that step: see `sample` for its parts, stacked along B."""

    def __init__(self, plan: BatchPlan, total_steps: int, rank: int = 0, world_size: int = 1) -> None:
        self.plan = plan
        self.total_steps = total_steps
        self.rank, self.world_size = rank, world_size
        self._scenes: OrderedDict[int, Scene] = OrderedDict()

    def __len__(self) -> int:
        """Steps of the run."""
        return self.total_steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """The batch of one step."""
        cv2.setNumThreads(0)
        rng = np.random.default_rng([TRAIN_SEED, 10**6 + self.rank, step])
        samples = [self._next_sample(rng, step) for _ in range(self.plan.batch_size)]
        return {name: torch.from_numpy(np.stack([part[name] for part in samples])) for name in samples[0]}

    def _next_sample(self, rng: Rng, step: int) -> dict[str, npt.NDArray[np.generic]]:
        newest = 64 + step * self.plan.new_scenes
        while True:
            oldest = max(0, newest - self.plan.pool)
            if step >= self.plan.mosaic_from and rng.random() < MOSAIC_SHARE:
                scene = mosaic([self._scene(int(number)) for number in rng.integers(oldest, newest, 4)], rng)
            else:
                scene = self._scene(int(rng.integers(oldest, newest)))
            image, label_map = augment(scene, rng)
            chosen = choose_objects(
                label_map, self.plan.smallest_side(step) * SCENE_SIZE, SMALLEST_AREA_PX, self.plan.prompts(step), rng
            )
            if len(chosen):
                return sample(image, label_map, chosen, self.plan.image_size(step), rng)

    def _scene(self, number: int) -> Scene:
        index = number * self.world_size + self.rank
        if index not in self._scenes:
            self._scenes[index] = render_scene(TRAIN_SEED, index)
            if len(self._scenes) > self.plan.pool:
                self._scenes.popitem(last=False)
        return self._scenes[index]


def object_boxes(label_map: npt.NDArray[np.uint8]) -> Array:
    """Half-open box (x0, y0, x1, y1) of labels 1..N in a label map, N x 4; zeros for a label that is not there."""
    boxes = np.zeros((int(label_map.max()), 4), np.float32)
    for number, place in enumerate(find_objects(label_map)):
        if place is not None:
            rows, columns = place
            boxes[number] = columns.start, rows.start, columns.stop, rows.stop
    return boxes


def low_res_coverage(mask: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.uint8]:
    """Share of each of side x side cells that a mask H x W covers, 0..255."""
    full = mask.view(np.uint8) * np.uint8(255)
    return np.asarray(cv2.resize(full, (side, side), interpolation=cv2.INTER_AREA))


def mosaic(scenes: list[Scene], rng: Rng) -> Scene:
    """A window of four scenes side by side, 1.2 to 2 scenes wide, at the size of one."""
    images, label_maps, used = [], [], 0
    for scene in scenes:
        images.append(scene.image)
        label_maps.append(np.where(scene.label_map > 0, scene.label_map + np.uint8(used), 0).astype(np.uint8))
        used += int(scene.label_map.max())
    side = int(SCENE_SIZE * rng.uniform(1.2, 2))
    x, y = rng.integers(0, 2 * SCENE_SIZE - side + 1, 2)
    window, size = np.s_[y : y + side, x : x + side], (SCENE_SIZE, SCENE_SIZE)
    image, label_map = (
        np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])[window] for parts in (images, label_maps)
    )
    smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return Scene(np.asarray(smaller), np.asarray(cv2.resize(label_map, size, interpolation=cv2.INTER_NEAREST)))


def augment(scene: Scene, rng: Rng) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Another crop, turn and colours of a generated scene: image and label map."""
    image, label_map = scene.image, scene.label_map
    if rng.random() < 0.5:
        image, label_map = enlarged_window(image, label_map, rng, (0.5, 1))
    turns, flip = rng.integers(4), rng.random() < 0.5
    image, label_map = np.rot90(image, turns), np.rot90(label_map, turns)
    if flip:
        image, label_map = image[:, ::-1], label_map[:, ::-1]
    if rng.random() < 0.5:
        image = image[..., rng.permutation(3)]
    if rng.random() < 0.15:
        image = 255 - image
    if rng.random() < 0.5:
        levels = np.linspace(0, 1, 256) ** rng.uniform(0.6, 1.6) * rng.uniform(0.6, 1) * 255
        image = levels.astype(np.uint8)[image]
    return np.ascontiguousarray(image), np.ascontiguousarray(label_map)


def enlarged_window(
    image: npt.NDArray[np.uint8], label_map: npt.NDArray[np.uint8], rng: Rng, shares: tuple[float, float]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A window of a scene, its side a share of the scene's between two limits, at the size of the whole."""
    side = int(SCENE_SIZE * rng.uniform(*shares))
    x, y = rng.integers(0, SCENE_SIZE - side + 1, 2)
    window, size = np.s_[y : y + side, x : x + side], (SCENE_SIZE, SCENE_SIZE)
    larger = cv2.resize(image[window], size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(larger), np.asarray(cv2.resize(label_map[window], size, interpolation=cv2.INTER_NEAREST))


def choose_objects(
    label_map: npt.NDArray[np.uint8], smallest_px: float, smallest_area_px: int, count: int, rng: Rng
) -> npt.NDArray[np.int64]:
    """`count` labels of objects that are large enough, each as often as the others; none where there is none."""
    boxes = object_boxes(label_map)
    if not len(boxes):
        return np.zeros(0, np.int64)
    sides = (boxes[:, 2:] - boxes[:, :2]).min(1)
    areas = np.bincount(label_map.ravel(), minlength=len(boxes) + 1)[1:]
    usable = np.flatnonzero((sides >= smallest_px) & (areas >= smallest_area_px)) + 1
    if not len(usable):
        return usable
    return np.concatenate([rng.permutation(usable) for _ in range(-(-count // len(usable)))])[:count]


def sample(
    image: npt.NDArray[np.uint8],
    label_map: npt.NDArray[np.uint8],
    chosen: npt.NDArray[np.int64],
    size: int,
    rng: Rng,
    central_clicks: float = 0.0,
) -> dict[str, npt.NDArray[np.generic]]:
    """One image with P prompted objects; S model input, s = S / 4.

    image uint8 3 x S x S; boxes float32 P x 4 and points float32 P x 2 in pixels of S; targets uint8 P x s x s coverage;
    dense float32 6 x s x s: foreground, boundary, distances to the sides of the object's box as shares of the image's side.
    """
    scale = size / SCENE_SIZE
    side = size // LOW_RES_STRIDE
    boxes = object_boxes(label_map)
    resized = image if size == SCENE_SIZE else cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    masks = [label_map == number for number in chosen]
    return {
        "image": np.ascontiguousarray(resized.transpose(2, 0, 1)),
        "boxes": np.stack([jitter(boxes[number - 1], rng) for number in chosen]) * np.float32(scale),
        "points": np.stack([click(mask, rng, central_clicks) for mask in masks]) * np.float32(scale),
        "targets": np.stack([low_res_coverage(mask, side) for mask in masks]),
        "dense": dense_targets(label_map, boxes, side),
    }


def jitter(box: Array, rng: Rng) -> Array:
    """Half of the boxes are exact, the others off by 4 % of their sides (standard deviation)."""
    if rng.random() < 0.5:
        return box
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + np.clip(rng.normal(0, 0.04, 4), -0.1, 0.1) * sides
    return np.asarray(np.clip(moved, 0, SCENE_SIZE), np.float32)


def click(mask: npt.NDArray[np.bool_], rng: Rng, central_share: float = 0.0) -> Array:
    """A pixel index (x, y) of the object: where it is deepest in `central_share`, else half of the time one of the inner half."""
    is_central = central_share > 0 and rng.random() < central_share
    if is_central or rng.random() < 0.5:
        padded = np.pad(mask.view(np.uint8), 1)
        depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
        mask = depth >= (_CENTRAL_DEPTH if is_central else 0.5) * depth.max()
    places = np.flatnonzero(mask)
    y, x = divmod(int(places[rng.integers(len(places))]), mask.shape[1])
    return np.array([x, y], np.float32)


def dense_targets(label_map: npt.NDArray[np.uint8], boxes: Array, side: int) -> Array:
    """What the throw-away head learns, 6 x s x s: foreground, boundary, distances to the sides of the object's box."""
    labels = cv2.resize(label_map, (side, side), interpolation=cv2.INTER_NEAREST)
    kernel = np.ones((3, 3), np.uint8)
    boundary = cv2.dilate(labels, kernel) != cv2.erode(labels, kernel)
    grid = (np.arange(side, dtype=np.float32) + 0.5) / side
    own = np.concatenate([np.zeros((1, 4), np.float32), boxes])[labels] / SCENE_SIZE
    left, top = grid[None] - own[..., 0], grid[:, None] - own[..., 1]
    right, bottom = own[..., 2] - grid[None], own[..., 3] - grid[:, None]
    return np.stack([labels > 0, boundary, left, top, right, bottom]).astype(np.float32)
