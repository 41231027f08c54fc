"""Train on embeddings as they are stored, in fp16, and as the encoder gives them, in fp32; compare what the two come to.

    .venv/bin/python benchmarks/finetune/stored_embeddings.py DATA [--images 30] [--epochs 8] [--seeds 3]

Every seed trains three times from `sam2_nano` with `preset: recommended` on the same objects, order and prompts: on fp16,
on fp32, and on fp32 with micro-batches of another size, which changes nothing but rounding. The difference between the
last two is what rounding alone does to a run, the measure for the difference between the first two.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from run import with_large_objects

from sam2_adapter.config import Config
from sam2_adapter.embeddings import store
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.load import load_model
from sam2_adapter.training.records import EpochRecord
from sam2_adapter.training.trainer import train

FIGURES = ("miou_box", "miou_click", "miou_clicks", "score")
MODEL = "sam2_nano"


def main() -> None:
    """Train and print the figures of the last epochs."""
    args = parse_arguments()
    architecture = load_model(MODEL).architecture
    dataset = load_dataset(args.data)
    training, validation = (
        list(with_large_objects(dataset.samples(split)[: args.images], 16.0, architecture.image_size, "stretch"))
        for split in ("train", "validation")
    )
    stored, recomputed, rounded = [], [], []
    for seed in range(args.seeds):
        stored.append(last_epoch(training, validation, args.epochs, seed, 16))
        with patch.object(store, "_as_fp16", store._as_fp32):
            recomputed.append(last_epoch(training, validation, args.epochs, seed, 16))
            rounded.append(last_epoch(training, validation, args.epochs, seed, 5))
        print(
            f"seed {seed}: scores {stored[-1].score:.4f} {recomputed[-1].score:.4f} {rounded[-1].score:.4f}", flush=True
        )
    print(f"\n{'mean IoU':<12}{'fp16':>8}{'fp32':>8}{'fp16 - fp32':>16}{'rounding alone':>18}")
    for name in FIGURES:
        first, second, third = ([getattr(row, name) for row in rows] for rows in (stored, recomputed, rounded))
        print(
            f"{name:<12}{statistics.mean(first):>8.4f}{statistics.mean(second):>8.4f}"
            f"{spread(first, second):>16}{spread(third, second):>18}"
        )


def spread(first: Sequence[float], second: Sequence[float]) -> str:
    """Mean difference over the seeds, and the largest one."""
    differences = [a - b for a, b in zip(first, second, strict=True)]
    return f"{statistics.mean(differences):+.4f} (<{max(map(abs, differences)):.3f})"


def last_epoch(
    training: Sequence[Sample], validation: Sequence[Sample], num_epochs: int, seed: int, micro_batch: int
) -> EpochRecord:
    """Train and give the figures after the last epoch."""
    config = Config(
        preset="recommended",
        num_epochs=num_epochs,
        seed=seed,
        micro_batch=micro_batch,
        variants=("original",),
        device="cpu",
        runtime="torch",
        precision="fp32",
        disk_mib=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        return train(load_model(MODEL), training, validation, folder, config).history[-1]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
