"""Run the long tests part by part, and say at the end what each part did and how long it took.

    python tools/soak.py                 all parts, one after another
    python tools/soak.py tiff weights    these parts
    python tools/soak.py list            what there is

A part that fails does not end the others; the exit status is 1 where one failed. To go on after an interruption, name the parts that are left.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Read by tests/shapes.py.
MORE_EXAMPLES = "SAM2_ADAPTER_MORE_EXAMPLES"


@dataclass(frozen=True)
class Part:
    """Some of the long tests.

    Attributes:
        what: what they try, for people.
        tests: files or folders of tests.
        marks: pytest's expression of marks.
        more_examples: how many times more examples than in `make test`.
    """

    what: str
    tests: tuple[str, ...]
    marks: str = "soak"
    more_examples: int = 1


PARTS = {
    "weights": Part("2,000 mutations for each kind of weights file", ("tests/models/weights/test_tensor_files.py",)),
    "tiff": Part("every layout of TIFF files, over 10,000, beside tifffile", ("tests/images/tiff/test_samples.py",)),
    "tiles": Part("200 boxes on a picture of 50,000 x 50,000 pixels", ("tests/images/tiff/test_tiles.py",)),
    "label": Part("20 kills of the page's server at random moments", ("tests/label/test_kills.py",)),
    "repeats": Part("20 equal evaluations to the last digit", ("tests/evaluation/test_evaluate.py",)),
    "examples": Part("20 times more examples in every property test", ("tests",), "examples and not slow", 20),
    "predict": Part("20 kills of `predict` at random moments, each gone on with", ("tests/jobs/test_journal.py",)),
    "train": Part("20 kills of a training run at random moments", ("tests/training/test_kill_and_share.py",)),
    "faults": Part("200 random faults over every flow of the platform, five times", ("tests/dataloop/test_soak.py",)),
    "ray": Part("a worker of a cluster that dies of an image", ("tests/jobs/ray/test_run.py",)),
    "docker": Part("the image's script in a new environment; needs a package index", ("tests/test_docker.py",)),
}


def main(names: list[str]) -> int:
    """Run the parts of these names, all where there are none; returns the exit status."""
    if names == ["list"]:
        for name, part in PARTS.items():
            print(f"{name:9} {part.what}")
        return 0
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"There is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    rows = [_run(name) for name in names or PARTS]
    print("\nsoak:")
    for row in rows:
        print(f"  {row}")
    return int(any(" FAILED " in row for row in rows))


def _run(name: str) -> str:
    """Run a part and show what it prints; returns one line about it."""
    part = PARTS[name]
    print(f"\n== {name}: {part.what}", flush=True)
    started, last = time.monotonic(), ""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "--durations=5", "-m", part.marks, *part.tests]
    environment = {**os.environ, MORE_EXAMPLES: str(part.more_examples)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    verdict = "passed" if process.returncode == 0 else "FAILED"
    counts = re.sub(r" in [\d.]+s.*", "", last.strip("= "))
    return f"{name:9} {verdict} after {(time.monotonic() - started) / 60:.1f} min: {counts}; {part.what}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
