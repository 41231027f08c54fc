"""From a name, a weights file or a directory to a predictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sam2_adapter.errors import ConfigError
from sam2_adapter.model.loading import LoadedModel, load_model
from sam2_adapter.model.runtime import Precision, TorchRuntime
from sam2_adapter.predictor import Predictor

RUNTIMES = ("auto", "torch")


def load_predictor(
    model: str | Path = "sam2_hiera_s.yaml",
    device: str = "auto",
    runtime: str = "auto",
    precision: Precision = "auto",
    **load_options: Any,
) -> Predictor:
    """Load a model for prediction.

    Args:
        model: configuration name (`sam2_hiera_s.yaml`, `sam2.1_hiera_l`, `sam2_nano`, ...), weights file or directory.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        runtime: `auto` or `torch`.
        precision: `auto`, `fp32`, `bf16` or `fp16`; prompts always stay in fp32.
        load_options: see `load_model`.

    Raises:
        ConfigError: an unknown name, device, runtime or precision.
        CheckpointError: the weights do not fit, or are not there and cannot be fetched.
    """
    return make_predictor(load_model(model, **load_options), device, runtime, precision)


def make_predictor(
    loaded: LoadedModel, device: str = "auto", runtime: str = "auto", precision: Precision = "auto"
) -> Predictor:
    """Make a predictor of a model that is loaded already; arguments as in `load_predictor`."""
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime = {runtime!r} is not known; there is {', '.join(RUNTIMES)}.")
    return Predictor(TorchRuntime(loaded.model, device, precision), loaded.name, loaded.weights_sha256, loaded.resize)
