"""What it saves that clicks that correct are obeyed: clicks to a good mask, with the model's own masks and with those that obey.

    .venv/bin/python -m benchmarks.prediction.obeyed_clicks DATA [--split validation] [--per-image 6] [--model sam2_nano] [--window 4]

Objects are clicked on as `evaluate` does, each click amid the largest error, with the earlier logits. With `--window N` each is looked at in a window N
objects of its image long, as a person zooms in on small things. An object that is not good enough after 20 clicks counts as 21.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import sam2_adapter
from benchmarks.page.teaching import visible
from sam2_adapter.annotations.clicks import evaluation_click
from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.prompts import BoolArray, Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.evaluation.compare import paired_bootstrap
from sam2_adapter.formats.sample import Sample
from sam2_adapter.images.read import read_image
from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.window import Window, embed_window, predict_in_window

MOST_CLICKS = 20
GOOD_IOU = 0.85
REPORTED = (1, 2, 3, 5, 10, 20)
# Shorter side of the smallest object that is clicked on in a whole image, in pixels of the model's input.
SMALLEST_PX = 16


def main() -> None:
    """Click on every object twice, and print what came of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--per-image", type=int, default=6, help="objects of each image, at random")
    parser.add_argument(
        "--window", type=float, default=0, help="length of the window in objects; 0 for the whole image"
    )
    options = parser.parse_args()
    predictor = sam2_adapter.load_predictor(options.model, device="cpu", precision="fp32")
    images: list[str] = []
    ious: dict[str, list[list[float]]] = {"as drawn": [], "obeyed": []}
    for sample in sam2_adapter.load_dataset(options.data).samples(options.split):
        pixels = read_image(sample.image_path)
        whole = Region.whole(sample.original_hw)
        windows: dict[Region, Window] = {}
        for index in _chosen(sample, options, predictor.info.architecture):
            view = visible(sample, index, options.window) if options.window else None
            region = whole if view is None else Region(*view)
            if region not in windows:
                windows[region] = embed_window(predictor, pixels, region)
            images.append(sample.name)
            for name, found in ious.items():
                found.append(
                    clicked(predictor, windows[region], sample.objects[index].mask, is_obeyed=name == "obeyed")
                )
    print(json.dumps({"objects": len(images), **_figures(images, ious)}, indent=1))


def clicked(predictor: Predictor, window: Window, truth: BoolArray, *, is_obeyed: bool) -> list[float]:
    """IoU after each of the clicks on one object; the last one is repeated where there is nothing left to correct."""
    coords: list[tuple[float, float]] = []
    labels: list[int] = []
    ious: list[float] = []
    mask, logits = None, None
    for number in range(MOST_CLICKS):
        click = evaluation_click(truth, mask, np.reshape(np.array(coords, np.float32), (-1, 2)))
        if click is None:
            break
        coords.append((click.x, click.y))
        labels.append(int(click.label))
        prompt = Prompt(
            point_coords=np.array(coords, np.float32), point_labels=np.array(labels), mask_input=logits
        ).fitted_to(truth.shape)
        found = predict_in_window(predictor, window, [prompt], None if is_obeyed or not number else False)
        mask, logits = found.masks[0, 0], found.low_res_logits[0, 0]
        ious.append(mask_iou(mask, truth))
    return ious + [ious[-1]] * (MOST_CLICKS - len(ious))


def _chosen(sample: Sample, options: argparse.Namespace, architecture: str) -> list[int]:
    image_size = get_architecture(architecture).image_size
    scale = np.array([image_size / side for side in sample.original_hw[::-1]])
    boxes = np.reshape([entry.box_xyxy for entry in sample.objects], (-1, 2, 2))
    sides = ((boxes[:, 1] - boxes[:, 0]) * scale).min(1)
    usable = np.arange(len(boxes)) if options.window else np.flatnonzero(sides >= SMALLEST_PX)
    return sorted(np.random.default_rng(0).permutation(usable)[: options.per_image].tolist())


def _figures(images: list[str], ious: dict[str, list[list[float]]]) -> dict[str, object]:
    told: dict[str, object] = {}
    needed = {
        name: [next((k + 1 for k, iou in enumerate(row) if iou >= GOOD_IOU), MOST_CLICKS + 1) for row in rows]
        for name, rows in ious.items()
    }
    for name, rows in ious.items():
        means = np.array(rows).mean(0)
        told[name] = {
            "clicks": round(float(np.mean(needed[name])), 2),
            "never": round(float(np.mean(np.array(needed[name]) > MOST_CLICKS)), 3),
            "iou_after": {number: round(float(means[number - 1]), 3) for number in REPORTED},
        }
    told["difference"] = paired_bootstrap(needed["as drawn"], needed["obeyed"], images).to_dict()
    return told


if __name__ == "__main__":
    main()
