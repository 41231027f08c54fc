"""What everything-mode finds on a data set: fast beside exact, with the same thresholds and views, and beside two classical answers.

    .venv/bin/python benchmarks/prediction/everything_accuracy.py DATA [--split validation] [--images 12] [--set NAME=VALUE ...]

Settings are chosen on `validation`; what is published of one model beside another is measured on `test`. The classical answers are Otsu's
threshold on the blurred grey picture, in connected components, or in the parts that are nearest to one peak of the distance to the ground.
They know nothing of the thresholds of the model, and are of use where objects are lighter or darker than the ground.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

import sam2_adapter
from sam2_adapter.annotations.rle import mask_to_rle, rle_overlaps
from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.proposals import Match, ious_by_count, precision_figures, recall_figures
from sam2_adapter.evaluation.scores import EvaluationSettings
from sam2_adapter.formats.sample import Sample
from sam2_adapter.images.sources import Pixels
from sam2_adapter.training.general import evenly

FIGURES = ("ar_10", "ar_100", "ar_1000", "msa", "sa_50", "precision", "num_found")

LEAST_AREA_PX = 16


def main() -> int:
    """Measure image by image, print a table and, with --json, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--images", type=int, default=0, help="only so many images, evenly spread; 0 for all")
    parser.add_argument(
        "--largest", type=int, default=0, help="only images whose longer side has at most so many pixels"
    )
    parser.add_argument("--modes", nargs="*", default=["exact", "fast"])
    parser.add_argument("--classical", action="store_true", help="measure the classical answers, too")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="settings of everything-mode")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    samples = _chosen(sam2_adapter.load_dataset(options.data).samples(options.split), options)
    settings = {name: yaml.safe_load(value) for name, _, value in (entry.partition("=") for entry in options.set)}
    found = dict(_measured(options, samples, settings))
    num_objects = sum(len(sample.objects) for sample in samples)
    print(f"{len(samples)} images of {options.split}, {num_objects} objects")
    print(f"{'':<20}" + "".join(f"{name:>10}" for name in FIGURES) + "   seconds")
    for name, figures in found.items():
        print(f"{name:<20}" + "".join(_cell(figures[key]) for key in FIGURES) + f"{figures['seconds']:10.1f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _chosen(samples: Sequence[Sample], options: argparse.Namespace) -> list[Sample]:
    fitting = [sample for sample in samples if not options.largest or max(sample.original_hw) <= options.largest]
    return evenly(fitting, options.images or len(fitting))


def _measured(
    options: argparse.Namespace, samples: Sequence[Sample], settings: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if options.modes:
        predictor = sam2_adapter.load_predictor(
            options.model, device="cpu", runtime=options.runtime, precision=options.precision
        )
        for mode in options.modes:
            chosen = EvaluationSettings(everything={**settings, "everything_mode": mode})

            def find(sample: Sample, chosen: EvaluationSettings = chosen) -> list[Match]:
                (embedding,) = predictor.embed([sample.read_image()])
                rows = measure_image(predictor, sample, range(len(sample.objects)), embedding, "everything", chosen)
                return [row.match for row in rows]

            yield mode, _figures(mode, samples, find)
    if options.classical:
        for name, separate in (("Otsu, components", components), ("Otsu, peaks", distance_peaks)):
            yield name, _figures(name, samples, lambda sample, separate=separate: _classical(sample, separate))


def _figures(name: str, samples: Sequence[Sample], find: Callable[[Sample], list[Match]]) -> dict[str, Any]:
    matches, started = [], time.process_time()
    for done, sample in enumerate(samples, start=1):
        matches += find(sample)
        print(f"{name}: {done} of {len(samples)}", file=sys.stderr)
    return {**recall_figures(matches), **precision_figures(matches), "seconds": time.process_time() - started}


def _cell(value: float | None) -> str:
    return f"{'':>10}" if value is None else f"{value:10d}" if isinstance(value, int) else f"{value:10.3f}"


def _classical(sample: Sample, separate: Callable[[np.ndarray], np.ndarray]) -> list[Match]:
    """What Otsu's threshold finds, largest objects first."""
    labels = separate(_foreground(sample.read_image()))
    areas = np.bincount(labels.ravel())
    order = [int(at) for at in np.argsort(-areas, kind="stable") if at and areas[at] >= LEAST_AREA_PX]
    rles = [mask_to_rle(sample.counted(labels == at)) for at in order]
    overlaps = rle_overlaps([entry.rle for entry in sample.objects], rles)
    return [
        Match(sample.name, entry.area, tuple(ious), len(rles))
        for entry, ious in zip(sample.objects, ious_by_count(overlaps).tolist(), strict=True)
    ]


def _foreground(image: Pixels) -> np.ndarray:
    """What is not ground, which is more than half of the picture: uint8 H x W of 0 and 1."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1)
    _, mask = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return 1 - mask if mask.mean() > 0.5 else mask


def components(foreground: np.ndarray) -> np.ndarray:
    """Labels of connected parts, int32 H x W, 0 for the ground."""
    return cv2.connectedComponents(foreground)[1]


def distance_peaks(foreground: np.ndarray) -> np.ndarray:
    """Labels of the parts of which each pixel is nearest to one peak of the distance to the ground, int32 H x W."""
    distance = cv2.GaussianBlur(cv2.distanceTransform(foreground, cv2.DIST_L2, 5), (0, 0), 1)
    around = cv2.dilate(distance, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    peaks = ((distance >= around) & (distance > 1)).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(1 - peaks, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    return np.where(foreground > 0, nearest, 0)


if __name__ == "__main__":
    sys.exit(main())
