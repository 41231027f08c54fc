"""Measure sam2_nano through the package's public path: generated test scenes, and nuclei it has never seen.

python tools/nano/evaluate.py                                generated scenes
python tools/nano/evaluate.py --nuclei DIR --json FILE       nuclei as well, and everything as JSON
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
from batches import object_boxes
from PIL import Image
from scenes import TEST_SEED, VALIDATION_SEED, render_scene
from scipy.stats import spearmanr
from validation import OBJECTS_PER_SCENE

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.predict.loading import load_predictor
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

Mask = npt.NDArray[np.bool_]

CLICKS = 5
# Objects whose shorter side is below this at model input are a group of their own: four cells of the low-res mask.
SMALL_SIDE_PX = 16


@dataclass(frozen=True)
class Picture:
    """An image with the objects to measure.

    Attributes:
        image: uint8 RGB H x W x 3.
        masks: bool O x H x W.
        boxes: float32 O x 4, half-open pixel edges of the masks.
    """

    image: npt.NDArray[np.uint8]
    masks: Mask
    boxes: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """One object under one prompt; lists of these make the table.

    Attributes:
        prompt: `filled box`, `inscribed ellipse`, `box`, `1 click`, ...
        group: `all`, or for nuclei the size group.
        iou: true mask IoU at the image's own size.
        score: the model's own estimate; NaN for the baselines.
    """

    prompt: str
    group: str
    iou: float
    score: float = float("nan")


def generated_pictures(seed: int, count: int) -> Iterator[Picture]:
    """Scenes of a stream with at most OBJECTS_PER_SCENE objects each."""
    for index in range(count):
        scene = render_scene(seed, index)
        numbers = np.random.default_rng([seed, index]).permutation(int(scene.label_map.max()))[:OBJECTS_PER_SCENE] + 1
        if len(numbers):
            yield _picture(scene.image, scene.label_map, numbers)


def label_map_pictures(folder: Path, split: str) -> Iterator[Picture]:
    """All objects of a split of an `images/` + `masks/` data set with a split.json."""
    for stem in json.loads((folder / "split.json").read_text("utf-8"))[split]:
        image = np.asarray(Image.open(next((folder / "images").glob(f"{stem}.*"))).convert("RGB"))
        label_map = np.asarray(Image.open(folder / "masks" / f"{stem}.png")).astype(np.int32)
        yield _picture(image, label_map, np.unique(label_map[label_map > 0]))


def measure(predictor: Predictor, pictures: Iterable[Picture], image_size: int, clicks: int) -> list[Measured]:
    """Baselines, box and click rounds for every object."""
    found: list[Measured] = []
    for picture in pictures:
        groups = _size_groups(picture, image_size)
        (embedding,) = predictor.embed([picture.image])
        for name, masks, scores in _rounds(predictor, embedding, picture, clicks):
            found += [
                Measured(name, group, iou, float(score))
                for group, iou, score in zip(groups, _ious(masks, picture.masks), scores, strict=True)
            ]
    return found


def summary(measured: list[Measured]) -> dict[str, dict[str, dict[str, float]]]:
    """By size group and prompt: number of objects, mean IoU and the rank correlation between scores and true IoU."""
    parts: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for one in measured:
        parts[one.group][one.prompt].append(one)
        if not np.isnan(one.score):
            parts[one.group]["all prompts"].append(one)
    return {group: {name: _figures(part) for name, part in prompts.items()} for group, prompts in sorted(parts.items())}


def _picture(
    image: npt.NDArray[np.uint8], label_map: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer]
) -> Picture:
    return Picture(image, label_map[None] == numbers[:, None, None], object_boxes(label_map)[numbers - 1])


def _rounds(
    predictor: Predictor, embedding: ImageEmbedding, picture: Picture, clicks: int
) -> Iterator[tuple[str, Mask, npt.NDArray[np.float32]]]:
    """Masks O x H x W and scores O for every baseline and prompt round."""
    no_scores = np.full(len(picture.masks), np.nan, np.float32)
    shape = picture.masks.shape[1:]
    yield "filled box", np.stack([_filled_box(box, shape) for box in picture.boxes]), no_scores
    yield "inscribed ellipse", np.stack([_inscribed_ellipse(box, shape) for box in picture.boxes]), no_scores
    prediction = predictor.predict(embedding, [{"box": box.tolist()} for box in picture.boxes])
    yield "box", prediction.masks[:, 0], prediction.iou_scores[:, 0]
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


def _filled_box(box: npt.NDArray[np.float32], shape: tuple[int, ...]) -> Mask:
    x0, y0, x1, y1 = box.astype(int)
    mask = np.zeros(shape, np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def _inscribed_ellipse(box: npt.NDArray[np.float32], shape: tuple[int, ...]) -> Mask:
    x0, y0, x1, y1 = box
    y, x = np.ogrid[: shape[0], : shape[1]]
    across = (2 * (x + 0.5) - x0 - x1) / (x1 - x0)
    down = (2 * (y + 0.5) - y0 - y1) / (y1 - y0)
    return np.asarray(across**2 + down**2 <= 1)


def _ious(masks: Mask, truth: Mask) -> list[float]:
    intersections = (masks & truth).sum((1, 2))
    unions = (masks | truth).sum((1, 2))
    return (intersections / np.maximum(unions, 1)).tolist()


def _size_groups(picture: Picture, image_size: int) -> list[str]:
    height, width = picture.image.shape[:2]
    sides = (picture.boxes[:, 2:] - picture.boxes[:, :2]) * (image_size / width, image_size / height)
    limit = f"{SMALL_SIDE_PX} px at model input"
    return [f"{'under' if side < SMALL_SIDE_PX else 'from'} {limit}" for side in sides.min(1)]


def _figures(part: list[Measured]) -> dict[str, float]:
    ious, scores = np.array([one.iou for one in part]), np.array([one.score for one in part])
    figures = {"objects": len(part), "mean_iou": round(float(ious.mean()), 4)}
    if not np.isnan(scores).any() and len(part) > 2:
        figures["spearman"] = round(float(spearmanr(scores, ious).statistic), 3)
    return figures


def _print_table(title: str, groups: dict[str, dict[str, dict[str, float]]]) -> None:
    lines = [f"{title}", f"{'':28}{'prompt':20}{'objects':>8}{'mIoU':>8}{'Spearman':>10}"]
    for group, prompts in groups.items():
        for name, figures in prompts.items():
            spearman = figures.get("spearman")
            shown = "" if spearman is None else f"{spearman:.3f}"
            lines.append(f"{group:28}{name:20}{figures['objects']:8d}{figures['mean_iou']:8.3f}{shown:>10}")
    sys.stdout.write("\n".join(lines) + "\n\n")


def main() -> None:
    """Measure and report as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sam2_nano", help="name or weights file")
    parser.add_argument("--scenes", type=int, default=500, help="generated scenes")
    parser.add_argument("--stream", choices=("test", "validation"), default="test", help="generated scenes to use")
    parser.add_argument("--nuclei", type=Path, help="folder with images/, masks/ and split.json")
    parser.add_argument("--nuclei-split", default="test")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of torch; 0 leaves the choice to torch")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    predictor = load_predictor(arguments.model)
    image_size = get_architecture("sam2_nano").image_size
    seed = TEST_SEED if arguments.stream == "test" else VALIDATION_SEED
    measured = measure(predictor, generated_pictures(seed, arguments.scenes), image_size, CLICKS)
    together = [Measured(one.prompt, "all", one.iou, one.score) for one in measured]
    results = {"model": predictor.info.weights_sha256, f"generated {arguments.stream}": summary(together + measured)}
    if arguments.nuclei:
        pictures = label_map_pictures(arguments.nuclei, arguments.nuclei_split)
        results[f"nuclei {arguments.nuclei_split}"] = summary(measure(predictor, pictures, image_size, 1))
    for title, groups in list(results.items())[1:]:
        _print_table(title, groups)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
