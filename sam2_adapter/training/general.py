"""The general set: what a run forgets while it learns, measured on pictures of something else than it is trained on.

The bundled set is photographs of everyday things (`assets/general/ATTRIBUTION.md` names each); another data set may take its place. Nothing of
it is trained on. Each object gets two prompts, its exact box and one click in its middle, so that measuring costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from sam2_adapter.errors import DataError
from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.scores import EvaluationSettings
from sam2_adapter.formats.load import ALL_SPLITS, load_dataset
from sam2_adapter.formats.sample import Sample
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.text import plural, told_change
from sam2_adapter.training.encoding import SampleEmbeddings

T = TypeVar("T")

BUNDLED, NONE = "bundled", "none"

# Of a larger set as many images, and as many objects of an image, are taken, evenly: measuring is no part of training.
MOST_IMAGES, MOST_OBJECTS = 64, 8

# A larger loss of mean IoU is worth a warning, and more than `blend: auto` allows.
MOST_LOST = 0.05


@dataclass(frozen=True)
class GeneralQuality:
    """Mean IoUs over the objects of the general set.

    Attributes:
        miou_box: from exact boxes.
        miou_click: from one click.
    """

    miou_box: float
    miou_click: float

    @property
    def score(self) -> float:
        """Mean of the two."""
        return (self.miou_box + self.miou_click) / 2

    def lost_since(self, before: GeneralQuality) -> float:
        """The larger of the two losses; below 0 where both have grown."""
        return max(before.miou_box - self.miou_box, before.miou_click - self.miou_click)


@dataclass(frozen=True)
class GeneralChange:
    """What a run has changed on the general set.

    Attributes:
        name: of the set, in words.
        num_images: images that were measured.
        num_objects: objects in them.
        before: the untouched model.
        after: the saved model; `None` where the run was interrupted before it was measured.
    """

    name: str
    num_images: int
    num_objects: int
    before: GeneralQuality
    after: GeneralQuality | None = None

    @property
    def sentence(self) -> str:
        """What was lost, in words."""
        before, after = self.before, self.after
        told = f"{plural(self.num_objects, 'object')} in {plural(self.num_images, 'image')}"
        if after is None:
            return f"On {self.name} ({told}) mean IoU was {before.miou_box:.3f} from boxes and {before.miou_click:.3f} from one click."
        return (
            f"On {self.name} ({told}), which nothing was trained on, mean IoU from boxes {told_change(before.miou_box, after.miou_box)}, and from "
            f"one click it {told_change(before.miou_click, after.miou_click)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            **asdict(self),
            "lost": None if self.after is None else self.after.lost_since(self.before),
            "warning": self.warning,
        }

    @property
    def warning(self) -> str | None:
        """A sentence where the saved model has lost more than `MOST_LOST`."""
        if self.after is None or self.after.lost_since(self.before) <= MOST_LOST:
            return None
        return (
            f"That is a loss of more than {MOST_LOST:g}: the saved model has forgotten. Where it is used for other images too, set blend to "
            "auto, or mix the saved file with the untouched one (`sam2-adapter blend`)."
        )


@dataclass(frozen=True)
class GeneralImages:
    """The images of the general set.

    Attributes:
        name: of the set, in words.
        samples: images with the objects that are measured.
    """

    name: str
    samples: tuple[Sample, ...]


class GeneralSet:
    """The general set of a run with its encoded images."""

    def __init__(self, images: GeneralImages, embeddings: SampleEmbeddings) -> None:
        """Measure the images that `embeddings` could encode.

        Raises:
            DataError: none of them can be read.
        """
        self.name, self.samples, self.embeddings = images.name, images.samples, embeddings
        broken = embeddings.broken
        self.positions = [position for position in range(len(images.samples)) if position not in broken]
        if not self.positions:
            raise DataError(
                f"None of the images of the general set {self.name} can be read ({next(iter(broken.values()))})."
            )

    @property
    def num_objects(self) -> int:
        """Objects that are measured."""
        return sum(len(self.samples[position].objects) for position in self.positions)


def load_general(setting: str) -> GeneralImages | None:
    """Read the general set that `general_set` names; `None` where it is switched off.

    Raises:
        DataError: there is no such data set, or nothing in it can be used.
    """
    if setting == NONE:
        return None
    if setting == BUNDLED:
        with resources.as_file(resources.files("sam2_adapter").joinpath("assets", "general")) as folder:
            return GeneralImages("the bundled photographs", _samples_in(folder))
    if not Path(setting).exists():
        raise DataError(
            f"general_set = {setting!r}: there is no such data set. Give its path, or 'bundled' for the photographs of the package, or "
            "'none'."
        )
    return GeneralImages(Path(setting).resolve().name, _samples_in(Path(setting)))


def measure_general(
    predictor: Predictor, sample: Sample, embedding: ImageEmbedding, clip_to_box: bool
) -> list[tuple[float, float]]:
    """IoU from the exact box and from one click of each object of an image."""
    settings, indices = EvaluationSettings(clip_to_box=clip_to_box), range(len(sample.objects))
    boxes = measure_image(predictor, sample, indices, embedding, "box", settings)
    clicks = measure_image(predictor, sample, indices, embedding, "point", settings)
    return [(box.mask_iou, click.mask_iou) for box, click in zip(boxes, clicks, strict=True)]


def mean_general(ious: Sequence[tuple[float, float]]) -> GeneralQuality:
    """Average over at least one object."""
    # Sorted: the sum does not depend on how many processes have measured.
    boxes, clicks = (sorted(values) for values in zip(*ious, strict=True))
    return GeneralQuality(float(sum(boxes) / len(boxes)), float(sum(clicks) / len(clicks)))


def _samples_in(folder: Path) -> tuple[Sample, ...]:
    found = load_dataset(folder, validation_share=0).samples(ALL_SPLITS)
    return tuple(
        replace(sample, objects=tuple(evenly(sample.objects, MOST_OBJECTS))) for sample in evenly(found, MOST_IMAGES)
    )


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spread and in order."""
    if len(items) <= count:
        return list(items)
    return [items[at * len(items) // count] for at in range(count)]
