"""Fine-tune on a data set with splits, choose on `validation`, and report `test` beside the untouched model and the box baselines.

    .venv/bin/python benchmarks/finetune/run.py DATA --output DIR [--model sam2_nano] [--min-side-px 16] [--existing] [--set KEY=VALUE]...

Objects whose box has a shorter side below `--min-side-px` at model input are left out of `validation` and `test`, and below
`--min-training-side-px` out of `train`. With `--existing` the procedure of the existing adapter is run for as many epochs,
and compared on the same prompts. Differences come with 95 % bootstrap intervals over images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from existing_procedure import ExistingProcedure

from sam2_adapter.cli.config_options import config_from_options
from sam2_adapter.evaluation.evaluate import Evaluation, EvaluationSettings, compare, evaluate_prompts
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.load import load_model
from sam2_adapter.models.network.preprocess import Geometry, Resize
from sam2_adapter.models.weights.checkpoint import save_checkpoint
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.training.events import EpochEnded, Event
from sam2_adapter.training.trainer import train

MAX_CLICKS = 5
PROMPTS = ("box", "clicks")


def main() -> None:
    """Train, measure and print."""
    args = parse_arguments()
    loaded = load_model(args.model)
    size, resize = loaded.architecture.image_size, loaded.resize
    config = config_from_options(None, args.assignments, {"preset": "recommended", "resize": resize})
    splits = load_dataset(args.data, min_area_px=config.min_area_px, seed=config.seed)
    sides = {"train": args.min_training_side_px, "validation": args.min_side_px, "test": args.min_side_px}
    samples = {name: list(with_large_objects(splits.samples(name), side, size, resize)) for name, side in sides.items()}
    counts = ", ".join(f"{sum(len(s.objects) for s in found)} objects of {name}" for name, found in samples.items())
    print(f"{args.data.name}: {counts}", flush=True)
    models = {"untouched": args.model}
    if args.existing:
        models["existing"] = train_existing(args.model, samples["train"], config.num_epochs, args.output)
    result = train(loaded, samples["train"], samples["validation"], args.output / "ours", config, on_event=print_epoch)
    print(f"{result.summary} ({result.seconds:.0f} s)")
    models["ours"] = result.model_path
    report(models, samples["test"], args.min_side_px)


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


def train_existing(model: str, samples: Sequence[Sample], num_epochs: int, output: Path) -> Path:
    """Train with the existing procedure and save its last weights, as it does."""
    loaded = load_model(model)
    procedure = ExistingProcedure(loaded)
    encoded = [procedure.encode(sample.read_image()) for sample in samples]
    started = time.perf_counter()
    for epoch in range(1, num_epochs + 1):
        loss = procedure.epoch(samples, encoded)
        print(f"existing procedure, epoch {epoch}: loss {loss:.4f}, {time.perf_counter() - started:.0f} s", flush=True)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "existing.torch"
    save_checkpoint(path, loaded.model.state_dict(), loaded.architecture, video_tensors=loaded.video_tensors or None)
    return path


def print_epoch(event: Event) -> None:
    """One line on the validation objects after every epoch."""
    if not isinstance(event, EpochEnded):
        return
    record = event.record
    print(
        f"epoch {record.epoch}: box {record.miou_box:.4f}, 1 click {record.miou_click:.4f}, "
        f"5 clicks {record.miou_clicks:.4f}, {record.training_seconds:.0f} + {record.evaluation_seconds:.0f} s"
        f"{', best' if record.is_best else ''}",
        flush=True,
    )


def report(models: dict[str, str | Path], samples: Sequence[Sample], min_side_px: float) -> None:
    """Print the figures of all models and the differences of the last from the others."""
    settings = EvaluationSettings(min_side_px=min_side_px, max_clicks=MAX_CLICKS)
    found: dict[str, dict[str, Evaluation]] = {
        name: evaluate_prompts(load_predictor(model, precision="fp32"), samples, PROMPTS, settings)
        for name, model in models.items()
    }
    last = list(models)[-1]
    for prompt in PROMPTS:
        for name in models:
            print(f"\n{prompt}: {name}\n{found[name][prompt].to_table()}")
        for name in list(models)[:-1]:
            print(f"\n{prompt}: {last} minus {name}\n{compare(found[name][prompt], found[last][prompt]).to_table()}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--min-side-px", type=float, default=16.0)
    parser.add_argument("--min-training-side-px", type=float, default=16.0)
    parser.add_argument("--existing", action="store_true", help="also train with the existing adapter's procedure")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
