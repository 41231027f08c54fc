"""From the name or the path of a model to a predictor."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sam2_adapter.models.engines.base import Precision
from sam2_adapter.models.engines.choose import make_runtime
from sam2_adapter.models.engines.torch_decoder import with_torch_decoder
from sam2_adapter.models.load import LoadedModel, load_model
from sam2_adapter.predict.predictor import Predictor

logger = logging.getLogger(__name__)


def load_predictor(
    model: str | Path = "sam2_hiera_s.yaml",
    device: str = "auto",
    runtime: str = "auto",
    precision: Precision = "auto",
    expected_images: int = 1,
    *,
    architecture: str | None = None,
    cache_dir: str | Path | None = None,
    offline: bool | None = None,
) -> Predictor:
    """Load a model for prediction.

    Args:
        model: configuration name (`sam2_hiera_s.yaml`, `sam2.1_hiera_l`, `sam2_nano`, ...), weights file or directory.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        runtime: `auto`, `torch` or `openvino`; see `make_runtime`.
        precision: `auto`, `fp32`, `bf16`, `fp16` or, with OpenVINO, `int8`; prompts always stay in fp32.
        expected_images: how many images it will encode; for many, `runtime="auto"` takes the time to compile the model.
        architecture: as in `load_model`.
        cache_dir: as in `load_model`.
        offline: as in `load_model`.

    Raises:
        ConfigError: an unknown name, device, runtime or precision, or a runtime that is not installed.
        CheckpointError: the weights do not fit, or are not there and cannot be fetched.
    """
    started = time.perf_counter()
    loaded = load_model(model, architecture=architecture, cache_dir=cache_dir, offline=offline)
    logger.info("read %s from %s in %.1f s", loaded.name, loaded.path, time.perf_counter() - started)
    return make_predictor(loaded, device, runtime, precision, expected_images)


def make_predictor(
    loaded: LoadedModel,
    device: str = "auto",
    runtime: str = "auto",
    precision: Precision = "auto",
    expected_images: int = 1,
    *,
    as_in_training: bool = False,
) -> Predictor:
    """Make a predictor of a model that is loaded already; other arguments as in `load_predictor`.

    Args:
        loaded: the model.
        device: where it runs.
        runtime: the engine.
        precision: its number format.
        expected_images: how many images it will encode.
        as_in_training: decode masks with torch whatever the engine, as fine-tuning does between epochs: figures agree to the last digit.
    """
    started = time.perf_counter()
    engine = make_runtime(
        loaded, device, runtime, precision, expected_images=expected_images, with_decoder=not as_in_training
    )
    if as_in_training:
        engine = with_torch_decoder(engine, loaded, device, precision)
    architecture = loaded.architecture.name
    predictor = Predictor(
        engine,
        loaded.name,
        loaded.weights_sha256,
        loaded.resize,
        architecture=architecture,
        base=loaded.base,
        window=loaded.window,
        everything=loaded.everything,
    )
    made = predictor.info
    logger.info(
        "ready after %.1f s: %s in %s on %s", time.perf_counter() - started, made.runtime, made.precision, made.device
    )
    return predictor
