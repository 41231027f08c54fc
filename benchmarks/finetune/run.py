"""Fine-tune on a data set with splits, choose on `validation`, and report `test` beside the untouched model and the box baselines.

    .venv/bin/python benchmarks/finetune/run.py DATA --output DIR [--model sam2_nano] [--min-side-px 16] [--set KEY=VALUE]...

Objects whose box has a shorter side below `--min-side-px` at model input are left out of all splits. Differences come with
95 % bootstrap intervals over images.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sam2_adapter.cli.settings import config_from_options
from sam2_adapter.data.dataset import load_dataset
from sam2_adapter.data.sample import Sample
from sam2_adapter.loading import load_predictor
from sam2_adapter.model.loading import load_model
from sam2_adapter.model.preprocess import Geometry, Resize
from sam2_adapter.training.evaluation import EvaluationSettings, compare, evaluate_prompts
from sam2_adapter.training.trainer import train

MAX_CLICKS = 5


def main() -> None:
    """Train, measure and print."""
    args = parse_arguments()
    loaded = load_model(args.model)
    size, resize = loaded.architecture.image_size, loaded.resize
    config = config_from_options(None, args.assignments, {"preset": "recommended", "resize": resize})
    splits = load_dataset(args.data, min_area_px=config.min_area_px, seed=config.seed)
    training, validation = (
        list(with_large_objects(splits.samples(name), args.min_side_px, size, resize))
        for name in ("train", "validation")
    )
    result = train(loaded, training, validation, args.output, config)
    print(result.summary, f"({result.seconds:.0f} s)")
    report(args.model, result.model_path, splits.samples("test"), args.min_side_px)


def with_large_objects(
    samples: Iterable[Sample], min_side_px: float, image_size: int, resize: Resize
) -> Iterable[Sample]:
    """The samples with their large enough objects only; those without any are left out."""
    for sample in samples:
        geometry = Geometry(sample.original_hw, image_size, resize)
        sides = [geometry.points_to_input(np.reshape(item.box_xyxy, (2, 2))) for item in sample.objects]
        pairs = zip(sample.objects, sides, strict=True)
        kept = tuple(item for item, (near, far) in pairs if (far - near).min() >= min_side_px)
        if kept:
            yield replace(sample, objects=kept)


def report(base: str, tuned: Path, samples: Iterable[Sample], min_side_px: float) -> None:
    """Print the figures of both models and their differences."""
    settings = EvaluationSettings(min_side_px=min_side_px, max_clicks=MAX_CLICKS)
    before, after = (
        evaluate_prompts(load_predictor(model, precision="fp32"), list(samples), ("box", "clicks"), settings)
        for model in (base, tuned)
    )
    for prompt, first in before.items():
        second = after[prompt]
        print(f"\n{prompt}\nuntouched\n{first.to_table()}\ntuned\n{second.to_table()}\ndifference")
        print(compare(first, second).to_table())


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--min-side-px", type=float, default=16.0)
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
