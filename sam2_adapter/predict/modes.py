"""The mode of an image, by its prompts and the settings: the one way from an encoded image to its objects.

Every job, the platform and the calls from Python come through here, so that a new mode is added here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.config_views import PredictionSettings
from sam2_adapter.images.sources import Pixels
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import Segmentation, segment
from sam2_adapter.predict.window import RegionSource
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.predict.windows import WindowedImage


def find_objects(
    predictor: Predictor,
    image: Pixels | RegionSource,
    embedding: ImageEmbedding | None,
    prompts: Sequence[Prompt | RefusedPrompt | Mapping[str, Any]] | None,
    settings: PredictionSettings,
) -> Segmentation:
    """Find the objects of an image.

    Args:
        predictor: the model.
        image: uint8 RGB H x W x 3, or something that reads parts of it, for modes that look at parts.
        embedding: the same, encoded whole; `None` where it is too large for that.
        prompts: one per object; without any, the most prominent object is found.
        settings: see `Config.prediction`.

    Raises:
        PromptError: as `segment`.
    """
    return segment(
        predictor,
        embedding,
        prompts,
        clip_to_box=settings.clip_to_box,
        default_label=settings.default_label,
        windowed=WindowedImage(image, WindowRule.of(settings, predictor.info.window)),
    )
