"""A worker with a small model, its photographs and its part."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.config import Config
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.ray.locations import ResultFolder
from sam2_adapter.jobs.ray.parquet import read_rows
from sam2_adapter.jobs.ray.run import ClusterOptions, ClusterPrediction
from sam2_adapter.jobs.ray.worker import Chunk, ChunkWorker, Job, ModelChoice
from sam2_adapter.jobs.tasks import ImageTask

BOX = Prompt(box_xyxy=(30, 10, 130, 110))
CHOICE = ModelChoice("small", "cpu", "torch", "fp32")


def do_chunk(worker: ChunkWorker, tasks: list[ImageTask], positions: list[int] | None = None) -> str:
    """Let a worker do a chunk; returns its error, or an empty text."""
    chunk = Chunk(0, tasks, range(len(tasks)) if positions is None else positions)
    done = worker({"chunk": np.array([pickle.dumps(chunk)], object)})
    assert done["index"].tolist() == [0]
    return str(done["error"][0])


def part_rows(job: Job, tasks: list[ImageTask]) -> list[dict]:
    """The rows of its part."""
    content = ResultFolder(job.output).read("part-000000.parquet")
    return read_rows(content, tasks, "part")


def prediction(tasks: list[ImageTask], output: Path | str | None, **settings: object) -> ClusterPrediction:
    """A run over a cluster that is not started yet."""
    options = PredictOptions.from_config(Config(default_label=str(settings.pop("label", "object"))))
    choice = ModelChoice("small", str(settings.pop("device", "cpu")))
    cluster = ClusterOptions(**settings)  # type: ignore[arg-type]
    return ClusterPrediction(choice, tasks, None if output is None else str(output), options, cluster)
