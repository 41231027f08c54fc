"""The encoder's arithmetic beside the fastest matrix product of this machine, in turn; medians.

    .venv/bin/python benchmarks/prediction/limit.py --model WEIGHTS --image PHOTO.jpg

Operations are counted on the torch model, attention included. The limit is the best of several sizes of square matrices in torch, in the same
number format.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tables import machine, native_precisions, table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sam2_adapter.images.read import read_image
from sam2_adapter.models.load import load_model
from sam2_adapter.models.network.image_encoder import encode_image
from sam2_adapter.models.network.preprocess import images_to_pixel_values
from sam2_adapter.predict.load import make_predictor

SIDES = (1024, 2048, 3072)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    loaded = load_model(args.model)
    predictors = {
        (runtime, precision): make_predictor(loaded, "cpu", runtime, precision)
        for precision in args.precision
        for runtime in ("torch", "openvino")
    }
    size = loaded.model.prompt_encoder.input_image_size
    values = images_to_pixel_values([read_image(args.image)], size)
    # Fused attention is not counted.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        encode_image(loaded.model, values)
    operations = counter.get_total_flops()
    products = {precision: [square(side, DTYPES[precision]) for side in SIDES] for precision in args.precision}
    limits: dict[str, list[float]] = {precision: [] for precision in args.precision}
    speeds: dict[tuple[str, str], list[float]] = {key: [] for key in predictors}
    for repeat in range(args.repeats + 1):
        for precision in args.precision:
            best = max(2 * side**3 / seconds(product) for side, product in zip(SIDES, products[precision], strict=True))
            limits[precision] += [best] if repeat else []
        for key, predictor in predictors.items():
            speed = operations / seconds(lambda predictor=predictor: predictor._runtime.encode(values))
            speeds[key] += [speed] if repeat else []
    print(f"{args.model.name}, {operations / 1e9:.0f} GFLOP an image, medians of {args.repeats}, {machine()}.\n")
    rows = [row(runtime, precision, speeds[runtime, precision], limits[precision]) for runtime, precision in predictors]
    print(table(["encoder", "GFLOP/s", "matrix product, GFLOP/s", "share"], rows))


def row(runtime: str, precision: str, speeds: list[float], limits: list[float]) -> list[str]:
    """One line of the table."""
    speed, limit = statistics.median(speeds), statistics.median(limits)
    return [f"{runtime}, {precision}", f"{speed / 1e9:.0f}", f"{limit / 1e9:.0f}", f"{100 * speed / limit:.0f} %"]


def square(side: int, dtype: torch.dtype) -> Callable[[], object]:
    """The product of two square matrices."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return lambda: a @ b


def seconds(action: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--precision", nargs="+", default=native_precisions(), choices=list(DTYPES))
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
