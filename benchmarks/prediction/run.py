"""Prediction on a CPU, side by side with the official package: same weights, same image, same run, engines in turn.

    .venv/bin/python benchmarks/prediction/run.py --peers-python .venv-peers/bin/python --image PHOTO.jpg

The weights are seeded, in Meta's layout, read by both sides from one file: speed does not depend on their values. Prints medians, ratios to
the official package in fp32, and how far the masks agree.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BASELINE = "official-fp32"
ENGINES = [
    "official-fp32",
    "official-bf16",
    "ours-torch-fp32",
    "ours-torch-auto",
    "ours-openvino-fp32",
    "ours-openvino-auto",
]


@dataclass
class Engine:
    """A worker process and what it measured, per number of boxes."""

    name: str
    process: subprocess.Popen[str]
    loaded_mib: float = 0.0
    seconds: dict[int, list[float]] = field(default_factory=dict)
    peak_mib: dict[int, float] = field(default_factory=dict)
    masks: dict[int, np.ndarray] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """The next JSON line of the worker; libraries may print other lines before it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self.name}: the worker ended without an answer")

    def run(self, image: Path, boxes: list[list[float]], scratch: Path) -> None:
        """One timed job."""
        assert self.process.stdin is not None
        masks_path = scratch / f"{self.name}.npy"
        self.process.stdin.write(json.dumps({"image": str(image), "boxes": boxes, "masks": str(masks_path)}) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        self.seconds.setdefault(len(boxes), []).append(answer["seconds"])
        self.peak_mib[len(boxes)] = answer["peak_mib"]
        count = int(np.prod(answer["shape"]))
        self.masks[len(boxes)] = np.unpackbits(np.load(masks_path), count=count).reshape(answer["shape"]).astype(bool)


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    with Image.open(args.image) as image:
        width, height = image.size
    with tempfile.TemporaryDirectory() as scratch_dir:
        scratch = Path(scratch_dir)
        weights = scratch / "seeded.pt"
        command = [args.peers_python, str(HERE / "seeded_weights.py"), args.config, str(weights)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        engines = [start(name, weights, args) for name in args.engines]
        for count in args.boxes:
            boxes = grid_boxes(count, width, height)
            for repeat in range(args.repeats + 1):
                for engine in engines:
                    engine.run(args.image, boxes, scratch)
                    if repeat == 0:
                        engine.seconds[count].clear()  # warm-up
        for engine in engines:
            engine.process.stdin.close()
            engine.process.wait()
    report(engines, args)


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="python of an environment with the official sam2 package")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--config", default="sam2_hiera_s", help="official configuration name")
    parser.add_argument("--boxes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser.parse_args()


def start(name: str, weights: Path, args: argparse.Namespace) -> Engine:
    """Start the worker of an engine and wait until its model is loaded."""
    python = sys.executable if name.startswith("ours") else args.peers_python
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT) if name.startswith("ours") else "",
        # Where the first worker on OpenVINO puts what it compiles; the user's own cache is left alone.
        "SAM2_ADAPTER_CACHE": str(weights.parent / "cache"),
    }
    command = [python, str(HERE / "worker.py"), name, str(weights), args.config]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    engine = Engine(name, process)
    ready = engine.answer()
    engine.loaded_mib = ready["peak_mib"]
    print(f"{name}: torch {ready['torch']}, {ready['threads']} threads", file=sys.stderr)
    return engine


def grid_boxes(count: int, width: int, height: int) -> list[list[float]]:
    """`count` boxes of different places and sizes inside the image; the same in every run."""
    rng = np.random.default_rng(0)
    size = rng.uniform(0.1, 0.5, (count, 2))
    low = rng.uniform(0, 1, (count, 2)) * (1 - size)
    return (np.concatenate([low, low + size], axis=1) * [width, height, width, height]).tolist()


def report(engines: list[Engine], args: argparse.Namespace) -> None:
    """Print the table and write the JSON."""
    baseline = next((engine for engine in engines if engine.name == BASELINE), engines[0])
    rows = [row(engine, baseline, count) for count in args.boxes for engine in engines]
    print(
        f"{args.config}, image {args.image.name}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, medians of {args.repeats}"
    )
    print(
        f"{'boxes':>5}  {'engine':<18} {'seconds':>8} {'x ' + baseline.name:>16} {'MiB over model':>15} {'mask IoU with it':>17}"
    )
    for r in rows:
        print(
            f"{r['boxes']:>5}  {r['engine']:<18} {r['seconds']:>8.3f} {r['times_faster']:>16.2f} {r['mib_over_model']:>15.0f} {r['median_mask_iou']:>17.4f}"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


def row(engine: Engine, baseline: Engine, count: int) -> dict[str, Any]:
    """Figures of one engine and number of boxes."""
    seconds = statistics.median(engine.seconds[count])
    ours, theirs = engine.masks[count], baseline.masks[count]
    unions = (ours | theirs).sum((1, 2))
    ious = np.where(unions > 0, (ours & theirs).sum((1, 2)) / np.maximum(unions, 1), 1.0)
    return {
        "boxes": count,
        "engine": engine.name,
        "seconds": seconds,
        "times_faster": statistics.median(baseline.seconds[count]) / seconds,
        "mib_over_model": engine.peak_mib[count] - engine.loaded_mib,
        "median_mask_iou": float(np.median(ious)),
    }


if __name__ == "__main__":
    main()
