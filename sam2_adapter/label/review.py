"""What was accepted, looked at as a whole: figures by label, and the objects in the order in which somebody wants to look at them."""

from __future__ import annotations

import statistics
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sam2_adapter.annotations.rle import Rle
from sam2_adapter.label.objects import Object
from sam2_adapter.label.picture_work import PictureWork

ORDERS = ("score", "-score", "area", "-area", "picture")
"""By score or area, least first, or largest first with a minus; or picture by picture. Painted masks have no score: they come before the lowest one. What was read from
files without scores has none either, and comes last, since nobody has guessed about it."""

_BELOW_ALL = -1.0  # scores are in 0..1


@dataclass(frozen=True)
class Accepted:
    """One object that was accepted.

    Attributes:
        name: of its picture.
        key: its id there.
        entry: the object.
        original_hw: (height, width) of the picture in pixels.
        area_px: of its mask.
    """

    name: str
    key: str
    entry: Object
    original_hw: tuple[int, int]
    area_px: int

    @property
    def version(self) -> str:
        """Changes with its label and its mask; the page says the same (`versionOf`), so that it fetches what is cut out once."""
        seen = f"{self.entry['label']} {self.entry['counts']}"
        return f"{zlib.crc32(seen.encode(errors='replace')):08x}"


@dataclass(frozen=True)
class LabelFigures:
    """What there is of one label.

    Attributes:
        label: its name.
        num_objects: objects with it.
        num_pictures: pictures with such objects.
        median_area_px: of their masks; 0 where there is none.
        mean_score: the model's own guess of how good those are that have a score, 0..1; 0 where there is none.
        num_from_file: those that were read from files and never pointed at.
        num_by_hand: those whose mask is what somebody painted or erased.
        mean_steps: clicks, boxes and strokes for each of the others.
        num_scored: those that have a score: neither painted nor read from a file without one.
    """

    label: str
    num_objects: int
    num_pictures: int
    median_area_px: float
    mean_score: float
    num_from_file: int
    num_by_hand: int
    mean_steps: float
    num_scored: int


def accepted(work: Mapping[str, PictureWork]) -> list[Accepted]:
    """All objects, picture by picture.

    Args:
        work: name of the picture to what was labelled in it.
    """
    return [
        Accepted(name, key, entry, known.original_hw, _area_px(entry["counts"], known.original_hw))
        for name, known in sorted(work.items())
        for key, entry in known.objects.items()
    ]


def figures(objects: Sequence[Accepted], labels: Sequence[str]) -> list[LabelFigures]:
    """Figures of each label, in the order of `labels`, those without objects too."""
    by_label: dict[str, list[Accepted]] = {label: [] for label in labels}
    for one in objects:
        by_label.setdefault(one.entry["label"], []).append(one)
    return [_figures(label, those) for label, those in by_label.items()]


def in_order(objects: Sequence[Accepted], label: str | None, order: str) -> list[Accepted]:
    """The objects of a label, or all of them.

    Args:
        objects: picture by picture.
        label: `None` for all.
        order: one of `ORDERS`.
    """
    chosen = [one for one in objects if label is None or one.entry["label"] == label]
    sign = -1 if order.startswith("-") else 1
    if order.endswith("score"):
        chosen.sort(key=lambda one: _place_by_score(one.entry, sign))
    elif order.endswith("area"):
        chosen.sort(key=lambda one: sign * one.area_px)
    return chosen


def is_by_hand(entry: Object) -> bool:
    """Whether the mask of an object is what somebody painted or erased; a click after that has the model's answer."""
    steps = entry.get("steps") or [{}]
    return bool(steps[-1].get("painted"))


def score_of(entry: Object) -> float | None:
    """The model's own guess of how good a mask is; `None` where it has not guessed: the mask was painted, or is of a file without scores."""
    return None if is_by_hand(entry) else entry["score"]


def _place_by_score(entry: Object, sign: int) -> tuple[bool, float]:
    """Painted masks come before the lowest score, other objects without a score last."""
    score = score_of(entry)
    return score is None and not is_by_hand(entry), sign * (_BELOW_ALL if score is None else score)


def _figures(label: str, objects: Sequence[Accepted]) -> LabelFigures:
    scores = [score for one in objects if (score := score_of(one.entry)) is not None]
    steps = [len(one.entry["steps"]) for one in objects if one.entry.get("steps")]
    return LabelFigures(
        label,
        len(objects),
        len({one.name for one in objects}),
        statistics.median(one.area_px for one in objects) if objects else 0.0,
        statistics.fmean(scores) if scores else 0.0,
        len(objects) - len(steps),
        sum(is_by_hand(one.entry) for one in objects),
        statistics.fmean(steps) if steps else 0.0,
        len(scores),
    )


@lru_cache(maxsize=100_000)
def _area_px(counts: str, original_hw: tuple[int, int]) -> int:
    return Rle(counts, original_hw).area
