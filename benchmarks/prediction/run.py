"""Prediction on a CPU, side by side with the other packages: same weights, same image, same run, engines in turn.

    .venv/bin/python benchmarks/prediction/run.py --peers-python .venv-peers/bin/python --image PHOTO.jpg

The weights are seeded, in Meta's layout, read by all sides from one file: speed does not depend on their values. Prints
Markdown: medians, ratios to every peer, and how far the masks of all engines agree. 0 boxes means that the whole image is
the prompt.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from engines import Engine, EngineError, start, write_seeded_weights
from PIL import Image
from prepared import prepared_precision
from tables import machine, native_precisions, table

BASELINE = "official-fp32"
ENGINES = [
    "official-fp32",
    "official-bf16",
    "existing-fp32",
    "ultralytics-fp32",
    "transformers-fp32",
    "onnxruntime-fp32",
    "ours-torch-fp32",
    "ours-torch-auto",
    "ours-openvino-fp32",
    "ours-openvino-auto",
    "ours-openvino-int8",
]
CAN_DO_ZERO_SHOT = ("official", "ours")
# A job this long is not repeated: its share of noise is small.
LONG_SECONDS = 12.0


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    with Image.open(args.image) as image:
        width, height = image.size
    with tempfile.TemporaryDirectory() as scratch_dir:
        scratch = Path(scratch_dir)
        weights = scratch / "seeded.pt"
        write_seeded_weights(args.peers_python, args.config, weights)
        engines = start_all(args, weights)
        for count in args.boxes:
            measure(engines, args.image, grid_boxes(count, width, height), args.repeats, scratch)
            if args.json:
                seconds = {engine.name: engine.seconds for engine in engines}
                facts = {"machine": machine(), "config": args.config, "seconds": seconds}
                args.json.write_text(json.dumps(facts, indent=1))
        for engine in engines:
            engine.stop()
    print(report(engines, args))


def start_all(args: argparse.Namespace, weights: Path) -> list[Engine]:
    """The engines that start; the others are named."""
    engines = []
    for name in args.engines:
        try:
            engines.append(start(name, weights, args.config, args.peers_python))
        except EngineError as error:
            print(f"left out: {error}", file=sys.stderr)
    return engines


def measure(engines: list[Engine], image: Path, boxes: list[list[float]], repeats: int, scratch: Path) -> None:
    """Let all engines do one job in turn; the first round warms up."""
    waiting = [engine for engine in engines if boxes or engine.name.startswith(CAN_DO_ZERO_SHOT)]
    for repeat in range(repeats + 1):
        for engine in list(waiting):
            try:
                seconds = engine.run(image, boxes, scratch)
            except EngineError as error:
                print(f"left out with {len(boxes)} boxes: {error}", file=sys.stderr)
                waiting.remove(engine)
                continue
            if seconds > LONG_SECONDS:
                waiting.remove(engine)
            elif repeat == 0:
                engine.seconds[len(boxes)].clear()
    print(f"{len(boxes)} boxes measured", file=sys.stderr)


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="python of an environment with the other packages")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--config", default="sam2_hiera_s", help="official configuration name")
    parser.add_argument("--boxes", type=int, nargs="+", default=[0, 1, 32, 200])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=engines_of_this_machine())
    parser.add_argument("--json", type=Path, help="also write the figures here, after each number of boxes")
    return parser.parse_args()


def engines_of_this_machine() -> list[str]:
    """Without those in a precision that this processor only emulates, and those that would be the same as another."""
    left_out = {
        *(() if "bf16" in native_precisions() else ("official-bf16", "ours-torch-auto", "ours-openvino-auto")),
        *(() if prepared_precision() == "int8" else ("ours-openvino-int8",)),
    }
    return [name for name in ENGINES if name not in left_out]


def grid_boxes(count: int, width: int, height: int) -> list[list[float]]:
    """`count` boxes of different places and sizes inside the image; the same in every run."""
    rng = np.random.default_rng(0)
    size = rng.uniform(0.1, 0.5, (count, 2))
    low = rng.uniform(0, 1, (count, 2)) * (1 - size)
    return (np.concatenate([low, low + size], axis=1) * [width, height, width, height]).tolist()


def report(engines: list[Engine], args: argparse.Namespace) -> str:
    """Markdown."""
    lines = [f"{args.config}, {args.image.name}, medians of {args.repeats}, {machine()}.", ""]
    lines += [f"With OpenVINO `precision: auto` is {prepared_precision()} here, once `doctor --prepare` has run.", ""]
    for count in args.boxes:
        measured = [engine for engine in engines if engine.seconds.get(count)]
        what = "The whole image as the prompt" if count == 0 else f"{count} boxes" if count > 1 else "1 box"
        lines += [f"### {what}", "", speed_table(measured, count), ""]
    shared = max(args.boxes, key=lambda count: (count == 32, count))
    measured = [engine for engine in engines if shared in engine.masks]
    lines += [f"### Agreement of the masks: median IoU over {shared} boxes", "", agreement_table(measured, shared)]
    return "\n".join(lines)


def speed_table(engines: list[Engine], count: int) -> str:
    """Seconds, speed beside the first engine and beside the fastest, memory."""
    medians = {engine.name: statistics.median(engine.seconds[count]) for engine in engines}
    baseline = medians.get(BASELINE, next(iter(medians.values())))
    best = min(medians.values())
    rows = [
        [
            engine.name,
            f"{medians[engine.name]:.3f}",
            f"{baseline / medians[engine.name]:.2f}",
            f"{medians[engine.name] / best:.2f}",
            f"{engine.peak_mib[count] - engine.loaded_mib:.0f}",
        ]
        for engine in engines
    ]
    return table(
        ["engine", "seconds", f"times as fast as {BASELINE}", "times the best one's time", "MiB over model"], rows
    )


def agreement_table(engines: list[Engine], count: int) -> str:
    """Median mask IoU of every pair."""
    rows = [
        [one.name, *(f"{median_iou(one.masks[count], other.masks[count]):.4f}" for other in engines)] for one in engines
    ]
    return table(["", *(engine.name for engine in engines)], rows)


def median_iou(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Median IoU of bool masks P x H x W; NaN where the numbers of masks differ."""
    if ours.shape != theirs.shape:
        return float("nan")
    unions = (ours | theirs).sum((1, 2))
    return float(np.median(np.where(unions > 0, (ours & theirs).sum((1, 2)) / np.maximum(unions, 1), 1.0)))


if __name__ == "__main__":
    main()
