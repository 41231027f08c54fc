"""What fine-tuning forgets and whether clicks still help: `recommended` on one domain, measured on its test images and on other pictures.

    .venv/bin/python benchmarks/finetune/forgetting.py NUCLEI --general COCO-CC --general COCO-OBJECTS --output DIR [--set KEY=VALUE]...

One run with `blend: auto`; the tuned weights are then written as they are too, by resuming the finished run with `blend: 1`. Everything is chosen on
validation images and on the bundled general set; figures are of the `test` splits: of the domain the objects from `--min-side-px` on at model
input, of the general sets all objects. Differences come with 95 % bootstrap intervals over images. A folder that holds the finished run is only
measured again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from run import with_large_objects

from sam2_adapter.cli.config_options import config_from_options
from sam2_adapter.evaluation.compare import paired_bootstrap
from sam2_adapter.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate_prompts
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.load import load_model
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.training.events import BlendMeasured, EncodingImages, EpochEnded, Event, GeneralMeasured
from sam2_adapter.training.records import TrainingResult
from sam2_adapter.training.trainer import train

CLICKS = (1, 3, 5, 10, 20)


class Clock:
    """Seconds that a run spends on the general set and on blends, told apart by its events."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self.seconds = dict.fromkeys(
            ("encoding the general set", "general set before", "blends and general set after"), 0.0
        )
        self._last = time.monotonic()
        self._encoded_all_general = False

    def __call__(self, event: Event) -> None:
        """Count what went on since the last event."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        if isinstance(event, EncodingImages) and not self._encoded_all_general:
            self.seconds["encoding the general set"] += passed
            self._encoded_all_general = event.done == event.total
        elif isinstance(event, GeneralMeasured) and not event.is_saved_model:
            self.seconds["general set before"] += passed
        elif isinstance(event, BlendMeasured):
            self.seconds["blends and general set after"] += passed
        elif isinstance(event, EpochEnded):
            record = event.record
            print(
                f"epoch {record.epoch}: box {record.miou_box:.4f}, clicks 1 {record.miou_click:.4f}, 5 {record.miou_clicks:.4f}, "
                f"20 {record.miou_20_clicks:.4f}, {record.training_seconds:.0f} + {record.evaluation_seconds:.0f} s",
                flush=True,
            )


def main() -> None:
    """Train, measure and print."""
    args = parse_arguments()
    models = {"untouched": args.model, **tuned(args)}
    settings = EvaluationSettings(max_clicks=max(CLICKS), stop_iou=2.0)
    domain = large(args.data, "test", args)
    print_table("domain, test", models, domain, settings, with_clicks=True)
    general = [sample for folder in args.general for sample in load_dataset(folder).samples("test")]
    # Images of two data sets may have one name.
    general = [replace(sample, name=f"{index}/{sample.name}") for index, sample in enumerate(general)]
    print_table("general, test", models, general, settings, with_clicks=False)


def tuned(args: argparse.Namespace) -> dict[str, Path]:
    """The models of the run: with the share that `auto` has chosen, and as tuned."""
    fixed = {"preset": "recommended", "resize": load_model(args.model).resize}
    found, clock = {}, Clock()
    for name, blend in (("blend auto", "auto"), ("tuned", 1.0)):
        config = config_from_options(
            None, args.assignments, {**fixed, "blend": blend, "save_model_name": f"{name.split()[-1]}.torch"}
        )
        result = train(
            load_model(args.model),
            large(args.data, "train", args),
            large(args.data, "validation", args),
            args.output,
            config,
            resume=True,
            on_event=clock if blend == "auto" else None,
        )
        found[name] = result.model_path
        if blend == "auto":
            print_run(result, clock)
    return found


def print_run(result: TrainingResult, clock: Clock) -> None:
    """What the run says itself."""
    print(f"\n{result.summary}\n{result.general.sentence if result.general else ''}")
    print(f"share {result.blend.share:g}: {result.blend.reason}")
    print(
        "| share | box | 1 click | 5 clicks | 20 clicks | score | general, box | general, 1 click |\n|" + " ---: |" * 8
    )
    for point in result.blend.curve:
        f, g = point.figures, point.general
        values = [
            f.miou_box,
            f.miou_click,
            f.miou_clicks,
            f.miou_20_clicks,
            f.score,
            *((g.miou_box, g.miou_click) if g else ()),
        ]
        print(f"| {point.share:g} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    extra = sum(clock.seconds.values())
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in clock.seconds.items())
    print(f"{result.seconds:.0f} s, of them {parts}: {extra / max(1e-9, result.seconds - extra):.1%} more than without")


def large(folder: Path, split: str, args: argparse.Namespace) -> list[Sample]:
    """The images of a split with their large enough objects."""
    loaded = load_model(args.model)
    samples = load_dataset(folder).samples(split)
    return list(with_large_objects(samples, args.min_side_px, loaded.architecture.image_size, loaded.resize))


def print_table(
    title: str,
    models: dict[str, str | Path],
    samples: Sequence[Sample],
    settings: EvaluationSettings,
    *,
    with_clicks: bool,
) -> None:
    """Mean IoUs of all models, and differences of the others from the first."""
    prompts = ("box", "clicks") if with_clicks else ("box", "point")
    found = {
        name: evaluate_prompts(load_predictor(path, precision="fp32"), samples, prompts, settings)
        for name, path in models.items()
    }
    columns = {"box": lambda e: values(e["box"], 0)}
    if with_clicks:
        columns |= {f"{count} clicks": (lambda e, count=count: values(e["clicks"], count)) for count in CLICKS}
    else:
        columns["1 click"] = lambda e: values(e["point"], 0)
    first = next(iter(found.values()))
    images = [row.sample for row in first["box"].objects]
    print(
        f"\n{title}: {len(images)} objects in {len(set(images))} images\n| model | "
        + " | ".join(columns)
        + " |\n|"
        + " --- |" * (len(columns) + 1)
    )
    for name, evaluations in found.items():
        cells = []
        for column in columns.values():
            ious = column(evaluations)
            difference = "" if evaluations is first else f" ({paired_bootstrap(column(first), ious, images)})"
            cells.append(f"{sum(ious) / len(ious):.3f}{difference}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def values(evaluation: Evaluation, clicks: int) -> list[float]:
    """IoU of each object, after a number of clicks where there are some."""
    return [
        row.iou_after(clicks) if clicks else row.mask_iou
        for row in sorted(evaluation.objects, key=lambda row: (row.sample, row.object_index))
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--general", type=Path, action="append", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--min-side-px", type=float, default=16.0)
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
