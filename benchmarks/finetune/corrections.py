"""Recipes of correction clicks side by side, in short runs chosen on half of the validation objects: do late clicks still help?

    .venv/bin/python benchmarks/finetune/corrections.py NUCLEI --output DIR [--epochs 10] [--recipe NAME KEY=VALUE...]... [--share 2]

Every run starts from the same weights with the settings of `recommended`, sees the same objects, and is measured once, at its end: mean IoU from
boxes and after 1, 3, 5, 10 and 20 clicks, beside the untouched model, and the CPU seconds of its training. `--share N` takes every Nth image, to
train on and to measure with. Embeddings are kept in `--output`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from run import with_large_objects

from sam2_adapter.cli.config_options import config_from_options
from sam2_adapter.config import Config
from sam2_adapter.evaluation.evaluate import EvaluationSettings
from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.metrics import mean
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.load import load_model
from sam2_adapter.training.batches import draw_question, draw_rounds, make_batch, steps_of_epoch
from sam2_adapter.training.optim import put
from sam2_adapter.training.setup import Parts, build

CLICKS = (1, 3, 5, 10, 20)
SPREAD = ("correction_spread=true", "correction_losses=ends")
RECIPES = {
    "two rounds for 15 %": (
        "correction_share=0.15",
        "correction_rounds=2",
        "correction_spread=false",
        "correction_losses=all",
    ),
    "five rounds for 60 %": (
        "correction_share=0.6",
        "correction_rounds=5",
        "correction_spread=false",
        "correction_losses=all",
    ),
    "1 to 16 rounds for 30 %, ends": ("correction_share=0.3", "correction_rounds=16", *SPREAD),
    "1 to 16 rounds for 50 %, ends": ("correction_share=0.5", "correction_rounds=16", *SPREAD),
    "1 to 8 rounds for 30 %, ends": ("correction_share=0.3", "correction_rounds=8", *SPREAD),
}


def main() -> None:
    """Train and measure recipe after recipe."""
    args = parse_arguments()
    recipes = {name: tuple(settings) for name, *settings in args.recipe} or RECIPES
    print(
        "| recipe | box | "
        + " | ".join(f"{count} clicks" for count in CLICKS)
        + " | CPU s |\n| --- |"
        + " ---: |" * (len(CLICKS) + 2)
    )
    for index, (name, settings) in enumerate(recipes.items()):
        fixed = {"preset": "recommended", "num_epochs": args.epochs, "general_set": "none"}
        config = config_from_options(None, list(settings), fixed)
        parts = build_run(args, config)
        if index == 0:
            print_row("untouched", parts, 0.0)
        print_row(name, parts, train(parts, config))


def build_run(args: argparse.Namespace, config: Config) -> Parts:
    """A run with fresh weights."""
    loaded = load_model(args.model)
    data, size = load_dataset(args.data), loaded.architecture.image_size
    splits: list[list[Sample]] = [
        list(with_large_objects(data.samples(split), args.min_side_px, size, loaded.resize))[:: args.share]
        for split in ("train", "validation")
    ]
    return build(loaded, splits[0], splits[1], args.output, config, args.output / "embeddings", None)


def train(parts: Parts, config: Config) -> float:
    """Take all steps; the model has the weights at the end, averaged where the recipe says so. Returns CPU seconds."""
    started, step = time.process_time(), 0
    for epoch in range(1, config.num_epochs + 1):
        for position, items in enumerate(steps_of_epoch(parts.objects, config.seed, epoch, config.batch_size)):
            rounds = draw_rounds(epoch, position, config)
            questions = [draw_question(item, epoch, config, parts.image_size, rounds) for item in items]
            parts.stepper.step(
                questions,
                len(items),
                lambda asked: make_batch(
                    asked,
                    [parts.embeddings.get(question.sample, question.variant) for question in asked],
                    parts.image_size,
                    config.resize,
                    parts.grid_hw,
                ),
                parts.schedule.learning_rate(step),
            )
            step += 1
            if parts.average is not None:
                parts.average.update(parts.parameters)
    if parts.average is not None:
        put(parts.parameters, parts.average.values)
    return time.process_time() - started


def print_row(name: str, parts: Parts, seconds: float) -> None:
    """Measure the model as it is."""
    settings = EvaluationSettings(max_clicks=max(CLICKS), stop_iou=2.0)
    boxes, clicks = [], []
    for position in parts.validation:
        sample, embedding = parts.samples[position], parts.image_embedding(position)
        indices = range(len(sample.objects))
        boxes += measure_image(parts.predictor, sample, indices, embedding, "box", settings)
        clicks += measure_image(parts.predictor, sample, indices, embedding, "clicks", settings)
    figures = [mean([row.mask_iou for row in boxes])]
    figures += [mean([row.iou_after(count) for row in clicks]) for count in CLICKS]
    print(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + f" | {seconds:.0f} |", flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--share", type=int, default=2)
    parser.add_argument("--min-side-px", type=float, default=16.0)
    parser.add_argument("--recipe", nargs="+", action="append", default=[], metavar="NAME KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
