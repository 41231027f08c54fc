"""Batches of the parts of the training after the first: photographs, composites, generated scenes and crowds of cells.

Batch `step` of process `rank` depends on these two alone, as in the first part.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from batches import LOW_RES_STRIDE, augment, choose_objects, low_res_coverage, mosaic, sample
from cells import crowd_of_cells
from composites import SMALLEST_AREA_PX, change_colours, cut_objects, large_thing, paste_on, window_of
from photographs import load_photographs
from scenes import SCENE_SIZE, TRAIN_SEED, Scene, render_scene
from torch.utils.data import Dataset

Rng = np.random.Generator
Labels = npt.NDArray[np.uint8]

# What the prompt of the whole image wants: this object, nothing (low scores), or nobody knows.
WHOLE_OBJECT, WHOLE_NOTHING, WHOLE_UNKNOWN = 1, 0, -1

# The most prominent object has at least this share of the image, and is this much larger than the next one (in generated scenes, where
# nothing but size tells).
_PROMINENT_SHARE, _PROMINENT_LEAD = 0.04, 1.5

# Around labelled objects of incompletely labelled photographs the dense head is trained, elsewhere not: low-res cells.
_KNOWN_MARGIN = 7


@dataclass(frozen=True)
class MixturePlan:
    """What a batch holds.

    Attributes:
        batch_size: images per batch, in each process.
        prompts: objects prompted per image.
        photo_share: pictures that are windows of photographs.
        composite_share: pictures that are generated scenes with objects and shapes of photographs pasted on.
        large_share: pictures of one thing that fills much of them.
        cell_share: pictures of crowds as microscopes show them; the rest are generated scenes alone.
        whole_share: windows of photographs that are the whole photograph.
        photo_mosaic_share: pictures of photographs that are four at reduced size.
        paste_share: windows of photographs that things are pasted on.
        mosaic_share: generated scenes that are four at reduced size.
        crowd_preference: other generated scenes of which the fuller one of two is taken.
        small_size: model input in pixels during the first `small_steps` steps.
        full_size: model input in pixels afterwards.
        small_steps: steps at `small_size`, which cost half as much.
        central_clicks: first clicks that lie where the object is deepest.
        smallest_px: shorter side of the smallest prompted object, in pixels of the model's input.
        new_scenes: generated scenes that enter the pool of a process with every step.
        pool: scenes that a step draws from.
        first_scene: scenes of the stream before this one were used in the first part.
        seed: of which pictures a step has.
    """

    batch_size: int = 8
    prompts: int = 3
    photo_share: float = 0.50
    composite_share: float = 0.08
    large_share: float = 0.0
    cell_share: float = 0.0
    whole_share: float = 0.33
    photo_mosaic_share: float = 0.0
    paste_share: float = 0.35
    mosaic_share: float = 0.35
    crowd_preference: float = 0.6
    small_size: int = 192
    full_size: int = SCENE_SIZE
    small_steps: int = 300
    central_clicks: float = 0.0
    smallest_px: float = 10
    new_scenes: int = 1
    pool: int = 768
    first_scene: int = 20_000
    seed: int = 0

    @classmethod
    def for_overlap(cls) -> MixturePlan:
        """The third part: one process, and large things."""
        return cls(batch_size=16, large_share=0.12, small_steps=0)

    @classmethod
    def for_all(cls) -> MixturePlan:
        """The fourth part."""
        return cls(prompts=4, photo_share=0.46, large_share=0.07, cell_share=0.14, small_steps=900)

    @classmethod
    def for_clicks(cls) -> MixturePlan:
        """The fifth part: more photographs."""
        return replace(cls.for_all(), photo_share=0.58, large_share=0.09, cell_share=0.10, small_steps=1300)

    @classmethod
    def for_choices(cls) -> MixturePlan:
        """The sixth part: whole photographs, four in one picture, and clicks amid objects."""
        return replace(
            cls.for_clicks(),
            photo_share=0.62,
            large_share=0.08,
            small_steps=1900,
            whole_share=0.5,
            photo_mosaic_share=0.2,
            central_clicks=0.5,
        )

    def image_size(self, step: int) -> int:
        """Model input in pixels at a step."""
        return self.small_size if step < self.small_steps else self.full_size


class MixedBatches(Dataset[dict[str, torch.Tensor]]):
    """Item `step` is the batch of that step: see `_sample` for its parts, stacked along B."""

    def __init__(
        self, plan: MixturePlan, photographs: Path, total_steps: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.plan = plan
        self.total_steps = total_steps
        self.rank, self.world_size = rank, world_size
        self._photographs = load_photographs(photographs)
        self._cutouts = cut_objects(self._photographs)
        self._scenes: OrderedDict[int, Scene] = OrderedDict()

    def __len__(self) -> int:
        """Steps of the run."""
        return self.total_steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """The batch of one step."""
        cv2.setNumThreads(0)
        rng = np.random.default_rng([TRAIN_SEED, 2 * 10**6 + self.rank, step, self.plan.seed])
        samples = [self._next_sample(rng, step) for _ in range(self.plan.batch_size)]
        return {name: torch.from_numpy(np.stack([part[name] for part in samples])) for name in samples[0]}

    def _next_sample(self, rng: Rng, step: int) -> dict[str, npt.NDArray[np.generic]]:
        while True:
            kind = rng.random()
            if kind < self.plan.photo_share:
                picture = self._from_photograph(rng)
            elif kind >= 1 - self.plan.large_share:
                picture = _Picture(*large_thing(self._photographs, rng), 1, WHOLE_OBJECT, True)
            elif kind >= 1 - self.plan.large_share - self.plan.cell_share:
                image, label_map = crowd_of_cells(rng)
                picture = _Picture(image, label_map, *_prominent(label_map, lead=_PROMINENT_LEAD), True)
            else:
                picture = self._from_scene(rng, step, pasted=kind < self.plan.photo_share + self.plan.composite_share)
            chosen = choose_objects(picture.label_map, self.plan.smallest_px, SMALLEST_AREA_PX, self.plan.prompts, rng)
            if len(chosen):
                return _sample(picture, chosen, self.plan.image_size(step), rng, self.plan.central_clicks)

    def _from_photograph(self, rng: Rng) -> _Picture:
        if self.plan.photo_mosaic_share and rng.random() < self.plan.photo_mosaic_share:
            return self._from_four_photographs(rng)
        photo = self._photographs[rng.integers(len(self._photographs))]
        image, label_map = window_of(photo, rng, self.plan.whole_share)
        whole, kind = _prominent(label_map, lead=1.0)
        if not photo.is_complete and kind == WHOLE_NOTHING:
            kind = WHOLE_UNKNOWN
        image = change_colours(image, rng)
        if rng.random() < self.plan.paste_share:
            image, label_map = paste_on(image, label_map, self._cutouts, self._photographs, rng)
            # what lies pasted is known, and so is whether one thing is much larger than all that is labelled
            whole, kind = _prominent(label_map, lead=_PROMINENT_LEAD)
            kind = WHOLE_UNKNOWN if kind == WHOLE_NOTHING else kind
        return _Picture(image, label_map, whole, kind, photo.is_complete)

    def _from_four_photographs(self, rng: Rng) -> _Picture:
        photos = [self._photographs[index] for index in rng.integers(0, len(self._photographs), 4)]
        four = mosaic([Scene(*window_of(photo, rng, self.plan.whole_share)) for photo in photos], rng)
        return _Picture(
            change_colours(four.image, rng),
            four.label_map,
            0,
            WHOLE_UNKNOWN,
            all(photo.is_complete for photo in photos),
        )

    def _from_scene(self, rng: Rng, step: int, pasted: bool) -> _Picture:
        newest = self.plan.first_scene + 64 + step * self.plan.new_scenes
        oldest = max(self.plan.first_scene, newest - self.plan.pool)
        if not pasted and rng.random() < self.plan.mosaic_share:
            scene = mosaic([self._scene(int(number)) for number in rng.integers(oldest, newest, 4)], rng)
        else:
            scene = self._scene(int(rng.integers(oldest, newest)))
            if rng.random() < self.plan.crowd_preference:
                other = self._scene(int(rng.integers(oldest, newest)))
                scene = max(scene, other, key=lambda one: int(one.label_map.max()))
        image, label_map = augment(scene, rng)
        if pasted:
            image, label_map = paste_on(image, label_map, self._cutouts, self._photographs, rng)
        whole, kind = _prominent(label_map, lead=_PROMINENT_LEAD)
        return _Picture(image, label_map, whole, kind, True)

    def _scene(self, number: int) -> Scene:
        index = number * self.world_size + self.rank
        if index not in self._scenes:
            self._scenes[index] = render_scene(TRAIN_SEED, index)
            if len(self._scenes) > self.plan.pool:
                self._scenes.popitem(last=False)
        return self._scenes[index]


@dataclass(frozen=True)
class _Picture:
    """A picture SCENE_SIZE square, its label map, and what the whole image's prompt wants: label `whole` where `kind` says so."""

    image: Labels
    label_map: Labels
    whole: int
    kind: int
    is_complete: bool


