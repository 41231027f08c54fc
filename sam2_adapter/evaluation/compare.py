"""`compare`: two models on the same prompts, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sam2_adapter.errors import DataError
from sam2_adapter.evaluation.bootstrap import Interval, paired_bootstrap
from sam2_adapter.evaluation.metrics import clicks_to_reach
from sam2_adapter.evaluation.scores import CLICKS_REPORTED, NOC_TARGETS, Evaluation, ObjectScore, PromptMode, noc_name


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
    if evaluation.prompt != "clicks":
        return figures
    for count in CLICKS_REPORTED:
        figures[f"miou_after_{count}"] = partial(_iou_after, clicks=count)
    for target in NOC_TARGETS:
        figures[noc_name(target)] = partial(_clicks_to_reach, target=target, max_clicks=evaluation.settings.max_clicks)
    return figures


def _iou_after(row: ObjectScore, clicks: int) -> float:
    return row.iou_after(clicks)


def _clicks_to_reach(row: ObjectScore, target: float, max_clicks: int) -> float:
    return clicks_to_reach(row.iou_by_click, target, max_clicks)
