"""A run over a Ray cluster: chunks of images go to workers, each chunk becomes one Parquet file, and what is there is not done again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.data

from sam2_adapter import __version__
from sam2_adapter.bulk import BulkOptions, ImageResult
from sam2_adapter.cluster.locations import ResultFolder
from sam2_adapter.cluster.parts import from_parquet, part_name
from sam2_adapter.cluster.work import ChunkWorker, ModelChoice, SourcedTask
from sam2_adapter.data.image_tasks import prompts_sha256
from sam2_adapter.errors import ConfigError, Sam2AdapterError
from sam2_adapter.model.loading import load_model

MANIFEST = "run.json"
CHUNK_SIZE = 32

# A worker on a CPU takes this many cores where nothing else is asked for; more make one image little faster.
_CORES_A_WORKER = 8


@dataclass(frozen=True)
class ClusterOptions:
    """How the work is spread.

    Attributes:
        address: of the cluster; `None` takes RAY_ADDRESS, or starts one on this machine.
        workers: number of models at work; `None` takes one a GPU, or one for every 8 cores.
        resume: keep the parts that an earlier run has made.
        chunk_size: images in one part.
    """

    address: str | None = None
    workers: int | None = None
    resume: bool = False
    chunk_size: int = CHUNK_SIZE


def predict_on_cluster(
    choice: ModelChoice, tasks: Sequence[SourcedTask], output: str, options: BulkOptions, cluster: ClusterOptions
) -> Generator[ImageResult, None, None]:
    """Predict on every image and write parts, yielding what became of each image, chunk by chunk in any order.

    Args:
        choice: the model; also loaded here, to know its weights.
        tasks: the images.
        output: folder for the parts, a path or URL that all machines reach.
        options: `clip_to_box`, `default_label` and `max_pixels` are used.
        cluster: see `ClusterOptions`.

    Raises:
        ConfigError: the folder holds another run, or the cluster cannot be reached.
        Sam2AdapterError: of other kinds, as a worker met it: weights or output that it does not reach.
    """
    folder = ResultFolder(output)
    chunks = [tasks[start : start + cluster.chunk_size] for start in range(0, len(tasks), cluster.chunk_size)]
    _claim(folder, _manifest(choice, tasks, options, cluster), resume=cluster.resume)
    missing = [index for index in range(len(chunks)) if not folder.has(part_name(index))]
    for index in sorted(set(range(len(chunks))) - set(missing)):
        yield from _results(folder, index, chunks[index], is_kept=True)
    if missing:
        with _connected(cluster.address):
            for index in _run_chunks(choice, chunks, missing, output, options, cluster.workers):
                yield from _results(folder, index, chunks[index], is_kept=False)


def _results(folder: ResultFolder, index: int, chunk: Sequence[SourcedTask], *, is_kept: bool) -> list[ImageResult]:
    name = part_name(index)
    tasks = [entry.task for entry in chunk]
    return from_parquet(folder.read(name), tasks, Path(folder.location) / name, is_kept=is_kept)


def _run_chunks(
    choice: ModelChoice,
    chunks: Sequence[Sequence[SourcedTask]],
    missing: Sequence[int],
    output: str,
    options: BulkOptions,
    workers: int | None,
) -> Iterator[int]:
    """Let the workers do the missing chunks; yields each when its part is written."""
    share, count = _share_of_a_worker(workers)
    stored = ray.put(chunks)

    class Worker:
        """Runs in a process of its own, on any machine of the cluster; Ray starts another where one dies."""

        def __init__(self) -> None:
            self._error: str | None = None
            try:
                self._worker = ChunkWorker(choice, options, output)
                self._chunks = ray.get(stored)
            except Sam2AdapterError as error:
                self._error = str(error)

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            errors = [self._done(int(index)) for index in batch["chunk"]]
            return {"chunk": batch["chunk"], "error": np.array(errors)}

        def _done(self, index: int) -> str:
            if self._error is not None:
                return self._error
            try:
                self._worker.run(index, self._chunks[index])
            except Sam2AdapterError as error:
                return str(error)
            return ""

    data = ray.data.from_items([{"chunk": index} for index in missing], override_num_blocks=len(missing))
    # Few at most are taken ahead, so that all workers end at about the same time.
    strategy = ray.data.ActorPoolStrategy(size=min(count, len(missing)), max_tasks_in_flight_per_actor=2)
    for row in data.map_batches(Worker, batch_size=1, compute=strategy, **share).iter_rows():
        if row["error"]:
            raise Sam2AdapterError(str(row["error"]))
        yield int(row["chunk"])


def _share_of_a_worker(workers: int | None) -> tuple[dict[str, float], int]:
    """What a worker asks of the cluster, and how many there are."""
    resources = ray.cluster_resources()
    cores, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    count = workers or gpus or max(1, cores // _CORES_A_WORKER)
    if gpus:
        return {"num_cpus": 1, "num_gpus": min(1.0, gpus / count)}, count
    return {"num_cpus": max(1, cores // count)}, min(count, cores)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Join a cluster, or start one here and end it again."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    address = address or os.environ.get("RAY_ADDRESS")
    start_here: dict[str, Any] = {} if address else {"include_dashboard": False}
    try:
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False, **start_here)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"The Ray cluster {address or 'on this machine'} cannot be used: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _manifest(
    choice: ModelChoice, tasks: Sequence[SourcedTask], options: BulkOptions, cluster: ClusterOptions
) -> dict[str, Any]:
    loaded = load_model(choice.model)
    return {
        "tool": f"sam2-adapter {__version__}",
        "model": loaded.name,
        "weights_sha256": loaded.weights_sha256,
        **{key: value for key, value in asdict(choice).items() if key != "model"},
        "clip_to_box": options.clip_to_box,
        "default_label": options.default_label,
        "max_pixels": options.max_pixels,
        "chunk_size": cluster.chunk_size,
        "images": len(tasks),
        "images_and_prompts_sha256": _digest(tasks),
    }


def _claim(folder: ResultFolder, manifest: Mapping[str, Any], *, resume: bool) -> None:
    """Make the folder this run's, or see that it is."""
    if not folder.has(MANIFEST):
        folder.write(MANIFEST, json.dumps(manifest, indent=1).encode())
        return
    if not resume:
        raise ConfigError(
            f"{folder.location}: there is a run here already. Go on with it with --resume, or choose another --output."
        )
    try:
        earlier = json.loads(folder.read(MANIFEST))
    except ValueError:
        earlier = {}
    other = [
        f"{name} was {earlier.get(name)!r} and is now {value!r}"
        for name, value in manifest.items()
        if earlier.get(name) != value
    ]
    if other:
        raise ConfigError(
            f"{folder.location}: cannot go on with this run: {'; '.join(other)}. Use the same images and settings, or "
            "choose another --output."
        )


def _digest(tasks: Sequence[SourcedTask]) -> str:
    lines = (f"{entry.source}\n{entry.task.name}\n{prompts_sha256(entry.task.prompts)}\n" for entry in tasks)
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
