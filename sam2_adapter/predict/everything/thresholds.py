"""Which masks of everything-mode are good enough: what the settings say, else what suits the model, else Meta's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sam2_adapter.config_everything import EverythingSettings

# Defaults of Meta's generator.
PRED_IOU_THRESH = 0.8
STABILITY_SCORE_THRESH = 0.95
NMS_THRESH = 0.7

# What suits models whose masks are less stable than those of Meta's: chosen on validation images of nuclei, by mSA.
OF_ARCHITECTURES: Mapping[str, Mapping[str, float]] = {
    "sam2_nano": {"pred_iou_thresh": 0.7, "stability_score_thresh": 0.5},
}

# No pair of masks has a larger IoU.
_OFF = 1.0


@dataclass(frozen=True)
class Thresholds:
    """What masks have to reach.

    Attributes:
        iou: predicted IoU, exclusive.
        stability: IoU of the mask at +offset and -offset, inclusive.
        offset: of the logits.
        box_nms: of masks whose boxes have a larger IoU one is kept.
        mask_nms: of masks with a larger IoU one is kept.
    """

    iou: float
    stability: float
    offset: float
    box_nms: float
    mask_nms: float

    @classmethod
    def of(
        cls, settings: EverythingSettings, model: Mapping[str, Any] | None = None, architecture: str = ""
    ) -> Thresholds:
        """The thresholds for a model: its own ones, by the names of the settings, come before those of its architecture."""
        own = {**OF_ARCHITECTURES.get(architecture, {}), **(model or {})}
        is_exact = settings.everything_mode == "exact"
        return cls(
            _first(settings.pred_iou_thresh, own.get("pred_iou_thresh"), PRED_IOU_THRESH),
            _first(settings.stability_score_thresh, own.get("stability_score_thresh"), STABILITY_SCORE_THRESH),
            settings.stability_score_offset,
            _first(settings.box_nms_thresh, NMS_THRESH if is_exact else _OFF),
            _first(settings.mask_nms_thresh, _OFF if is_exact else NMS_THRESH),
        )


def _first(*values: float | None) -> float:
    return next(float(value) for value in values if value is not None)
