"""Settings of a job: from the configuration, and fitted to the device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sam2_adapter.config import Config
from sam2_adapter.config_views import PredictionSettings
from sam2_adapter.images.read import MAX_PIXELS
from sam2_adapter.jobs.predict_options import PredictOptions
from tests.small_model import small_predictor


def test_they_are_built_from_the_configuration() -> None:
    config = Config(clip_to_box=False, default_label="cell", window=96, max_windows=8, output_type="polygon")
    options = PredictOptions.from_config(config, units="fraction", batch_size=3)
    assert options == PredictOptions(
        PredictionSettings(False, "cell", "96", 8, None), "polygon", "fraction", MAX_PIXELS, 3, None
    )
    assert PredictOptions.from_config() == PredictOptions(
        PredictionSettings(True, "object", "off", 64, None), "mask", "pixel", MAX_PIXELS, None, None
    )


@pytest.mark.parametrize(("device", "batch_size", "workers"), [("cpu", 1, 2), ("cuda:0", 16, 8)])
def test_batches_and_readers_suit_the_device(monkeypatch, device: str, batch_size: int, workers: int) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    fitting = small_predictor()
    fitting.info = replace(fitting.info, device=device)
    fitting._runtime.images_per_call = 16 if device != "cpu" else 1
    fitted = PredictOptions.from_config().fitted_to(fitting)
    assert (fitted.batch_size, fitted.workers) == (batch_size, workers)
    asked = PredictOptions.from_config(batch_size=3, workers=5).fitted_to(fitting)
    assert (asked.batch_size, asked.workers) == (3, 5)
