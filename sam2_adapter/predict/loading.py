"""The earlier home of `load_predictor`, which the tools of the bundled model still name."""

from sam2_adapter.predict.predictor import load_predictor

__all__ = ["load_predictor"]
