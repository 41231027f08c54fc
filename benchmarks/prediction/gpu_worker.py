"""One side of gpu.py in one process: reads jobs as JSON lines, answers with milliseconds.

    python gpu_worker.py official|ours WEIGHTS.pt CONFIG_NAME DEVICE

A job is {"what": "encode" | "photos" | "boxes" | "device", "precision": "fp32" | "bf16" | "bf16-compiled", "count": N}.
"""

from __future__ import annotations

import contextlib
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

IMAGE_SIZE = 1024
PHOTO_HW = (800, 1200)
CALLS = {"cuda": (3, 15), "cpu": (0, 1)}  # not timed, timed


class Official:
    """The official package as its examples use it: autocast around everything."""

    def __init__(self, weights: str, config_name: str, device: str) -> None:
        self.weights, self.config_name, self.device = weights, config_name, device

    @cache  # noqa: B019 one object for the life of the process
    def predictor(self, precision: str) -> Any:
        """A predictor of its own for each precision: compiling replaces a method of the model."""
        from sam2.build_sam import build_sam2
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        logging.disable(logging.INFO)  # a line for every image
        compiled = ["++model.compile_image_encoder=true"] if precision.endswith("compiled") else []
        config = f"configs/sam2/{self.config_name}.yaml"
        with contextlib.redirect_stdout(sys.stderr):
            model = build_sam2(config, self.weights, device=self.device, hydra_overrides_extra=compiled)
        return SAM2ImagePredictor(model)

    def call(self, what: str, precision: str, count: int) -> Callable[[], object]:
        """What is timed."""
        predictor = self.predictor(precision)
        photos = make_photos(count if what == "photos" else 1)
        boxes = make_boxes(count)
        pixel_values = make_pixel_values(count if what == "encode" else 1, self.device)

        def encode() -> object:
            model = predictor.model
            _, features, _, _ = model._prepare_backbone_features(model.forward_image(pixel_values))
            features[-1] = features[-1] + model.no_mem_embed
            sizes = predictor._bb_feat_sizes
            return [x.permute(1, 2, 0).reshape(count, -1, *hw) for x, hw in zip(features, sizes, strict=True)]

        def segment() -> object:
            predictor.set_image(photos[0])
            return predictor.predict(box=boxes, multimask_output=False)[0]

        job = {"encode": encode, "photos": lambda: predictor.set_image_batch(photos), "boxes": segment}[what]

        def under_autocast() -> object:
            kind = self.device.partition(":")[0]
            with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=precision != "fp32"):
                return job()

        return under_autocast


class Ours:
    """This package."""

    def __init__(self, weights: str, config_name: str, device: str) -> None:
        self.weights, self.device = weights, device

    @cache  # noqa: B019 one object for the life of the process
    def predictor(self, precision: str) -> Any:
        """A predictor, and the runtime below it."""
        from sam2_adapter.models.engines.torch import TorchRuntime
        from sam2_adapter.models.load import load_model
        from sam2_adapter.predict.predictor import Predictor

        number_format, _, compiled = precision.partition("-")
        loaded = load_model(self.weights)
        runtime = TorchRuntime(loaded.model, self.device, number_format, compile_encoder=bool(compiled))
        return Predictor(runtime, loaded.name, loaded.weights_sha256), runtime

    def call(self, what: str, precision: str, count: int) -> Callable[[], object]:
        """What is timed."""
        predictor, runtime = self.predictor(precision)
        photos = make_photos(count if what == "photos" else 1)
        prompts = [{"box": box} for box in make_boxes(count).tolist()]
        pixel_values = make_pixel_values(count if what == "encode" else 1, self.device)
        return {
            "encode": lambda: runtime.encode(pixel_values),
            "photos": lambda: predictor.embed(photos),
            "boxes": lambda: predictor.predict(predictor.embed(photos)[0], prompts).masks,
        }[what]


def make_photos(count: int) -> list[np.ndarray]:
    """Noise: what is in a photograph changes no time."""
    return [np.random.default_rng(seed).integers(0, 256, (*PHOTO_HW, 3), np.uint8) for seed in range(count)]


def make_boxes(count: int) -> np.ndarray:
    """float32 N x 4 inside the photographs."""
    low = np.random.default_rng(0).uniform(0, 600, (count, 2))
    return np.concatenate([low, low + 150], axis=1).astype(np.float32)


def make_pixel_values(count: int, device: str) -> torch.Tensor:
    """B x 3 x S x S on the device."""
    return torch.randn(count, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).to(device)


def timed(call: Callable[[], object], device: str) -> float:
    """Median milliseconds, each call waited for."""
    warm_up, repeats = CALLS[device.partition(":")[0]]
    times = []
    for index in range(warm_up + repeats):
        started = time.perf_counter()
        call()
        wait(device)
        if index >= warm_up:
            times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def main() -> None:
    """Work on jobs until the input ends."""
    name, weights, config_name, device = sys.argv[1:]
    side = {"official": Official, "ours": Ours}[name](weights, config_name, device)
    calls: dict[tuple[str, str, int], Callable[[], object]] = {}
    for line in sys.stdin:
        job = json.loads(line)
        if job["what"] == "device":
            kind = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
            print(json.dumps({"device": kind}), flush=True)
            continue
        key = (job["what"], job["precision"], job["count"])
        started = time.perf_counter()
        if key not in calls:
            calls[key] = side.call(*key)
            calls[key]()
            wait(device)
        first = time.perf_counter() - started
        print(json.dumps({"first_seconds": first, "ms": timed(calls[key], device)}), flush=True)


if __name__ == "__main__":
    main()
