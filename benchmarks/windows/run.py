"""What windows are worth on small objects: IoU by size class, on the whole image and in windows, and a model tuned on either.

    .venv/bin/python benchmarks/windows/run.py DATA [--images 40] [--tune EPOCHS]

DATA is a data set as `evaluate` takes it. Nothing is chosen here: numbers are of the `test` split, the sizes of windows were chosen on
`validation`. An object is small where the shorter side of its box has less than four cells of the model's low-res mask.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

import sam2_adapter
from sam2_adapter.config import Config
from sam2_adapter.evaluation.compare import compare
from sam2_adapter.evaluation.evaluate import evaluate
from sam2_adapter.evaluation.scores import Evaluation, EvaluationSettings, PromptMode
from sam2_adapter.formats.sample import Sample
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.window_plan import is_small

T = TypeVar("T")


def main() -> int:
    """Measure, print a table and, with --json, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, default=0, help="only so many images, evenly spread; 0 for all")
    parser.add_argument("--objects", type=int, default=25, help="most objects of an image, evenly spread")
    parser.add_argument("--pixels", type=int, default=128, help="window of clicks")
    parser.add_argument(
        "--tune", type=int, default=0, help="epochs of a model tuned on windows, and of one on whole images"
    )
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    samples = [
        replace(sample, objects=tuple(_spread(sample.objects, options.objects)))
        for sample in _spread(sam2_adapter.load_dataset(options.data).samples(options.split), options.images)
    ]
    figures = _untouched(options, samples)
    if options.tune:
        figures |= _tuned(options, samples)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def _untouched(options: argparse.Namespace, samples: Sequence[Sample]) -> dict[str, object]:
    predictor = sam2_adapter.load_predictor(options.model)
    found = {}
    cases: tuple[tuple[PromptMode, str], ...] = (("box", "auto"), ("point", str(options.pixels)))
    for prompt, window in cases:
        whole = evaluate(predictor, samples, prompt, EvaluationSettings())
        windowed = evaluate(predictor, samples, prompt, EvaluationSettings(window=window))
        found[f"{prompt}, window {window}"] = _by_size(predictor, samples, whole, windowed)
    return found


def _tuned(options: argparse.Namespace, samples: Sequence[Sample]) -> dict[str, object]:
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        measured = {}
        for window in ("off", "auto"):
            config = Config.from_mapping({"preset": "recommended", "num_epochs": options.tune, "window": window})
            result = sam2_adapter.fine_tune(options.data, Path(folder, window), config, model=options.model)
            predictor = sam2_adapter.load_predictor(result.model_path)
            measured[window] = {prompt: evaluate(predictor, samples, prompt) for prompt in ("box", "point")}
        for prompt, windowed in measured["auto"].items():
            comparison = compare(measured["off"][prompt], windowed)
            print(f"tuned on windows minus tuned on whole images, {prompt}\n{comparison.to_table()}")
            found[f"tuned, {prompt}"] = comparison.to_dict()
    return found


def _by_size(
    predictor: Predictor, samples: Sequence[Sample], whole: Evaluation, windowed: Evaluation
) -> dict[str, dict[str, float]]:
    sizes = {sample.name: sample for sample in samples}
    groups: dict[str, list[int]] = {"small": [], "others": []}
    for index, row in enumerate(whole.objects):
        sample = sizes[row.sample]
        box = sample.objects[row.object_index].box_xyxy
        small = is_small(box, predictor.geometry_of(sample.original_hw), predictor.low_res_hw)
        groups["small" if small else "others"].append(index)
    found = {}
    for name, members in groups.items():
        means = {
            "objects": float(len(members)),
            "whole": _mean(whole, members),
            "windows": _mean(windowed, members),
            "ellipse": float(np.mean([whole.objects[index].ellipse_iou for index in members] or [0])),
        }
        found[name] = means
        print(
            f"{whole.prompt:6s} {name:7s}", "  ".join(f"{key} {value:.3f}" for key, value in means.items()), flush=True
        )
    return found


def _mean(evaluation: Evaluation, members: Sequence[int]) -> float:
    return float(np.mean([evaluation.objects[index].mask_iou for index in members] or [0]))


def _spread(items: Sequence[T], count: int) -> list[T]:
    """So many of the items, with the first and the last; 0 for all."""
    if not count or count >= len(items):
        return list(items)
    return [items[int(position)] for position in np.linspace(0, len(items) - 1, count).round()]


if __name__ == "__main__":
    sys.exit(main())
