"""Whether ten clicks on the page reach what `evaluate` measures: the IoU after each click, object by object.

    python -m benchmarks.page.same_as_evaluate DATA --split test --model sam2_nano

The clicks go through the page's model worker, as JSON, without a browser. Both sides share one loaded model; `evaluate` answers the objects
of an image together and the page one by one, so that the last digits of logits may differ, and with them single pixels.
"""

from __future__ import annotations

import argparse
import json
import queue
import time
from pathlib import Path
from typing import Any

import numpy as np

from sam2_adapter.annotations.clicks import evaluation_click
from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.rle import Rle, rle_to_mask
from sam2_adapter.config import Config
from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.scores import EvaluationSettings
from sam2_adapter.formats.load import load_configured_dataset
from sam2_adapter.formats.sample import Sample
from sam2_adapter.label.model_worker import ModelWorker
from sam2_adapter.predict.load import load_predictor


class Asking:
    """Asks a worker and waits for each answer, as the server does for a page."""

    def __init__(self, worker: ModelWorker, reports: queue.SimpleQueue[dict[str, Any]]) -> None:
        self._worker, self._reports, self._number = worker, reports, 0

    def click(self, visit: int, path: Path, steps: list[dict[str, Any]]) -> dict[str, Any]:
        """The page's answer to these steps on a picture."""
        self._number += 1
        image = {"id": str(path), "name": path.name, "path": str(path)}
        request = {"id": self._number, "kind": "click", "tab": "t", "visit": visit, "image": image, "steps": steps}
        self._worker.handle(json.loads(json.dumps(request)))
        while (message := self._reports.get()).get("id") != self._number:
            pass
        answer: dict[str, Any] = json.loads(json.dumps(message["answer"]))
        return answer


def clicked(asking: Asking, visit: int, sample: Sample, index: int, clicks: int) -> list[float]:
    """IoU after each click on an object through the page, each where the largest error is."""
    gt_mask = sample.objects[index].mask
    steps: list[dict[str, Any]] = []
    ious: list[float] = []
    mask = None
    while len(ious) < clicks:
        points = np.array([step["point"] for step in steps], np.float32).reshape(-1, 2)
        click = evaluation_click(gt_mask, mask, points)
        if click is None:
            break
        steps.append({"point": [click.x, click.y], "inside": bool(click.label)})
        mask = rle_to_mask(Rle(asking.click(visit, sample.image_path, steps)["counts"], sample.original_hw))
        ious.append(mask_iou(mask, gt_mask))
    return ious


def main() -> None:
    """Compare and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--images", type=int, help="only the first so many")
    arguments = parser.parse_args()
    started = time.monotonic()
    predictor = load_predictor(arguments.model, device="cpu", runtime=arguments.runtime)
    samples = load_configured_dataset(arguments.data, Config()).samples(arguments.split)[: arguments.images]
    settings = EvaluationSettings(max_clicks=arguments.clicks, stop_iou=2.0)
    reports: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    worker = ModelWorker(predictor, reports.put)
    asking = Asking(worker, reports)
    of_page, of_evaluate = [], []
    for visit, sample in enumerate(samples, start=1):
        objects = range(len(sample.objects))
        rows = measure_image(predictor, sample, objects, predictor.embed(sample.read_image()), "clicks", settings)
        of_evaluate += [list(row.iou_by_click) for row in rows]
        of_page += [clicked(asking, visit, sample, index, arguments.clicks) for index in objects]
    worker.close()
    print(
        json.dumps(report(of_page, of_evaluate, arguments.clicks, len(samples), time.monotonic() - started), indent=1)
    )


def report(
    of_page: list[list[float]], of_evaluate: list[list[float]], clicks: int, images: int, seconds: float
) -> dict[str, Any]:
    """How far the two are apart, per object and on average after each click."""
    page, evaluate = (
        np.array([ious + ious[-1:] * (clicks - len(ious)) for ious in side]) for side in (of_page, of_evaluate)
    )
    apart = np.abs(page - evaluate)
    return {
        "images": images,
        "objects": len(page),
        "objects_equal_after_every_click": int((apart == 0).all(axis=1).sum()),
        "objects_within_0.001": int((apart <= 0.001).all(axis=1).sum()),
        "largest_difference": float(apart.max()),
        "mean_iou_by_click_page": np.round(page.mean(axis=0), 4).tolist(),
        "mean_iou_by_click_evaluate": np.round(evaluate.mean(axis=0), 4).tolist(),
        "seconds": round(seconds),
    }


if __name__ == "__main__":
    main()
