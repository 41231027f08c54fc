"""Whether teaching on the page saves clicks: a scripted session, counted before and after.

    nice -n 15 python -m benchmarks.page.teaching DATA --output RESULTS --seeds 0 1 2

The person of the session zooms in until the visible window is about four times as long as the objects of the picture, and answers in it, as is
advised for small things; with `--whole` everything is answered on the whole picture instead. For each seed 40 objects of pictures of the split
`train`, chosen at random, are accepted as a person would: a click where the largest error is, until the mask agrees with the truth to 85 % IoU.
What is accepted is the mask that the model gave; an object that is not there after 20 clicks is given up, and another one taken. The page's own
code teaches the model with them and chooses how much of it to use. Then 40 objects of pictures of the split `test` get their clicks from the model as it was
before and from the taught one. Each seed's figures are a line of `RESULTS/results.jsonl` as soon as they are known, and a training that was
interrupted goes on: the same command again does only what is missing. The last line printed has the difference over all seeds with its interval.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam2_adapter.annotations.clicks import evaluation_click
from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.config import Config
from sam2_adapter.evaluation.compare import paired_bootstrap
from sam2_adapter.formats.load import load_configured_dataset
from sam2_adapter.formats.sample import Sample
from sam2_adapter.interactive import Answer, Session
from sam2_adapter.label.model_choice import ModelChoice
from sam2_adapter.label.questions import step_of
from sam2_adapter.label.run import LabelSession
from sam2_adapter.label.teaching import Teaching
from sam2_adapter.label.teaching_runs import FOLDER, Runs
from sam2_adapter.predict.load import load_predictor

MOST_CLICKS, ENOUGH_IOU = 20, 0.85
OBJECTS, OBJECTS_OF_A_PICTURE = 40, 4

# How many objects long the visible window is.
ZOOM = 4

Chosen = list[tuple[Sample, list[int]]]


def visible(sample: Sample, index: int, zoom: float = ZOOM) -> list[int] | None:
    """(x0, y0, x1, y1) of the visible window around an object, `zoom` objects long, inside the picture; `None` where that is all of it."""
    boxes = np.array([entry.box_xyxy for entry in sample.objects])
    side = round(zoom * float(np.median((boxes[:, 2:] - boxes[:, :2]).max(axis=1))))
    if side >= max(sample.original_hw):
        return None
    size = np.minimum(side, sample.original_hw[::-1])
    corner = (
        np.clip(boxes[index].reshape(2, 2).mean(axis=0) - size / 2, 0, sample.original_hw[::-1] - size)
        .round()
        .astype(int)
    )
    return [*corner.tolist(), *(corner + size).tolist()]


def clicked(
    session: Session, truth: np.ndarray, view: list[int] | None = None
) -> tuple[int, Answer, list[dict[str, Any]]]:
    """Click on one object of the open picture until it is good enough; with the number of clicks, one more than the most where it never was."""
    steps: list[dict[str, Any]] = []
    answer, mask = None, None
    while len(steps) < MOST_CLICKS:
        click = evaluation_click(truth, mask, np.array([step["point"] for step in steps], np.float32).reshape(-1, 2))
        if click is None:
            break
        steps.append(
            {"point": [click.x, click.y], "inside": bool(click.label), **({} if view is None else {"view": view})}
        )
        answer = session.go_to([step_of(step, (truth.shape[0], truth.shape[1])) for step in steps])
        assert answer is not None
        mask = answer.mask
        if mask_iou(mask, truth) >= ENOUGH_IOU:
            return len(steps), answer, steps
    assert answer is not None
    return MOST_CLICKS + 1, answer, steps


def in_random_order(samples: Sequence[Sample], seed: int) -> list[tuple[Sample, list[int]]]:
    """The pictures in random order, each with its objects in random order."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(len(samples))
    return [(samples[place], rng.permutation(len(samples[place].objects)).tolist()) for place in places]


def first_objects(samples: Sequence[Sample], seed: int) -> Chosen:
    """Some objects of each of some pictures, at random."""
    chosen: Chosen = []
    for sample, indices in in_random_order(samples, seed):
        missing = OBJECTS - sum(len(found) for _, found in chosen)
        if not missing:
            break
        chosen.append((sample, sorted(indices[: min(OBJECTS_OF_A_PICTURE, missing)])))
    return chosen


def accept(folder: Path, samples: Sequence[Sample], seed: int, model: str, *, in_view: bool) -> None:
    """Label objects in a folder of their pictures, with clicks; what is accepted already stays."""
    folder.mkdir(parents=True, exist_ok=True)
    session, accepted = Session(load_predictor(model, device="cpu")), 0
    for sample, indices in in_random_order(samples, seed):
        most = min(OBJECTS_OF_A_PICTURE, OBJECTS - accepted)
        if not most:
            return
        name = sample.image_path.name
        shutil.copyfile(sample.image_path, folder / name)
        with LabelSession([folder]) as labelled:
            objects = labelled.work.objects_of(name) or labelled_objects(session, sample, indices, most, in_view)
            if objects:
                labelled.work.change(name, sample.original_hw, objects)
        accepted += len(objects)


