"""Time everything-mode beside Meta's automatic mask generator, 32 x 32 points, about 100 masks kept, in turns.

    .venv/bin/python benchmarks/prediction/everything.py --peers-python .venv-peers/bin/python [--rounds 3] [--only seeded|bundled]

Two models. `seeded` is Hiera-S at 1024 px with seeded weights: its masks fill the picture and resemble each other, so thresholds of overlaps are
open on both sides, and the threshold of scores lets about 100 masks pass. Nothing small is found there, so that the fast mode has to look at every
point: its slowest case. `bundled` is the bundled model with its own weights, in Meta's modules on the other side: its masks are
real ones, overlaps are dropped as either side does by default, and the fast mode leaves out points that lie in masks. With it stands
the share of the exact mode's masks that have a partner of IoU 0.9 in the fast mode's. Times are of one picture, its encoding included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ASSETS = ROOT / "sam2_adapter" / "assets"
CONFIG = "sam2_hiera_s"
WANTED_MASKS = 100
POINTS_PER_SIDE = 32


@dataclass(frozen=True)
class Case:
    """A model, and thresholds that both sides share.

    Attributes:
        name: `seeded` or `bundled`.
        image: of the bundled pictures.
        stability: least stability score; 0 asks for none.
        all_overlaps: masks are kept however much they overlap.
    """

    name: str
    image: str
    stability: float
    all_overlaps: bool


CASES = (Case("seeded", "astronaut.jpg", 0.0, True), Case("bundled", "coins.png", 0.5, False))


def run_official(case: str, weights: str, image_path: str, settings: dict[str, Any]) -> None:
    """Meta's side, in its own environment; prints the seconds of one picture and how many masks were kept."""
    import torch
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
    from sam2.build_sam import build_sam2

    torch.set_num_threads(settings.pop("threads"))
    image = np.load(image_path)
    if case == "bundled":
        sys.path.insert(0, str(ROOT))
        from tests.golden.make_everything import official_model

        model = official_model(Path(weights), json.loads((ASSETS / "sam2_nano.json").read_text()))
    else:
        model = build_sam2(f"configs/sam2/{CONFIG}.yaml", weights, device="cpu")
    generator = SAM2AutomaticMaskGenerator(model, **settings)
    # Its feature sizes are written for 1024 px.
    generator.predictor._bb_feat_sizes = [(model.image_size // stride,) * 2 for stride in (4, 8, 16)]
    started = time.perf_counter()
    found = generator.generate(image)
    print(json.dumps({"seconds": time.perf_counter() - started, "masks": len(found)}))


def main() -> None:
    """Time the sides of each case in turns, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--only", choices=[case.name for case in CASES])
    parser.add_argument("--official", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.official:
        case, weights, image, settings = arguments.official
        run_official(case, weights, image, json.loads(settings))
        return
    print(
        "| model | side | masks | points looked at | seconds | times as fast |\n| --- | --- | ---: | ---: | ---: | ---: |"
    )
    for chosen in CASES:
        if arguments.only in (None, chosen.name):
            with tempfile.TemporaryDirectory() as folder:
                compare(chosen, arguments, Path(folder))


def compare(case: Case, arguments: argparse.Namespace, folder: Path) -> None:
    """All rounds of one case, and its rows of the table."""
    from sam2_adapter import load_predictor, read_image
    from sam2_adapter.annotations.rle import rle_overlaps

    weights = folder / f"{case.name}.pt"
    write_weights(case, weights, arguments.peers_python)
    image = read_image(str(ASSETS / "demo" / case.image))
    np.save(folder / "image.npy", image)
    name = "sam2_nano" if case.name == "bundled" else str(weights)
    predictor = load_predictor(name, device="cpu", runtime=arguments.runtime, expected_images=1_000_000)
    iou = score_threshold(case, predictor, image)
    overlaps = {"box_nms_thresh": 1.0} if case.all_overlaps else {}
    settings = {
        "points_per_side": POINTS_PER_SIDE,
        "pred_iou_thresh": iou,
        "stability_score_thresh": case.stability,
        "threads": arguments.threads,
        **overlaps,
    }
    official = [arguments.peers_python, __file__, "--official", case.name, str(weights), str(folder / "image.npy")]
    seconds: dict[str, list[float]] = {"official": [], "exact": [], "fast": []}
    counts: dict[str, str] = {}
    kept: dict[str, list[Any]] = {}
    for _ in range(arguments.rounds):
        done = subprocess.run([*official, json.dumps(settings)], check=True, capture_output=True, text=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        seconds["official"].append(answer["seconds"])
        counts["official"] = f"{answer['masks']} | {POINTS_PER_SIDE**2}"
        for mode in ("exact", "fast"):
            took, kept[mode], points = timed(case, predictor, image, mode, iou)
            seconds[mode].append(took)
            counts[mode] = f"{len(kept[mode])} | {points}"
        print(case.name, {side: round(times[-1], 2) for side, times in seconds.items()}, file=sys.stderr)
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    for side, median in medians.items():
        print(
            f"| {case.name} | {side} | {counts[side]} | {median:.2f} | {medians['official'] / median:.1f} |", flush=True
        )
    recall = float((rle_overlaps(kept["exact"], kept["fast"]).max(axis=1, initial=0) >= 0.9).mean())
    print(f"{case.name}: of the exact mode's masks the fast mode has {recall:.2f}", file=sys.stderr)


def write_weights(case: Case, target: Path, peers_python: str) -> None:
    """The weights in Meta's layout, which both sides read."""
    from sam2_adapter.models.weights.convert import convert_checkpoint

    if case.name == "bundled":
        convert_checkpoint(ASSETS / "sam2_nano.safetensors", target, architecture="sam2_nano")
    else:
        subprocess.run([peers_python, str(HERE / "seeded_weights.py"), CONFIG, str(target)], check=True)


def timed(case: Case, predictor: Any, image: Any, mode: str, iou: float) -> tuple[float, list[Any], int]:
    """Seconds of one picture, the masks that are kept, and how many points were looked at."""
    from sam2_adapter.config_everything import EverythingSettings
    from sam2_adapter.predict.everything.find import find_everything

    open_overlaps = {"box_nms_thresh": 1.0, "mask_nms_thresh": 1.0} if case.all_overlaps else {}
    settings = EverythingSettings(
        everything_mode=mode,
        points_per_side=POINTS_PER_SIDE,
        pred_iou_thresh=iou,
        stability_score_thresh=case.stability,
        **open_overlaps,
    )
    counted = CountedClicks(predictor)
    started = time.perf_counter()
    *_, last = find_everything(counted, image, predictor.embed(image), settings)
    objects = last.finished().objects
    return time.perf_counter() - started, [entry.rle for entry in objects], counted.clicks


class CountedClicks:
    """A predictor that counts the clicks that it decodes."""

    def __init__(self, predictor: Any) -> None:
        self._predictor, self.clicks = predictor, 0

    def __getattr__(self, name: str) -> Any:
        """Everything else is the predictor's."""
        return getattr(self._predictor, name)

    def decode_clicks(self, embedding: Any, points: Any) -> Any:
        """Count, and decode."""
        self.clicks += len(points)
        return self._predictor.decode_clicks(embedding, points)


def score_threshold(case: Case, predictor: Any, image: Any) -> float:
    """The predicted IoU that about `WANTED_MASKS` masks exceed and are kept."""
    if not case.all_overlaps:
        return searched_threshold(lambda least: len(timed(case, predictor, image, "exact", least)[1]))
    from sam2_adapter.predict.everything.views import View

    height, width = image.shape[:2]
    points = View((0, 0, width, height), (height, width), POINTS_PER_SIDE).points
    scores = [
        decoded.iou_scores[:, 1:].numpy() for _, decoded in predictor.decode_clicks(predictor.embed(image), points)
    ]
    return float(np.sort(np.concatenate(scores).ravel())[-WANTED_MASKS - 1])


def searched_threshold(count: Callable[[float], int]) -> float:
    """By bisection."""
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        number = count(middle)
        if abs(number - WANTED_MASKS) <= WANTED_MASKS // 5:
            return middle
        low, high = (middle, high) if number > WANTED_MASKS else (low, middle)
    return (low + high) / 2


if __name__ == "__main__":
    main()
