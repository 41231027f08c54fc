"""A data set, a model and a configuration small enough to fine-tune in a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.config import Config
from sam2_adapter.config_views import LossWeights
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.training import everything_choice, quality
from tests.small_model import loaded, small_model


def small_loaded_model(seed: int = 0, image_size: int = 64) -> LoadedModel:
    """The small model as `load_model` would give it."""
    return loaded(small_model(seed, image_size))


def make_samples(folder: Path, num_images: int, seed: int = 0, original_hw: tuple[int, int] = (48, 64)) -> list[Sample]:
    """Bright discs on a dark ground with noise, two per image, written as PNG files where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    return [_sample(folder, f"{seed}_{index}.png", rng, original_hw) for index in range(num_images)]


def _sample(folder: Path, name: str, rng: np.random.Generator, original_hw: tuple[int, int]) -> Sample:
    height, width = original_hw
    y, x = np.mgrid[:height, :width] + 0.5
    image = rng.integers(20, 60, (height, width, 3)).astype(np.uint8)
    objects = []
    for side in (0.27, 0.73):
        centre_x, centre_y = side * width + rng.uniform(-3, 3), height / 2 + rng.uniform(-8, 8)
        disc = np.hypot(x - centre_x, y - centre_y) < rng.uniform(6, 11)
        image[disc] = rng.integers(150, 250, 3)
        objects.append(Annotation.from_mask(disc, "disc"))
    if not (folder / name).exists():
        Image.fromarray(image).save(folder / name)
    return Sample(name, folder / name, original_hw, tuple(objects))


def make_label_maps(folder: Path, num_images: int, seed: int = 5) -> Path:
    """A data set of label maps with the pictures of `make_samples`."""
    (folder / "masks").mkdir(parents=True)
    for sample in make_samples(folder / "images", num_images, seed):
        label_map = sum((index * item.mask.astype(np.uint8) for index, item in enumerate(sample.objects, start=1)))
        Image.fromarray(label_map).save(folder / "masks" / sample.name)
    return folder


def loss_weights(**changes: object) -> LossWeights:
    """The weights of the defaults with some changes."""
    return replace(Config().losses, **changes)


def small_config_of_run(**changes: object) -> Config:
    """A few epochs with a learning rate that shows, one correction click, embeddings in memory only."""
    settings = {
        "model_cfg": "sam2_nano",
        "num_epochs": 3,
        "learning_rate": 1e-3,
        "batch_size": 4,
        "device": "cpu",
        "precision": "fp32",
        # Whatever other tests have compiled.
        "runtime": "torch",
        "correction_rounds": 1,
        "disk_mib": 0,
        "memory_mib": 64,
        # Measuring photographs takes longer than such a run.
        "general_set": "none",
    }
    return Config.from_mapping({**settings, **changes})


@contextmanager
def click_curve(num_clicks: int = 7, points_per_side: int = 6) -> Iterator[None]:
    """Runs measure click curves of so many clicks, and thresholds of everything-mode on few points.

    The twenty clicks and 256 points of real runs take most of the time of a small one.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(quality, "CURVE_CLICKS", num_clicks)
        monkeypatch.setattr(everything_choice, "POINTS_PER_SIDE", points_per_side)
        yield
