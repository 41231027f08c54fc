"""One object's share of a training step, beside the step of the existing adapter's procedure; engines in turn, medians.

    .venv/bin/python benchmarks/finetune/speed.py --model sam2_hiera_s.pt [--image PHOTO] [--precision fp32 bf16] [--rounds 5]

Speed does not depend on the values of the weights: a seeded file of `benchmarks/prediction/seeded_weights.py` does. Ours is
measured on stored embeddings, which is every epoch after the first: once with one prompt per object, and once with the
prompts, corrections and image variants of the preset `recommended`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from existing_procedure import ExistingProcedure

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.config import Config
from sam2_adapter.formats.sample import Sample
from sam2_adapter.images.read import read_image
from sam2_adapter.models.engines.base import cpu_has_bf16
from sam2_adapter.models.load import load_model
from sam2_adapter.training.batches import Question, draw_question, make_batch
from sam2_adapter.training.setup import Parts, build

DEMO_PHOTO = Path(__file__).parents[2] / "sam2_adapter" / "assets" / "demo" / "astronaut.jpg"
NUM_OBJECTS = 16


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    sample = sample_with_discs(args.image)
    procedure = ExistingProcedure(load_model(args.model))
    image = sample.read_image()
    mask = sample.objects[0].mask
    engines: dict[str, Callable[[], float]] = {
        "existing procedure, fp32": lambda: seconds(lambda: procedure.step(procedure.encode(image), mask))
    }
    with tempfile.TemporaryDirectory() as folder:
        for precision in args.precision:
            for name, overrides in (("one prompt", {"correction_share": 0.0}), ("recommended", {})):
                parts = build_run(args, sample, Path(folder) / f"{precision}-{name}", precision, overrides)
                engines[f"ours, {precision}, {name}"] = one_step(parts)
        found: dict[str, list[float]] = {name: [] for name in engines}
        for step in engines.values():
            step()
        for _ in range(args.rounds):
            for name, step in engines.items():
                found[name].append(step())
    print_table(found)


def print_table(found: dict[str, list[float]]) -> None:
    """Medians and ratios to the first engine, as Markdown."""
    medians = {name: statistics.median(times) for name, times in found.items()}
    baseline = next(iter(medians.values()))
    print("| one object | seconds | least | most | times as fast as the first |\n| --- | ---: | ---: | ---: | ---: |")
    for name, median in medians.items():
        times = found[name]
        print(f"| {name} | {median:.4f} | {min(times):.4f} | {max(times):.4f} | {baseline / median:.1f} |")


def sample_with_discs(path: Path) -> Sample:
    """A photograph with discs of several sizes as its objects."""
    height, width = read_image(path).shape[:2]
    rows, columns = np.mgrid[:height, :width]
    generator = np.random.default_rng(0)
    discs = []
    for _ in range(NUM_OBJECTS):
        radius = generator.uniform(0.03, 0.15) * min(height, width)
        x, y = generator.uniform(radius, width - radius), generator.uniform(radius, height - radius)
        discs.append(Annotation.from_mask((columns - x) ** 2 + (rows - y) ** 2 < radius**2, label="disc"))
    return Sample(path.name, path, (height, width), tuple(discs))


def build_run(
    args: argparse.Namespace, sample: Sample, folder: Path, precision: str, overrides: dict[str, object]
) -> Parts:
    """A run whose images are encoded."""
    settings = {"preset": "recommended", "batch_size": NUM_OBJECTS, "precision": precision, "disk_mib": 0}
    config = Config.from_mapping({**settings, **overrides})
    return build(load_model(args.model), [sample], [sample], folder, config, None, None)


def one_step(parts: Parts) -> Callable[[], float]:
    """Take one optimizer step on all objects; returns the seconds for one of them."""
    epochs = iter(range(1, 10_000))

    def batch(questions: list[Question]) -> object:
        embeddings = [parts.embeddings.get(question.sample, question.variant) for question in questions]
        return make_batch(questions, embeddings, parts.image_size, parts.config.resize, parts.grid_hw)

    def step() -> float:
        epoch = next(epochs)

        def train() -> None:
            questions = [draw_question(item, epoch, parts.config, parts.image_size) for item in parts.objects]
            parts.stepper.step(questions, len(questions), batch, parts.config.learning_rate)
            if parts.average is not None:
                parts.average.update(parts.parameters)

        return seconds(train) / len(parts.objects)

    return step


def seconds(action: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--image", type=Path, default=DEMO_PHOTO)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"] if cpu_has_bf16() else ["fp32"])
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