def _prominent(label_map: Labels, lead: float) -> tuple[int, int]:
    """The label of the most prominent object and the kind of the whole image's prompt."""
    areas = np.bincount(label_map.ravel())[1:] / label_map.size
    if not len(areas) or areas.max() < _PROMINENT_SHARE / 4:
        return 0, WHOLE_NOTHING
    weighed = areas * _centrality(label_map, len(areas))
    first = int(weighed.argmax())
    others = np.delete(weighed, first)
    clear = areas[first] >= _PROMINENT_SHARE and (not len(others) or weighed[first] >= lead * others.max())
    if clear:
        return first + 1, WHOLE_OBJECT
    return 0, WHOLE_UNKNOWN


def _centrality(label_map: Labels, count: int) -> npt.NDArray[np.float64]:
    """Mean weight of each object's pixels: 1 amid the image, 0.4 in its corners."""
    labels = label_map[::LOW_RES_STRIDE, ::LOW_RES_STRIDE]
    side = np.linspace(-1, 1, len(labels))
    weights = 1 - 0.3 * (side[:, None] ** 2 + side[None] ** 2)
    labels = labels.ravel()
    sums, areas = np.bincount(labels, weights.ravel(), count + 1), np.bincount(labels, minlength=count + 1)
    return (sums / np.maximum(areas, 1))[1:]


def _sample(
    picture: _Picture, chosen: npt.NDArray[np.int64], size: int, rng: Rng, central_clicks: float
) -> dict[str, npt.NDArray[np.generic]]:
    """As in the first part, and: whole uint8 s x s coverage and whole_kind for the whole image; dense_known float32 1 x s x s."""
    label_map = picture.label_map
    whole = label_map == picture.whole if picture.kind == WHOLE_OBJECT else np.zeros(label_map.shape, np.bool_)
    return {
        **sample(picture.image, label_map, chosen, size, rng, central_clicks),
        "dense_known": _known(picture, size // LOW_RES_STRIDE),
        "whole": low_res_coverage(whole, size // LOW_RES_STRIDE),
        "whole_kind": np.asarray(picture.kind, np.int64),
    }


def _known(picture: _Picture, side: int) -> npt.NDArray[np.float32]:
    if picture.is_complete:
        return np.ones((1, side, side), np.float32)
    labelled = cv2.resize(picture.label_map, (side, side), interpolation=cv2.INTER_NEAREST) > 0
    kernel = np.ones((_KNOWN_MARGIN, _KNOWN_MARGIN), np.uint8)
    return np.asarray(cv2.dilate(labelled.astype(np.float32), kernel))[None]
