"""From starting Python to the first mask, each in a process of its own, in turn; medians.

    .venv/bin/python benchmarks/prediction/cold_start.py --peers-python .venv-peers/bin/python --image PHOTO.jpg

The measure is a process that imports torch and transformers and reads the weights, and does nothing with them. For OpenVINO the
model was prepared. The list of commands is what `sam2-adapter --help` answers.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engines import worker_environment, write_seeded_weights
from prepared import prepare, prepared_precision
from tables import machine, table

MEASURE = "import torch and transformers, read the weights"
PROGRAMS = {
    MEASURE: """
import sys, torch
from transformers import Sam2Model
torch.load(sys.argv[1], map_location="cpu", weights_only=True)
""",
    "this package, OpenVINO": """
import sys
import sam2_adapter
from sam2_adapter.images.read import read_image
predictor = sam2_adapter.load_predictor(sys.argv[1])
assert predictor.info.runtime == "openvino"
(embedding,) = predictor.embed([read_image(sys.argv[2])])
assert predictor.predict(embedding, [{"box": [50, 60, 300, 280]}]).masks.shape[0] == 1
""",
    "this package, torch": """
import sys
import sam2_adapter
from sam2_adapter.images.read import read_image
predictor = sam2_adapter.load_predictor(sys.argv[1], runtime="torch")
(embedding,) = predictor.embed([read_image(sys.argv[2])])
assert predictor.predict(embedding, [{"box": [50, 60, 300, 280]}]).masks.shape[0] == 1
""",
    "official": """
import sys, numpy, torch
from PIL import Image
from sam2.build_sam import build_sam2
from sam2.sam2_image_predictor import SAM2ImagePredictor
predictor = SAM2ImagePredictor(build_sam2(f"configs/sam2/{sys.argv[3]}.yaml", sys.argv[1], device="cpu"))
with torch.inference_mode():
    predictor.set_image(numpy.asarray(Image.open(sys.argv[2]).convert("RGB")))
    assert len(predictor.predict(box=numpy.array([50, 60, 300, 280]), multimask_output=False)[0]) == 1
""",
    "this package, the list of commands": """
import sys
from sam2_adapter.__main__ import main
sys.argv[1:] = ["--help"]
main()
""",
}


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    found: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as scratch_dir:
        weights = Path(scratch_dir) / "seeded.pt"
        write_seeded_weights(args.peers_python, args.config, weights)
        prepare(weights, worker_environment("ours", weights.parent / "cache"))
        for repeat in range(args.repeats + 1):
            for name in PROGRAMS:
                seconds = run(name, weights, args)
                if repeat:
                    found[name].append(seconds)
    medians = {name: statistics.median(times) for name, times in found.items()}
    rows = [[name, f"{median:.2f}", f"{median / medians[MEASURE]:.2f}"] for name, median in medians.items()]
    print(f"{args.config}, {args.image.name}, medians of {args.repeats}, {machine()}.")
    print(f"Prepared in {prepared_precision()}.\n")
    print(table(["process", "seconds", "times the first"], rows))


def run(name: str, weights: Path, args: argparse.Namespace) -> float:
    """Wall time of one process."""
    python = args.peers_python if name == "official" else sys.executable
    environment = worker_environment("official" if name == "official" else "ours", weights.parent / "cache")
    started = time.perf_counter()
    command = [python, "-c", PROGRAMS[name], str(weights), str(args.image), args.config]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="python of an environment with the official package")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--config", default="sam2_hiera_s", help="official configuration name")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
