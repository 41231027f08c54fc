"""How sure a difference between two models is: the paired bootstrap over images."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sam2_adapter.errors import DataError

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
        first: figure of the first model, one an object.
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
