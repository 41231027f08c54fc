"""A small run in a process of its own, to be killed or shared among processes.

Usage: child_run.py IMAGES OUTPUT BATCH_SIZE
"""

from __future__ import annotations

import json
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from accelerate import PartialState

from sam2_adapter.training.events import Work
from sam2_adapter.training.records import TrainingResult
from sam2_adapter.training.trainer import train
from tests.training.small_run import click_curve, make_samples, small_config_of_run, small_loaded_model

NUM_EPOCHS = 6


def run(images: Path, output: Path, batch_size: int = 2, on_event=None) -> TrainingResult:
    """Train, or go on where an earlier run in `output` stopped."""
    torch.set_num_threads(1)
    training, validation = make_samples(images, 3, seed=0), make_samples(images, 1, seed=1)
    config = small_config_of_run(num_epochs=NUM_EPOCHS, batch_size=batch_size, save_interval=2, patience=NUM_EPOCHS)
    with click_curve():
        return train(small_loaded_model(), training, validation, output, config, resume=True, on_event=on_event)


def run_and_tell(images: Path, output: Path, connection: Connection) -> None:
    """Train and send a message at every step, and the identity of the weights at the end."""
    result = run(
        images, output, on_event=lambda event: connection.send(event.what) if isinstance(event, Work) else None
    )
    connection.send((result.weights_sha256, [(record.loss, record.score) for record in result.history]))


def run_and_report(images: Path, output: Path, batch_size: int, variables: dict[str, str] | None = None) -> None:
    """Train as one of several processes, which `variables` of the environment say, and write what came out."""
    os.environ.update(variables or {})
    found = run(images, output, batch_size)
    state = PartialState()
    report = {
        "processes": state.num_processes,
        "losses": [r.loss for r in found.history],
        "scores": [r.score for r in found.history],
    }
    (output / f"process_{state.process_index}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    run_and_report(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
