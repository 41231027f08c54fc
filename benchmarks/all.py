"""All benchmarks that need no data, one after the other, as one Markdown page.

    .venv/bin/python benchmarks/all.py --peers-python .venv-peers/bin/python --image PHOTO.jpg [--write-docs]

Takes about half an hour on two cores that have nothing else to do. With --write-docs the page is docs/benchmarks.md,
otherwise standard output. A part that fails is named, and does not cost the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

Written by `make bench-docs`; each section says which script measured it, and `make bench` prints the first one. All engines
of a table ran in one run, in turn, on the same image and the same seeded weights, which all of them read from one file:
speed and agreement do not depend on what a model has learned. What was measured with real masks, and for the platform, is
in [measurements.md](measurements.md).

What other machines measured, with a GPU among them, stands at the end, as it was recorded there.
"""
RECORDS = HERE / "records"


def main() -> None:
    """Run the parts and write the page."""
    args = parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / f"{args.config}.pt"
        os.environ["SAM2_ADAPTER_CACHE"] = str(Path(scratch) / "cache")
        os.environ["PYTHONPATH"] = str(HERE.parent)
        command = [args.peers_python, str(HERE / "prediction" / "seeded_weights.py"), args.config, str(weights)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        page = INTRODUCTION
        for title, command in parts(args, weights):
            page += "\n" + section(title, command)
            if args.write_docs:
                # After each part: a run of half an hour that is broken off keeps what it has.
                PAGE.write_text(page + records(), encoding="utf-8")
    if not args.write_docs:
        print(page + records())


def parts(args: argparse.Namespace, weights: Path) -> list[tuple[str, list[str]]]:
    """Titles and commands."""
    model, image = ["--model", str(weights)], ["--image", str(args.image)]
    peers = ["--peers-python", args.peers_python, "--config", args.config]
    return [
        ("Prediction beside the other packages", ["prediction/run.py", *peers, *image]),
        ("The encoder beside the machine's limit", ["prediction/limit.py", *model, *image]),
        ("Cold start to the first mask", ["prediction/cold_start.py", *peers, *image]),
        ("A folder of photographs", ["prediction/folder.py", *model]),
        ("Growth", ["prediction/growth.py", *model, *image]),
        ("One object's share of a training step", ["finetune/speed.py", *model, *image]),
    ]


def records() -> str:
    """What was measured on machines that are not at hand."""
    return "".join("\n" + path.read_text(encoding="utf-8") for path in sorted(RECORDS.glob("*.md")))


def section(title: str, command: list[str]) -> str:
    """What a script prints, under its title."""
    print(title, file=sys.stderr)
    done = subprocess.run(
        [sys.executable, str(HERE / command[0]), *command[1:]], stdout=subprocess.PIPE, text=True, check=False
    )
    text = done.stdout.strip() if done.returncode == 0 else f"Failed with status {done.returncode}."
    return f"## {title}\n\n`benchmarks/{command[0]}`\n\n{text}\n"


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="python of an environment with the other packages")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--config", default="sam2_hiera_s", help="official configuration name")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