def labelled_objects(
    session: Session, sample: Sample, indices: Sequence[int], most: int, in_view: bool
) -> dict[str, Any]:
    """Up to `most` objects of a picture that clicks make good enough; after twice as many tries the next picture is better."""
    session.open(sample.image_path)
    objects: dict[str, Any] = {}
    for index in indices[: 2 * OBJECTS_OF_A_PICTURE]:
        session.clear()
        clicks, answer, steps = clicked(
            session, sample.objects[index].mask, visible(sample, index) if in_view else None
        )
        if clicks <= MOST_CLICKS and len(objects) < most:
            shape = {"counts": answer.rle.counts, "score": answer.iou_score, "steps": steps}
            objects[str(index)] = {"label": sample.objects[index].label, **shape}
        if len(objects) == most:
            break
    return objects


def taught(folder: Path, model: str, epochs: int | None) -> tuple[str | Path, dict[str, Any]]:
    """Teach as the page does; the weights with the share that it suggests, and what the training came to."""

    async def teach(session: LabelSession) -> tuple[str | Path, dict[str, Any]]:
        runs = Runs(session.directory / FOLDER)
        choice = ModelChoice(runs, {"model": model, "device": "cpu"}, lambda news: None, lambda: None)
        teaching = Teaching(runs, session.work, session.pictures, choice, {"device": "cpu"}, lambda news: None)
        if not runs.all():
            await teaching.start(num_epochs=epochs)
        elif not runs.all()[0].is_finished:
            teaching.resume(runs.all()[0].name)
        while teaching.state != "idle":
            await asyncio.sleep(0.5)
        run = runs.all()[0]
        result = run.result
        if result is None or not run.is_finished:
            raise SystemExit(f"Teaching has failed: {teaching.trouble}")
        if result["best_epoch"]:
            await choice.use(run.name, result["share"])
            await choice.process.stop()
        used = choice.in_use
        return (used.weights if used is not None else model), result

    with LabelSession([folder]) as session:
        return asyncio.run(teach(session))


def counted(chosen: Chosen, model: str | Path, *, in_view: bool) -> list[int]:
    """Clicks that each object needs."""
    session, clicks = Session(load_predictor(model, device="cpu")), []
    for sample, indices in chosen:
        session.open(sample.image_path)
        for index in indices:
            session.clear()
            view = visible(sample, index) if in_view else None
            clicks.append(clicked(session, sample.objects[index].mask, view)[0])
    return clicks


def measure_seed(data: Any, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One session: accept, teach, count."""
    started = time.monotonic()
    folder = arguments.output / f"seed{seed}" / "pictures"
    in_view = not arguments.whole
    accept(folder, data.samples("train"), seed, arguments.model, in_view=in_view)
    weights, result = taught(folder, arguments.model, arguments.epochs)
    following = first_objects(data.samples("test"), seed)
    before, after = (counted(following, model, in_view=in_view) for model in (arguments.model, weights))
    return {
        "seed": seed,
        "images": [sample.name for sample, indices in following for _ in indices],
        "clicks_before": before,
        "clicks_after": after,
        "mean_before": float(np.mean(before)),
        "mean_after": float(np.mean(after)),
        "share": result["share"],
        "best_epoch": result["best_epoch"],
        "curve": result["curve"],
        "seconds": round(time.monotonic() - started),
    }


def main() -> None:
    """Do what is missing and print what all seeds came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--epochs", type=int, help="most passes over the objects, if not what the page proposes")
    parser.add_argument("--whole", action="store_true", help="answer on the whole picture, not in the visible window")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "results.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    data = load_configured_dataset(arguments.data, Config())
    for seed in arguments.seeds:
        if not any(line["seed"] == seed for line in lines):
            lines.append(measure_seed(data, seed, arguments))
            with path.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    lines = [line for line in lines if line["seed"] in arguments.seeds]
    before, after = ([clicks for line in lines for clicks in line[key]] for key in ("clicks_before", "clicks_after"))
    groups = [image for line in lines for image in line["images"]]
    interval = paired_bootstrap(before, after, groups)
    told = {"objects": len(before), "mean_before": np.mean(before), "mean_after": np.mean(after), "by_seed": {}}
    told["by_seed"] = {line["seed"]: [line["mean_before"], line["mean_after"]] for line in lines}
    print(json.dumps({**told, "difference": interval.to_dict()}, indent=1))


if __name__ == "__main__":
    main()
