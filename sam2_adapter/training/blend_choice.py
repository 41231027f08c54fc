"""Which share of the tuned weights is saved: what is gained in the domain is held against what is lost in general."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sam2_adapter.config_views import Blend
from sam2_adapter.training.general import MOST_LOST, GeneralQuality
from sam2_adapter.training.quality import Figures

# `auto` looks at every tenth; else the curve has the quarters, or after a short run the half, which takes less time.
_TENTHS = tuple(at / 10 for at in range(11))
_QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
_HALVES = (0.0, 0.5, 1.0)
_SHORT_RUN = 10

# Where the shares that lose little keep less than this part of what was gained, a compromise is taken.
_LEAST_KEPT = 0.5


@dataclass(frozen=True)
class BlendPoint:
    """The model with a share of the tuned weights, on the validation objects and on the general set.

    Attributes:
        share: of the tuned weights, 0..1.
        figures: means over the validation objects.
        general: means over the general set; `None` without one.
    """

    share: float
    figures: Figures
    general: GeneralQuality | None = None

    @property
    def score(self) -> float:
        """What models are chosen by."""
        return self.figures.score

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        figures = self.figures
        general = None if self.general is None else {**asdict(self.general), "score": self.general.score}
        return {
            "share": self.share,
            "score": self.score,
            **{name: getattr(figures, name) for name in ("miou_box", "miou_click", "miou_clicks", "miou_20_clicks")},
            "general": general,
        }


@dataclass(frozen=True)
class BlendChoice:
    """What was measured over shares, and what came of it.

    Attributes:
        share: of the tuned weights in the saved model.
        reason: why, in one sentence.
        curve: the shares that were measured, 0 first; empty where nothing was gained or the run was interrupted.
    """

    share: float
    reason: str
    curve: tuple[BlendPoint, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"share": self.share, "reason": self.reason, "curve": [point.to_dict() for point in self.curve]}

    @property
    def saved(self) -> BlendPoint | None:
        """The point of the saved model."""
        return next((point for point in self.curve if point.share == self.share), None)


def shares_to_measure(blend: Blend, num_epochs: int) -> tuple[float, ...]:
    """The shares of the curve, ascending, after a run of so many epochs."""
    if isinstance(blend, str):
        return _TENTHS
    return tuple(sorted({*(_QUARTERS if num_epochs >= _SHORT_RUN else _HALVES), blend}))


def choose_share(blend: Blend, curve: Sequence[BlendPoint]) -> tuple[float, str]:
    """The share to save, and why.

    `auto` takes the share with the largest score on the validation objects among those that lose at most `MOST_LOST` of mean IoU on the general
    set, from the box and from one click. Where these keep less than half of what was gained, it takes the share with the largest sum of the
    score and of the mean of the general set, a compromise. Of equal ones the smallest is taken.

    Args:
        blend: the setting.
        curve: what was measured, with the general set where `blend` is `auto`; the first one is the untouched model, the last one the tuned one.
    """
    if not isinstance(blend, str):
        return blend, f"blend = {blend:g} was set"
    untouched, tuned = curve[0], curve[-1]
    allowed = [point for point in curve if _lost(point, untouched) <= MOST_LOST]
    best = max(allowed, key=lambda point: point.score)
    if best.score - untouched.score >= _LEAST_KEPT * (tuned.score - untouched.score):
        return best.share, f"of the shares that lose at most {MOST_LOST:g} on the general set it has the highest score"
    best = max(curve, key=lambda point: point.score + (point.general.score if point.general else 0.0))
    return best.share, (
        f"a compromise: the shares that lose at most {MOST_LOST:g} on the general set keep less than half of the gain; this one has the "
        "largest sum of both scores"
    )


def _lost(point: BlendPoint, untouched: BlendPoint) -> float:
    if point.general is None or untouched.general is None:
        return 0.0
    return point.general.lost_since(untouched.general)
