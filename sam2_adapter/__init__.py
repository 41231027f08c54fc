"""Masks from prompts with Segment Anything Model 2.

    import sam2_adapter

    predictor = sam2_adapter.load_predictor("sam2_hiera_s.yaml")
    embedding = predictor.embed("street.jpg")
    prediction = predictor.predict(embedding, [{"box": [10, 20, 200, 180]}])

Importing this package imports no torch: a name is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sam2_adapter._version import __version__ as __version__

if TYPE_CHECKING:
    from sam2_adapter.annotations.masks import MaskPrediction
    from sam2_adapter.annotations.objects import Annotation
    from sam2_adapter.annotations.prompts import Prompt
    from sam2_adapter.config import Config
    from sam2_adapter.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        ExportError,
        ImageError,
        PromptError,
        Sam2AdapterError,
        TrainingError,
        WeightsNotFoundError,
    )
    from sam2_adapter.evaluation.evaluate import evaluate
    from sam2_adapter.formats.load import load_dataset
    from sam2_adapter.images.read import read_image
    from sam2_adapter.jobs.predict_images import predict_images
    from sam2_adapter.jobs.segment_image import SegmentedImage, segment_everything, segment_image
    from sam2_adapter.predict.load import load_predictor
    from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
    from sam2_adapter.predict.segment import Segmentation, segment
    from sam2_adapter.training.fine_tune import fine_tune

__all__ = [
    "Annotation",
    "CheckpointError",
    "Config",
    "ConfigError",
    "DataError",
    "ExportError",
    "ImageEmbedding",
    "ImageError",
    "MaskPrediction",
    "Predictor",
    "Prompt",
    "PromptError",
    "Sam2AdapterError",
    "Segmentation",
    "SegmentedImage",
    "TrainingError",
    "WeightsNotFoundError",
    "__version__",
    "evaluate",
    "fine_tune",
    "load_dataset",
    "load_predictor",
    "predict_images",
    "read_image",
    "segment",
    "segment_everything",
    "segment_image",
]

_ERRORS = {name: "errors" for name in __all__ if name.endswith("Error")}
_HOMES = {
    **_ERRORS,
    "Annotation": "annotations.objects",
    "Config": "config",
    "ImageEmbedding": "predict.predictor",
    "MaskPrediction": "annotations.masks",
    "Predictor": "predict.predictor",
    "Prompt": "annotations.prompts",
    "SegmentedImage": "jobs.segment_image",
    "Segmentation": "predict.segment",
    "evaluate": "evaluation.evaluate",
    "fine_tune": "training.fine_tune",
    "load_dataset": "formats.load",
    "load_predictor": "predict.load",
    "predict_images": "jobs.predict_images",
    "read_image": "images.read",
    "segment": "predict.segment",
    "segment_everything": "jobs.segment_image",
    "segment_image": "jobs.segment_image",
}


def __getattr__(name: str) -> Any:
    """Import the module that a public name lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sam2_adapter' has no attribute {name!r}")
    value = getattr(import_module(f"sam2_adapter.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
