"""Encoding and prediction on a GPU beside the official package: same seeded weights, one run, in turn, medians.

    .venv/bin/python benchmarks/prediction/gpu.py --peers-python .venv-peers/bin/python

Each side runs in a process of its own. `compiled` is the official package's own switch (`compile_image_encoder`, which is
max-autotune of torch.compile; set TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_BACKENDS=ATEN to leave out the search among generated
matrix products, which takes minutes a batch size), and what this package does for very many images. Encoding starts from
pixel values on the GPU; photographs and boxes start from RGB arrays and end with features, and with bool masks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from engines import HERE, worker_environment, write_seeded_weights
from tables import machine, table

SIDES = ("official", "ours")
PRECISIONS = ("fp32", "bf16", "bf16-compiled")
BASELINE = ("official", "fp32", 1)


class Side:
    """A worker process, see gpu_worker.py."""

    def __init__(self, name: str, args: argparse.Namespace, weights: Path) -> None:
        python = sys.executable if name == "ours" else args.peers_python
        self.process = subprocess.Popen(
            [python, str(HERE / "gpu_worker.py"), name, str(weights), args.config, args.device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=worker_environment(name, weights.parent / "cache"),
        )

    def ask(self, **job: Any) -> dict[str, Any]:
        """Let it do a job; ends with its error where it cannot."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit("a worker ended without an answer; what it printed stands above")


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    precisions = [one for one in PRECISIONS if not (args.without_compiler and one.endswith("compiled"))]
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "seeded.pt"
        write_seeded_weights(args.peers_python, args.config, weights)
        sides = {name: Side(name, args, weights) for name in SIDES}
        device = sides["ours"].ask(what="device")["device"]
        encode = measure(sides, args, [("encode", one, batch) for one in precisions for batch in args.batches])
        whole = measure(
            sides, args, [("photos", "bf16", max(args.batches)), *(("boxes", "bf16", n) for n in args.boxes)]
        )
        for side in sides.values():
            assert side.process.stdin is not None
            side.process.stdin.close()
            side.process.wait()
    print(f"{args.config} on {device}, medians of {args.rounds} rounds, {machine()}.\n")
    print(encode_table(encode))
    print()
    print(whole_table(whole))


def measure(
    sides: dict[str, Side], args: argparse.Namespace, jobs: list[tuple[str, str, int]]
) -> dict[tuple[str, str, str, int], float]:
    """Milliseconds by side and job; the first round prepares, which includes compiling."""
    found: dict[tuple[str, str, str, int], list[float]] = {}
    for turn in range(args.rounds + 1):
        for job in jobs:
            for name, side in sides.items():
                answer = side.ask(what=job[0], precision=job[1], count=job[2])
                if turn:
                    found.setdefault((name, *job), []).append(answer["ms"])
                else:
                    print(name, *job, f"first {answer['first_seconds']:.1f} s", file=sys.stderr)
    return {key: statistics.median(times) for key, times in found.items()}


def encode_table(medians: dict[tuple[str, str, str, int], float]) -> str:
    """Images per second of encoding."""
    rates = {(side, precision, batch): batch / ms * 1e3 for (side, _, precision, batch), ms in medians.items()}
    base = rates.get(BASELINE, next(iter(rates.values())))
    best = {
        batch: max(rate for (side, _, at), rate in rates.items() if side == "official" and at == batch)
        for batch in {batch for _, _, batch in rates}
    }
    rows = [
        [
            f"{side}, {precision}",
            batch,
            f"{batch / rate * 1e3:.2f}",
            f"{rate:.0f}",
            f"{rate / base:.2f}",
            f"{rate / best[batch]:.2f}",
        ]
        for (side, precision, batch), rate in rates.items()
    ]
    header = [
        "encoder",
        "batch",
        "ms",
        "images/s",
        "times official fp32, one by one",
        "times official's best at this batch",
    ]
    return table(header, rows)


def whole_table(medians: dict[tuple[str, str, str, int], float]) -> str:
    """From RGB arrays."""
    rows = []
    for (side, what, precision, count), ms in medians.items():
        if side == "ours":
            theirs = medians["official", what, precision, count]
            title = f"features of {count} photographs" if what == "photos" else f"1 photograph, {count} boxes"
            rows.append([title, f"{theirs:.1f}", f"{ms:.1f}", f"{theirs / ms:.2f}"])
    return table(["bf16, from 800 x 1200 RGB arrays", "official ms", "ours ms", "times as fast"], rows)


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="python of an environment with the official package")
    parser.add_argument("--config", default="sam2_hiera_s", help="official configuration name")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--boxes", type=int, nargs="+", default=[1, 32, 200])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-compiler", action="store_true", help="leave out what has to be compiled")
    return parser.parse_args()


if __name__ == "__main__":
    main()
