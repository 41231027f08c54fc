"""How time and memory grow with the size of the image and the number of prompts; each point in a process of its own.

.venv/bin/python benchmarks/prediction/growth.py --model WEIGHTS --image PHOTO.jpg
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prepared import prepare
from run import grid_boxes
from tables import machine, table

SIDES = (512, 1024, 2048, 4096, 8192)
BOXES = (1, 8, 32, 128, 512)
SIDE_FOR_BOXES = 1024


def main() -> None:
    """Measure in child processes and print, or be such a child."""
    args = parse_arguments()
    if args.point:
        print(json.dumps(measure(args, *args.point)))
        return
    if args.runtime == "openvino":
        prepare(args.model)
    by_side = {side: measured_in_child(args, side, 1) for side in SIDES}
    by_boxes = {count: measured_in_child(args, SIDE_FOR_BOXES, count) for count in BOXES}
    precision = by_side[SIDES[0]]["precision"]
    header = ["seconds, encoding", "seconds, masks", "MiB over model"]
    print(f"{args.model.name}, runtime {args.runtime} in {precision}, medians of {args.repeats}, {machine()}.\n")
    print("One box, image of side x side pixels:\n")
    print(table(["side", *header], rows(by_side)))
    print(f"\nImage of {SIDE_FOR_BOXES} x {SIDE_FOR_BOXES} pixels:\n")
    print(table(["boxes", *header], rows(by_boxes)))


def rows(found: dict[int, dict[str, Any]]) -> list[list[object]]:
    """Table rows."""
    return [
        [number, f"{one['encoding']:.3f}", f"{one['masks']:.3f}", f"{one['mib']:.0f}"] for number, one in found.items()
    ]


def measured_in_child(args: argparse.Namespace, side: int, count: int) -> dict[str, Any]:
    """What `measure` gives in a process of its own."""
    shared = ["--model", str(args.model), "--image", str(args.image), "--runtime", args.runtime]
    command = [sys.executable, __file__, *shared, "--repeats", str(args.repeats), "--point", str(side), str(count)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def measure(args: argparse.Namespace, side: int, count: int) -> dict[str, float | str]:
    """Medians, the largest memory over that of the loaded and once used model, and the number format."""
    from sam2_adapter.predict.load import load_predictor
    from sam2_adapter.predict.segment import segment

    predictor = load_predictor(args.model, runtime=args.runtime, expected_images=10**6)
    with Image.open(args.image) as photo:
        image = np.asarray(photo.convert("RGB").resize((side, side)))
        small = np.asarray(photo.convert("RGB").resize((64, 64)))
    predictor.predict(predictor.embed([small])[0])
    before = peak_mib()
    prompts = [{"box": box} for box in grid_boxes(count, side, side)]
    encoding, masks = [], []
    for _ in range(args.repeats):
        started = time.perf_counter()
        embedding = predictor.embed([image])[0]
        encoding.append(time.perf_counter() - started)
        started = time.perf_counter()
        segment(predictor, embedding, prompts)
        masks.append(time.perf_counter() - started)
    return {
        "encoding": statistics.median(encoding),
        "masks": statistics.median(masks),
        "mib": peak_mib() - before,
        "precision": predictor.info.precision,
    }


def peak_mib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--point", type=int, nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
