"""A run over a Ray cluster: chunks of images go to workers, each chunk becomes one Parquet file, and what is there is not done again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import secrets
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Self

from sam2_adapter import __version__
from sam2_adapter.annotations.prompts import Units
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.errors import ConfigError, Sam2AdapterError
from sam2_adapter.images.find import PassedOver
from sam2_adapter.jobs.answers import ImageResult
from sam2_adapter.jobs.local import OnImagePoints
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.ray.locations import source_version
from sam2_adapter.jobs.ray.parquet import part_name, read_rows, result_of
from sam2_adapter.jobs.ray.plan import Request
from sam2_adapter.jobs.ray.run_folder import RunFolder
from sam2_adapter.jobs.ray.worker import Chunk, Job, ModelChoice
from sam2_adapter.jobs.tasks import ImageTask, prompts_sha256
from sam2_adapter.models.load import load_model
from sam2_adapter.text import plural

logger = logging.getLogger(__name__)

# Parts are so many that workers end together and little is lost with one, and so few that a million images have not too many.
_ABOUT_PARTS = 1000
_CHUNK_SIZES = (8, 256)
_CONNECT_SECONDS = 10
# Files that are looked at at the same time, to see whether they have changed.
_LOOKS_AT_ONCE = 16
_SHUTDOWN_SECONDS = 20
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class ClusterOptions:
    """How the work is spread.

    Attributes:
        address: of the cluster; `None` takes RAY_ADDRESS, or starts one on this machine.
        workers: number of models at work; `None` takes one per GPU, or one for every 8 cores.
        resume: keep the parts that an earlier run has made.
        overwrite: replace them.
        chunk_size: images in one part; `None` takes 8, and more where there are many images.
    """

    address: str | None = None
    workers: int | None = None
    resume: bool = False
    overwrite: bool = False
    chunk_size: int | None = None


class ClusterPrediction:
    """Prediction on many images; loop over it to predict. The folder is this run's as soon as the object is made.

    A context manager that lets the folder go.

    Attributes:
        directory: where the parts are, a path or URL.
        num_images: how many images there are.
        made_by: the program, the model and its weights.
        resize: the model's, see `LoadedModel`.
    """

    def __init__(
        self,
        choice: ModelChoice,
        tasks: Sequence[ImageTask],
        output: str | None,
        options: PredictOptions,
        cluster: ClusterOptions,
    ) -> None:
        """Look at what is there.

        Args:
            choice: the model; it is also loaded here, so that all machines can be held to the same weights.
            tasks: the images; those without URL have absolute paths.
            output: folder for the parts, a path or URL that all machines reach; `None` for a new one in the working directory.
            options: its batch size and workers are not used.
            cluster: see `ClusterOptions`.

        Raises:
            ConfigError: the folder holds a run with other settings, or the device cannot be had on a cluster.
            OutputExistsError: the folder is not ours, or holds an earlier run.
            FolderInUseError: another command writes to the folder.
            CheckpointError: as `load_model`.
            ExportError: the folder cannot be read or written.
        """
        if choice.device.startswith("cuda:"):
            raise ConfigError(f"device = {choice.device!r}: on a cluster Ray chooses the GPU; use cuda or auto.")
        loaded = load_model(choice.model)
        self.made_by = {
            "tool": f"sam2-adapter {__version__}",
            "name": loaded.name,
            "weights_sha256": loaded.weights_sha256,
            "engine": "ray",
        }
        self.resize = loaded.resize
        self.passed_over: tuple[PassedOver, ...] = ()  # told by `find_sources`
        self.on_points: OnImagePoints | None = None  # workers do not tell
        self._choice = choice
        self._options = options
        self._cluster = cluster
        self.num_images = len(tasks)
        size = cluster.chunk_size or min(max(len(tasks) // _ABOUT_PARTS, _CHUNK_SIZES[0]), _CHUNK_SIZES[1])
        self._chunks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
        manifest = {
            **self._settings(),
            "chunk_size": size,
            "images": len(tasks),
            "tasks": _digest(tasks, options.units),
        }
        self._place = RunFolder(output, resume=cluster.resume, overwrite=cluster.overwrite)
        try:
            self._place.begin(manifest, len(self._chunks))
        except BaseException:
            self._place.close()
            raise
        self._folder = self._place.folder
        self.directory = self._place.location
        names = self._folder.names()
        self._present = [part_name(index) in names for index in range(len(self._chunks))]

    def __iter__(self) -> Generator[ImageResult, None, None]:
        """As `results`."""
        yield from self.results()

    def close(self) -> None:
        """Let the folder go."""
        self._place.close()

    def __enter__(self) -> Self:
        """The run itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the folder go."""
        self.close()

    def results(self) -> Generator[ImageResult, None, None]:
        """Predict, yielding what became of each image, part by part in any order; the parts that are there come first.

        Images that failed in an earlier run, or whose file has changed since it was read, are done again.

        Raises:
            ConfigError: the cluster cannot be reached.
            Sam2AdapterError: a worker cannot do its work: weights or output that it does not reach.
        """
        todo: dict[int, Sequence[int]] = {}
        for index, chunk in enumerate(self._chunks):
            if not self._present[index]:
                todo[index] = range(len(chunk))
                continue
            earlier = self._part(index, range(len(chunk)), is_kept=True)
            changed = self._changed(index)
            again = [at for at, result in enumerate(earlier) if result.error is not None or at in changed]
            yield from (result for at, result in enumerate(earlier) if at not in again)
            if again:
                todo[index] = again
        if todo:
            with closing(self._work(todo)) as done:
                for index in done:
                    yield from self._part(index, todo[index], is_kept=False)

    def _work(self, todo: Mapping[int, Sequence[int]]) -> Generator[int, None, None]:
        """Let the cluster do chunks; yields the index of each when its part is written."""
        job = Job(self._choice, self.made_by["weights_sha256"], self._options, self._folder.location)
        debug = logger.isEnabledFor(logging.DEBUG)
        address = self._cluster.address or os.environ.get("RAY_ADDRESS") or "local"
        _check_that_somebody_listens(address)
        use_gpus = self._choice.device in ("auto", "cuda")
        request = Request(pickle.dumps(job), use_gpus, address, self._cluster.workers, len(todo), debug)
        with _driver(address, debug=debug) as driver:
            try:
                pickle.dump(request, driver.stdin)
                for index, positions in todo.items():
                    pickle.dump(pickle.dumps(Chunk(index, self._chunks[index], positions)), driver.stdin)
                driver.stdin.flush()
            except BrokenPipeError:
                pass  # it has ended, and its answers or its status say why
            waiting = set(todo)
            for line in driver.stdout:
                answer = json.loads(line)
                if "error" in answer:
                    raise Sam2AdapterError(answer["error"])
                waiting.discard(answer["index"])
                yield answer["index"]
            driver.wait()
            if waiting:
                raise Sam2AdapterError(
                    f"Ray ended unexpectedly, with status {driver.returncode}. Run the command with --debug to see what it "
                    "says; --resume goes on."
                )

    def _rows(self, index: int) -> list[dict[str, Any]]:
        name = part_name(index)
        return read_rows(self._folder.read(name), self._chunks[index], f"{self._folder.location}/{name}")

    def _changed(self, index: int) -> set[int]:
        """The images of a part whose files are others now than those that were read."""
        noted = {at: row["version"] for at, row in enumerate(self._rows(index)) if row["version"] is not None}
        sources = [self._chunks[index][at].source for at in noted]
        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            now = pool.map(source_version, sources)
        return {at for (at, before), after in zip(noted.items(), now, strict=True) if before != after}

    def _part(self, index: int, positions: Sequence[int], *, is_kept: bool) -> list[ImageResult]:
        rows, chunk = self._rows(index), self._chunks[index]
        settings = self._options.prediction.everything
        results = (result_of(rows[position], chunk[position], is_kept=is_kept) for position in positions)
        return [said_if_full(result, settings) for result in results]

    def _settings(self) -> dict[str, Any]:
        """What results depend on."""
        return {
            **{key: value for key, value in self.made_by.items() if key != "engine"},
            "device": self._choice.device,
            "runtime": self._choice.runtime,
            "precision": self._choice.precision,
            **self._options.prediction.to_dict(),
            "max_pixels": self._options.max_pixels,
        }


@contextmanager
def _driver(address: str, *, debug: bool) -> Iterator[Any]:
    """A process that talks to Ray, see `cluster.driver`; it is gone in the end, with the cluster that it has started."""
    # -P: files in the working directory are not taken for modules.
    command = [sys.executable, "-P", "-c", "from sam2_adapter.jobs.ray.driver import main; main()"]
    # In a session of its own a Ctrl-C in the terminal does not reach it.
    driver = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if debug else subprocess.DEVNULL,
        env=driver_environment(address),
        start_new_session=True,
    )
    try:
        yield driver
    finally:
        try:
            driver.terminate()
            with suppress(subprocess.TimeoutExpired):
                driver.wait(_SHUTDOWN_SECONDS)
        finally:
            driver.kill()
            driver.wait()
            for pipe in (driver.stdin, driver.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]


def driver_environment(address: str) -> dict[str, str]:
    """The environment of the process that talks to Ray.

    A cluster that is started here listens on all addresses of this machine, and whoever reaches it can run programs. So it asks for a
    token that nobody else knows (https://docs.ray.io/en/latest/ray-security/token-auth.html).
    """
    if address != "local":
        return dict(os.environ)
    others = {key: value for key, value in os.environ.items() if key != "RAY_AUTH_TOKEN_PATH"}
    return {**others, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(_TOKEN_BYTES)}


def _check_that_somebody_listens(address: str) -> None:
    """Ray would try for ever."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConfigError(f"The Ray cluster {address} cannot be reached: {error}. Check the address.") from error


def _digest(tasks: Sequence[ImageTask], units: Units) -> str:
    digest = hashlib.sha256()
    for task in tasks:
        line = f"{task.source}\n{task.name}\n{prompts_sha256(task.prompts, units)}\n"
        digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def said_if_full(result: ImageResult, settings: EverythingSettings | None) -> ImageResult:
    """The result, with a note where everything was looked for and as much was found as is kept: parts do not say what was dropped."""
    if settings is None or settings.without_prompts != "everything" or result.task.prompts:
        return result
    if result.segmentation is None or len(result.segmentation.annotations) < settings.max_objects:
        return result
    kept = plural(settings.max_objects, "object")
    return replace(result, notes=(*result.notes, f"the best {kept} are kept, and there may be more (max_objects)"))
