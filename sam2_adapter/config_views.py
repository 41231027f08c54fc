"""What belongs together among the settings, as values: `Config` makes them, and holds all their defaults."""

from __future__ import annotations

import math
from dataclasses import asdict, astuple, dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.errors import ConfigError

VariantName = Literal[
    "original",
    "flip_x",
    "flip_y",
    "turn",
    "transpose",
    "crop_top_left",
    "crop_top_right",
    "crop_bottom_left",
    "crop_bottom_right",
    "bright",
    "dark",
    "contrast",
    "pale",
    "grey",
]

TrainedParts = Literal["decoder", "candidates"]

SMALLEST_WINDOW, LARGEST_WINDOW = 16, 8192
"""Pixels that the side of a window may have."""


def _window_as_text(value: Any) -> Any:
    # YAML reads `off` as false, and a number as one.
    text = "off" if value is False else str(value) if type(value) is int else value
    is_number = isinstance(text, str) and text.isascii() and text.isdigit()
    if text in ("off", "auto") or (is_number and len(text) < 6 and SMALLEST_WINDOW <= int(text) <= LARGEST_WINDOW):
        return text
    raise PydanticCustomError("window", "not allowed")


# Where small prompts are answered, as the setting `window` says it: 'off', 'auto' or a number of pixels.
WindowName = Annotated[str, BeforeValidator(_window_as_text)]

# Share of the tuned weights in the saved model.
Blend = float | Literal["auto"]


@dataclass(frozen=True)
class PredictionSettings:
    """What decides which objects an image has; `find_objects` goes by them, and a run can only be resumed with the same.

    Attributes:
        clip_to_box: cut masks at the boxes of their prompts.
        default_label: label of objects whose prompt has none.
        window: `off`, `auto` or a number of pixels, as text; see the setting.
        max_windows: most windows of an image.
        everything: how all objects of an image without prompts are found; `None` for its most prominent object.
    """

    clip_to_box: bool
    default_label: str
    window: str
    max_windows: int
    everything: EverythingSettings | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        everything = None if self.everything is None else self.everything.model_dump(mode="json")
        return {**asdict(self), "everything": everything}


@dataclass(frozen=True)
class PromptMix:
    """How often each kind of first prompt is drawn in training; the weights need not add up to 1.

    Attributes:
        box: a box with jitter.
        tight_box: the exact box.
        click: one point anywhere in the object.
        centre_click: the point farthest from the object's border.
        clicks: several points inside and outside.
        box_and_clicks: a box with jitter and several points.
    """

    box: float
    tight_box: float
    click: float
    centre_click: float
    clicks: float
    box_and_clicks: float

    def __post_init__(self) -> None:
        """Check that there is something to draw."""
        weights = astuple(self)
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not sum(weights):
            raise ConfigError(
                f"The weights of a prompt mix are not negative and at least one is positive, but got {self}."
            )


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts of the loss; a part with weight 0 is not computed.

    Attributes:
        focal: focal loss over the pixels.
        bce: binary cross-entropy over the pixels.
        dice: overlap with the object, which counts small objects as much as large ones.
        iou_score: error of the predicted IoU scores.
        object_score: cross-entropy of the score that says whether the object is there; it always is.
        iou_score_error: `l1`, as SAM2 does, or `mse`, as SAM did.
        other_candidates: mean mask loss of the two candidates that fit worse than the best one. At 0, as in SAM2, a click
            may mean several objects and each candidate keeps its own; above, all of them learn what this data set means by a
            click (relaxed winner-takes-all, https://arxiv.org/abs/1612.00197).
    """

    focal: float
    bce: float
    dice: float
    iou_score: float
    object_score: float
    iou_score_error: Literal["l1", "mse"]
    other_candidates: float


@dataclass(frozen=True)
class EncodingLimits:
    """How images are encoded and kept while training.

    Attributes:
        batch: images in one encoder call.
        memory_bytes: encoded images kept in memory, for all processes of a machine together.
        disk_bytes: encoded images kept on disk; 0 keeps none.
        min_free_bytes: space of the disk that is left to others.
    """

    batch: int
    memory_bytes: int
    disk_bytes: int
    min_free_bytes: int
