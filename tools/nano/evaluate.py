"""Measure sam2_nano through the package's public path, with an interval for every mean.

python tools/nano/evaluate.py                              generated test scenes
python tools/nano/evaluate.py --data DIR --json FILE       photographs and nuclei as well, and everything as JSON

DIR holds the folders coco-objects, coco-cc and nuclei-dsb2018, each with images/, masks/ and split.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from pictures import Mask, Picture, generated_pictures, label_map_pictures
from scenes import TEST_SEED, VALIDATION_SEED

from sam2_adapter.annotations.masks import box_region
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.evaluation.compare import paired_bootstrap
from sam2_adapter.evaluation.metrics import expected_calibration_error, inscribed_ellipse, spearman
from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

# Rounds of clicks that are reported; after the last one one gives up.
CLICKS = (1, 2, 3, 4, 5, 10, 20)
# Objects whose shorter side is below this at model input are a group of their own: four cells of the low-res mask.
SMALL_SIDE_PX = 16
# Data sets of real pictures, and those of which small objects are too many, and too small, for 20 clicks each.
REAL_SETS = ("coco-objects", "coco-cc", "nuclei-dsb2018")
CROWDED_SETS = ("nuclei-dsb2018",)

WHOLE_IMAGE, WHOLE_ELLIPSE = "whole image", "ellipse in the image"
# What a user gets for a box: the mask cut at it.
CUT_BOX = "box, cut at it"
Figures = dict[str, dict[str, dict[str, float | list[float]]]]


@dataclass(frozen=True)
class Measured:
    """One object under one prompt; lists of these make the table.

    Attributes:
        picture: name of its image.
        prompt: `filled box`, `inscribed ellipse`, `box`, `1 click`, ...
        group: `all` or the size group.
        iou: true mask IoU at the image's own size.
        score: the model's own estimate; NaN for the baselines.
    """

    picture: str
    prompt: str
    group: str
    iou: float
    score: float = float("nan")


def measure(predictor: Predictor, pictures: Iterable[Picture], image_size: int, clicks: int) -> list[Measured]:
    """Baselines, box, whole image and click rounds for every object, in the group of its size."""
    found: list[Measured] = []
    for picture in pictures:
        groups = [_size_group(side) for side in picture.sides_px(image_size)]
        (embedding,) = predictor.embed([picture.image])
        found += _whole_image(predictor, embedding, picture)
        for name, masks, scores in _rounds(predictor, embedding, picture, clicks):
            ious = _ious(masks, picture.masks)
            found += [
                Measured(picture.name, name, group, iou, float(score))
                for group, iou, score in zip(groups, ious, scores, strict=True)
            ]
    return found


def summary(measured: list[Measured]) -> Figures:
    """By size group and prompt: number of objects, mean IoU with its interval, calibration error and rank correlation of scores."""
    parts: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for one in measured:
        parts[one.group][one.prompt].append(one)
        if not np.isnan(one.score) and one.prompt not in (WHOLE_IMAGE, CUT_BOX):
            parts[one.group]["all prompts"].append(one)
    return {group: {name: _figures(part) for name, part in prompts.items()} for group, prompts in sorted(parts.items())}


def _whole_image(predictor: Predictor, embedding: ImageEmbedding, picture: Picture) -> list[Measured]:
    """What no prompt finds, against the object that it fits best; the ellipse in the image the same way."""
    height, width = embedding.original_hw
    prediction = predictor.predict(embedding, [Prompt.whole_image((height, width))])
    ellipse = inscribed_ellipse((height, width), (0, 0, width, height))
    count = len(picture.masks)
    found = max(_ious(np.repeat(prediction.masks[:, 0], count, 0), picture.masks))
    trivial = max(_ious(np.repeat(ellipse[None], count, 0), picture.masks))
    return [
        Measured(picture.name, WHOLE_ELLIPSE, "all", trivial),
        Measured(picture.name, WHOLE_IMAGE, "all", found, float(prediction.iou_scores[0, 0])),
    ]


def _rounds(
    predictor: Predictor, embedding: ImageEmbedding, picture: Picture, clicks: int
) -> Iterator[tuple[str, Mask, npt.NDArray[np.float32]]]:
    """Masks O x H x W and scores O for every baseline and prompt round that is reported."""
    no_scores = np.full(len(picture.masks), np.nan, np.float32)
    boxes = [tuple(box.tolist()) for box in picture.boxes]
    filled = np.stack([box_region(embedding.original_hw, box) for box in boxes])
    yield "filled box", filled, no_scores
    yield "inscribed ellipse", np.stack([inscribed_ellipse(embedding.original_hw, box) for box in boxes]), no_scores
    prediction = predictor.predict(embedding, [{"box": list(box)} for box in boxes])
    yield "box", prediction.masks[:, 0], prediction.iou_scores[:, 0]
    yield CUT_BOX, prediction.masks[:, 0] & filled, prediction.iou_scores[:, 0]
    points = [[_deepest(mask)[0]] for mask in picture.masks]
    labels = [[1] for _ in picture.masks]
    prediction = predictor.predict(embedding, [{"points": p, "labels": n} for p, n in zip(points, labels, strict=True)])
    yield "1 click", prediction.masks[:, 0], prediction.iou_scores[:, 0]
    for number in range(2, clicks + 1):
        for index, (truth, mask) in enumerate(zip(picture.masks, prediction.masks[:, 0], strict=True)):
            point, label = _correction(truth, mask)
            points[index].append(point)
            labels[index].append(label)
        logits = prediction.low_res_logits[:, 0]
        prompts = [
            Prompt(point_coords=np.array(p, np.float32), point_labels=np.array(n), mask_input=m)
            for p, n, m in zip(points, labels, logits, strict=True)
        ]
        prediction = predictor.predict(embedding, prompts)
        if number in CLICKS:
            yield f"{number} clicks", prediction.masks[:, 0], prediction.iou_scores[:, 0]


def _deepest(region: Mask) -> tuple[tuple[int, int], float]:
    """The pixel (x, y) farthest from the region's border, and that distance in pixels."""
    depth = cv2.distanceTransform(np.pad(region.view(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return (int(x), int(y)), float(depth[y, x])


def _correction(truth: Mask, mask: Mask) -> tuple[tuple[int, int], int]:
    """A click amid the largest error: label 1 where the object was missed, 0 where too much was taken."""
    missed, missed_depth = _deepest(truth & ~mask)
    surplus, surplus_depth = _deepest(mask & ~truth)
    return (missed, 1) if missed_depth >= surplus_depth else (surplus, 0)


def _ious(masks: Mask, truth: Mask) -> list[float]:
    intersections = (masks & truth).sum((1, 2))
    unions = (masks | truth).sum((1, 2))
    return (intersections / np.maximum(unions, 1)).tolist()


def _size_group(side_px: float) -> str:
    return f"{'under' if side_px < SMALL_SIDE_PX else 'from'} {SMALL_SIDE_PX} px at model input"


def _figures(part: list[Measured]) -> dict[str, float | list[float]]:
    ious, scores = [one.iou for one in part], [one.score for one in part]
    # An interval of a mean is that of its difference from nothing.
    interval = paired_bootstrap([0.0] * len(part), ious, [one.picture for one in part])
    figures: dict[str, float | list[float]] = {
        "objects": len(part),
        "mean_iou": round(interval.difference, 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
    }
    if np.isnan(scores).any():
        return figures
    figures["score"] = round(float(np.mean(scores)), 4)
    for name, value in (
        ("calibration_error", expected_calibration_error(scores, ious)),
        ("spearman", spearman(scores, ious)),
    ):
        if value is not None:
            figures[name] = round(value, 4)
    return figures


def _table(title: str, groups: Figures) -> str:
    lines = [
        title,
        f"{'':28}{'prompt':22}{'objects':>8}{'mIoU':>8}  {'95 % interval':16}{'score':>8}{'calib.':>8}{'rank':>8}",
    ]
    for group, prompts in groups.items():
        for name, figures in prompts.items():
            low, high = figures["interval"]  # type: ignore[misc]
            line = f"{group:28}{name:22}{figures['objects']:8}{figures['mean_iou']:8.3f}  {low:.3f} to {high:.3f}  "
            scores = [figures.get(key) for key in ("score", "calibration_error", "spearman")]
            lines.append(line + "".join(f"{'' if value is None else format(value, '.3f'):>8}" for value in scores))
    return "\n".join(lines) + "\n\n"


def _sets(arguments: argparse.Namespace, image_size: int) -> Iterator[tuple[str, Iterable[Picture], int]]:
    """Name, pictures and clicks."""
    if arguments.scenes:
        seed = TEST_SEED if arguments.split == "test" else VALIDATION_SEED
        yield "generated", generated_pictures(seed, arguments.scenes), max(CLICKS)
    for name in REAL_SETS if arguments.data else ():
        pictures = label_map_pictures(arguments.data / name, arguments.split)
        if name not in CROWDED_SETS:
            yield name, pictures, max(CLICKS)
        else:
            every = list(pictures)
            yield name, (p.only(p.sides_px(image_size) >= SMALL_SIDE_PX) for p in every), max(CLICKS)
            yield f"{name}, small", (p.only(p.sides_px(image_size) < SMALL_SIDE_PX) for p in every), 1


def main() -> None:
    """Measure and report as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sam2_nano", help="name or weights file")
    parser.add_argument("--scenes", type=int, default=500, help="generated scenes; 0 leaves them out")
    parser.add_argument("--data", type=Path, help="folder of the data sets of real pictures")
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of torch; 0 leaves the choice to torch")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    predictor = load_predictor(arguments.model, precision="fp32")
    image_size = get_architecture("sam2_nano").image_size
    results: dict[str, object] = {"model": predictor.info.weights_sha256, "split": arguments.split}
    for name, pictures, clicks in _sets(arguments, image_size):
        measured = measure(predictor, (picture for picture in pictures if len(picture.masks)), image_size, clicks)
        together = [Measured(one.picture, one.prompt, "all", one.iou, one.score) for one in measured]
        figures = summary([one for one in measured if one.group != "all"] + together)
        results[name] = figures
        sys.stdout.write(_table(f"{name}, {arguments.split}", figures))
        sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
