"""Train on embeddings as they are stored, in fp16, and as the encoder gives them, in fp32, and compare the mean IoUs.

    .venv/bin/python tools/stored_embeddings.py DATA [--images 20] [--epochs 4]

Both runs start from `sam2_nano` with `preset: recommended`, the same objects, order and prompts.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import torch

from sam2_adapter.config import Config
from sam2_adapter.data.dataset import load_dataset
from sam2_adapter.data.sample import Sample
from sam2_adapter.model.encode import EncodedImages
from sam2_adapter.model.loading import load_model
from sam2_adapter.training import store
from sam2_adapter.training.records import EpochRecord
from sam2_adapter.training.trainer import train

# Of an image with many objects the first ones.
MAX_OBJECTS = 15


def main() -> None:
    """Train twice and print the figures of the last epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    dataset = load_dataset(args.data)
    training, validation = (_some(dataset.samples(split), args.images) for split in ("train", "validation"))
    stored = _last_epoch(training, validation, args.epochs)
    with patch.object(store, "_as_fp16", _kept):
        recomputed = _last_epoch(training, validation, args.epochs)
    for name in ("miou_box", "miou_click", "miou_clicks", "score"):
        first, second = getattr(stored, name), getattr(recomputed, name)
        print(f"{name:<12} stored {first:.4f}  recomputed {second:.4f}  difference {first - second:+.4f}")


def _some(samples: Sequence[Sample], count: int) -> list[Sample]:
    return [replace(sample, objects=sample.objects[:MAX_OBJECTS]) for sample in samples[:count]]


def _last_epoch(training: Sequence[Sample], validation: Sequence[Sample], num_epochs: int) -> EpochRecord:
    config = Config(
        preset="recommended",
        num_epochs=num_epochs,
        variants=("original",),
        device="cpu",
        precision="fp32",
        disk_mib=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        return train(load_model("sam2_nano"), training, validation, folder, config).history[-1]


def _kept(encoded: EncodedImages) -> EncodedImages:
    """What an encoder that is asked anew each time gives, without the time."""
    return store._as_fp32(encoded)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
