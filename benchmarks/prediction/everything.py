"""Time everything-mode beside Meta's automatic mask generator: Hiera-S at 1024 px, seeded weights, 32 x 32 points, in turns.

    .venv/bin/python benchmarks/prediction/everything.py --peers-python .venv-peers/bin/python [--rounds 3] [--image PHOTO]

Seeded weights let almost no mask through Meta's thresholds, and their masks fill the picture, so thresholds are searched for with the exact
mode first: such that about 100 masks are kept. With each time stands the share of the exact mode's masks that have a partner of IoU 0.9.
Meta's generator runs in the environment of the official package; both sides write and read `.npz` files.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
CONFIG = "sam2_hiera_s"
WANTED_MASKS = 100
STABILITY = 0.5


def run_official(weights: str, image_path: str, settings: dict[str, Any], target: str) -> None:
    """Meta's side; prints the seconds of one picture, its encoding included."""
    import torch
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
    from sam2.build_sam import build_sam2

    torch.set_num_threads(settings.pop("threads"))
    image = np.load(image_path)
    generator = SAM2AutomaticMaskGenerator(build_sam2(f"configs/sam2/{CONFIG}.yaml", weights, device="cpu"), **settings)
    started = time.perf_counter()
    found = generator.generate(image)
    print(json.dumps({"seconds": time.perf_counter() - started, "masks": len(found)}))
    np.savez_compressed(target, masks=np.packbits(np.array([entry["segmentation"] for entry in found])))


def main() -> None:
    """Search thresholds, then time the sides in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--image", default=str(HERE.parents[1] / "sam2_adapter" / "assets" / "demo" / "astronaut.jpg"))
    parser.add_argument("--official", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.official:
        weights, image, settings, target = arguments.official
        run_official(weights, image, json.loads(settings), target)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments, Path(folder))


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """All rounds, and a table."""
    from sam2_adapter import load_predictor, read_image
    from sam2_adapter.annotations.rle import rle_overlaps
    from sam2_adapter.config_everything import EverythingSettings
    from sam2_adapter.predict.everything.find import find_everything

    weights = folder / "seeded.pt"
    subprocess.run([arguments.peers_python, str(HERE / "seeded_weights.py"), CONFIG, str(weights)], check=True)
    image = read_image(arguments.image)
    np.save(folder / "image.npy", image)
    predictor = load_predictor(weights, device="cpu", runtime=arguments.runtime, expected_images=1_000_000)

    def ours(mode: str, iou: float) -> tuple[float, list[Any]]:
        settings = EverythingSettings(everything_mode=mode, pred_iou_thresh=iou, stability_score_thresh=STABILITY)
        started = time.perf_counter()
        *_, last = find_everything(predictor, image, predictor.embed(image), settings)
        objects = last.finished().objects
        return time.perf_counter() - started, [entry.rle for entry in objects]

    iou = searched_threshold(lambda least: len(ours("exact", least)[1]))
    settings = {"pred_iou_thresh": iou, "stability_score_thresh": STABILITY, "threads": arguments.threads}
    official = [arguments.peers_python, __file__, "--official", str(weights), str(folder / "image.npy")]
    seconds: dict[str, list[float]] = {"official": [], "exact": [], "fast": []}
    kept: dict[str, list[Any]] = {}
    for _ in range(arguments.rounds):
        done = subprocess.run(
            [*official, json.dumps(settings), str(folder / "official.npz")], check=True, capture_output=True, text=True
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        seconds["official"].append(answer["seconds"])
        print(f"official {answer['seconds']:.1f} s, {answer['masks']} masks", file=sys.stderr)
        for mode in ("exact", "fast"):
            took, kept[mode] = ours(mode, iou)
            seconds[mode].append(took)
            print(f"{mode} {took:.1f} s, {len(kept[mode])} masks", file=sys.stderr)
    overlaps = rle_overlaps(kept["exact"], kept["fast"])
    recall = float((overlaps.max(axis=1, initial=0) >= 0.9).mean())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        print(f"{name:<9} {value:6.1f} s  {medians['official'] / value:4.1f}x")
    print(f"masks of the exact mode that the fast mode has too: {recall:.2f}")


def searched_threshold(count: Any) -> float:
    """The predicted IoU that about `WANTED_MASKS` masks exceed, by bisection."""
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
