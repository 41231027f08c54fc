"""`compare`: two models on the same prompts, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from sam2_adapter.arguments import instance_of
from sam2_adapter.errors import DataError
from sam2_adapter.evaluation.metrics import clicks_to_reach
from sam2_adapter.evaluation.proposals import COUNTS
from sam2_adapter.evaluation.scores import CLICKS_REPORTED, NOC_TARGETS, Evaluation, ObjectScore, PromptMode, noc_name

# Numbers that are drawn at a time, 8 bytes each.
_DRAWN_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean difference with its confidence interval.

    Attributes:
        difference: mean over objects of the second model's figure minus the first one's.
        low: lower end of the interval.
        high: upper end.
        level: share of such intervals that hold the true difference.
        num_groups: what was drawn with replacement: images.
        num_objects: objects in them.
    """

    difference: float
    low: float
    high: float
    level: float
    num_groups: int
    num_objects: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        """Such as `+0.041 [+0.020, +0.063]`."""
        return f"{self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_bootstrap(
    first: Sequence[float],
    second: Sequence[float],
    groups: Sequence[Hashable],
    *,
    level: float = 0.95,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the mean difference between two models on the same objects (Efron & Tibshirani, 1993, chapter 13).

    Whole groups are drawn with replacement, because objects of one image are alike: drawing objects would make the interval too narrow.

    Args:
        first: figure of the first model, one per object.
        second: of the second model, same objects in the same order.
        groups: what each object belongs to: its image, or the object itself to draw objects.
        level: of confidence.
        num_resamples: draws; 10000 put the ends within about 0.01 of the interval's width.
        seed: of the draws.

    Raises:
        DataError: the lengths differ or nothing was given.
    """
    if not len(first) == len(second) == len(groups) or not len(first):
        raise DataError(
            f"A paired comparison needs the same objects, but got {len(first)} and {len(second)} of {len(groups)}."
        )
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    number = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    member = np.array([number[group] for group in groups])
    sums, counts = np.bincount(member, differences), np.bincount(member)
    rng = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // len(sums))
    means = np.empty(num_resamples, np.float64)
    for start in range(0, num_resamples, at_once):
        part = means[start : start + at_once]
        drawn = rng.integers(len(sums), size=(len(part), len(sums)))
        part[:] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2)).tolist()
    return Interval(float(differences.mean()), low, high, level, len(sums), len(differences))


@dataclass(frozen=True)
class Comparison:
    """Two models on the same prompts.

    Attributes:
        prompt: kind of prompt.
        first: the model that differences are measured from.
        second: the other model.
        intervals: figure to the mean difference, second minus first, with its interval.
    """

    prompt: PromptMode
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    intervals: Mapping[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        intervals = {name: interval.to_dict() for name, interval in self.intervals.items()}
        return {"prompt": self.prompt, "first": dict(self.first), "second": dict(self.second), "differences": intervals}

    def to_table(self) -> str:
        """One line a figure."""
        width = max(len(name) for name in self.intervals)
        return "\n".join(f"{name:<{width}}  {interval}" for name, interval in self.intervals.items())


def compare(first: Evaluation, second: Evaluation, *, num_resamples: int = 10_000, seed: int = 0) -> Comparison:
    """Compare two models on the same prompts, with paired bootstrap intervals over images.

    Args:
        first: the model that differences are measured from.
        second: the other model; positive differences mean that its figure is larger.
        num_resamples: draws of the bootstrap.
        seed: of the draws.

    Raises:
        DataError: the two are not about the same objects, prompts and settings.
    """
    for name, given in (("first", first), ("second", second)):
        instance_of(given, Evaluation, name, "an evaluation, which evaluate returns", DataError)
    if (first.prompt, first.settings) != (second.prompt, second.settings):
        raise DataError(
            "Only evaluations with the same kind of prompt and the same settings can be compared; evaluate both models again."
        )
    others = {_identity(row, second.prompt): row for row in second.objects}
    keys = [_identity(row, first.prompt) for row in first.objects]
    if set(keys) != set(others) or not keys:
        missing = sorted(set(keys) ^ set(others))
        raise DataError(
            f"The two evaluations are not about the same objects; {len(missing)} are in only one, such as {missing[:3]}."
        )
    pairs = [(row, others[key]) for key, row in zip(keys, first.objects, strict=True)]
    images = [row.sample for row in first.objects]
    intervals = {
        name: paired_bootstrap(
            [figure(a) for a, _ in pairs], [figure(b) for _, b in pairs], images, num_resamples=num_resamples, seed=seed
        )
        for name, figure in _compared_figures(first).items()
    }
    return Comparison(first.prompt, first.model, second.model, intervals)


def _identity(row: ObjectScore, prompt: PromptMode) -> tuple[str, int]:
    # Which object of an image the zero-shot mask fits best depends on the model.
    return row.sample, -1 if prompt == "zero_shot" else row.object_index


def _compared_figures(evaluation: Evaluation) -> dict[str, Callable[[ObjectScore], float]]:
    figures: dict[str, Callable[[ObjectScore], float]] = {
        "miou": lambda row: row.mask_iou,
        "dice": lambda row: row.dice,
        "boundary_f": lambda row: row.boundary_f,
    }
    if evaluation.prompt == "everything":
        return figures | {f"ar_{count}": partial(_recall, count=count) for count in COUNTS}
    if evaluation.prompt != "clicks":
        return figures
    for count in CLICKS_REPORTED:
        figures[f"miou_after_{count}"] = partial(_iou_after, clicks=count)
    for target in NOC_TARGETS:
        figures[noc_name(target)] = partial(_clicks_to_reach, target=target, max_clicks=evaluation.settings.max_clicks)
    return figures


def _recall(row: ObjectScore, count: int) -> float:
    return row.match.recall(count)


def _iou_after(row: ObjectScore, clicks: int) -> float:
    return row.iou_after(clicks)


def _clicks_to_reach(row: ObjectScore, target: float, max_clicks: int) -> float:
    return clicks_to_reach(row.iou_by_click, target, max_clicks)
