"""The mode of an image, by its prompts and the settings: the one way from an encoded image to its objects.

Every job, the platform and the calls from Python come through here, so that a new mode is added here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.config_views import PredictionSettings
from sam2_adapter.errors import PromptError
from sam2_adapter.images.sources import Pixels
from sam2_adapter.predict.everything.segment_all import OnPoints, segment_all
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
    *,
    on_points: OnPoints | None = None,
) -> Segmentation:
    """Find the objects of an image.

    Args:
        predictor: the model.
        image: uint8 RGB H x W x 3, or something that reads parts of it, for modes that look at parts.
        embedding: the same, encoded whole; `None` where it is too large for that.
        prompts: one per object; without any, the most prominent object is found, or everything.
        settings: see `Config.prediction`.
        on_points: told how far the search for everything is; see `segment_all`.

    Raises:
        PromptError: as `segment`.
    """
    if not prompts and settings.everything is not None:
        if embedding is None or not isinstance(image, np.ndarray):
            raise PromptError(
                "This image is too large to look for everything in it at once. Name what is meant with boxes, or cut the image."
            )
        label = settings.default_label
        return segment_all(predictor, image, embedding, settings.everything, default_label=label, on_points=on_points)
    return segment(
        predictor,
        embedding,
        prompts,
        clip_to_box=settings.clip_to_box,
        default_label=settings.default_label,
        windowed=WindowedImage(image, WindowRule.of(settings, predictor.info.window)),
    )
