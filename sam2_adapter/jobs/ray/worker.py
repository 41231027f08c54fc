"""What one worker of the cluster does: it loads the model once, and turns chunks of images into Parquet files."""

from __future__ import annotations

import pickle
import socket
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from sam2_adapter.errors import CheckpointError, ConfigError, Sam2AdapterError
from sam2_adapter.files import encodable
from sam2_adapter.images.read import read_image_with_notes
from sam2_adapter.jobs.answers import answer, reason_of_failure
from sam2_adapter.jobs.output_folder import provenance
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.ray.locations import ResultFolder, read_source, source_version
from sam2_adapter.jobs.ray.parquet import failed_row, part_name, read_rows, row_of, to_parquet
from sam2_adapter.jobs.ray.plan import START
from sam2_adapter.jobs.stream import Bounds, Outcome, Steps, stream
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.models.engines.base import Precision
from sam2_adapter.models.engines.choose import MANY_IMAGES
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

# Buckets answer slowly, and one image is in memory for each.
_READ_AHEAD = 4
# An image is given up after this many processes have died over it, a machine after this many that died loading the model.
_DEATHS_OF_AN_IMAGE = 2
_DEATHS_WHILE_LOADING = 3


@dataclass(frozen=True)
class ModelChoice:
    """The model, as in `load_predictor`; a path must lead to the same file on every machine."""

    model: str
    device: str = "auto"
    runtime: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True)
class Job:
    """What all workers of a run have in common.

    Attributes:
        choice: the model.
        weights_sha256: of this model, as the machine that started the run has it.
        options: its batch size and workers are not used.
        output: folder for the parts, a path or URL.
    """

    choice: ModelChoice
    weights_sha256: str
    options: PredictOptions
    output: str


@dataclass(frozen=True)
class Chunk:
    """Images whose results become one part.

    Attributes:
        index: number of the part.
        tasks: the images.
        positions: which of them are to be done; the part has the others already.
    """

    index: int
    tasks: Sequence[ImageTask]
    positions: Sequence[int]


class AnyLedger(Protocol):
    """See `Ledger`, which may be in another process."""

    def begin(self, work: str) -> dict[int, int]:
        """A process begins a piece of work."""

    def reach(self, work: str, step: int) -> None:
        """It comes to a step."""

    def end(self, work: str) -> None:
        """It is done."""


class ChunkWorker:
    """One model on one machine, as Ray Data calls it: batches of one pickled `Chunk`.

    Nothing is raised: Ray would wrap errors in its own. They are told in words, and with them the worker does no more.
    """

    def __init__(self, job: Job, cores: int, ledger: AnyLedger, name: str) -> None:
        """Load the model.

        Args:
            job: what all workers have in common.
            cores: number of threads of the model.
            ledger: notes what is under way.
            name: of this worker, the same in the process that takes the place of one that died.
        """
        self._job = job
        self._cores = cores
        self._ledger = ledger
        self._failure: dict[str, str] | None = None
        try:
            self._load(f"loading by {name}")
        except Exception as error:
            self._failure = _told(error)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Do a chunk; returns its index, and under `error` and `traceback` why it could not be done, or empty texts."""
        (content,) = batch["chunk"]
        chunk: Chunk = pickle.loads(content)
        told = self._failure
        if told is None:
            try:
                self._run(chunk)
            except Exception as error:
                told = _told(error)
        told = told or {"error": "", "traceback": ""}
        return {"index": np.array([chunk.index]), **{key: np.array([text]) for key, text in told.items()}}

    def _load(self, work: str) -> None:
        if self._ledger.begin(work).get(START, 0) >= _DEATHS_WHILE_LOADING:
            raise ConfigError(
                "the process dies while it loads the model, most likely because there is too little memory. Use fewer --workers."
            )
        torch.set_num_threads(self._cores)
        choice = self._job.choice
        # A cluster is for many images.
        self._predictor = load_predictor(
            choice.model, choice.device, choice.runtime, choice.precision, expected_images=MANY_IMAGES
        )
        if self._predictor.info.weights_sha256 != self._job.weights_sha256:
            raise CheckpointError(
                f"the model {choice.model} is another one here than where the run was started. Put the same file there "
                "on all machines."
            )
        self._output = ResultFolder(self._job.output)
        self._ledger.end(work)

    def _run(self, chunk: Chunk) -> None:
        work = f"part {chunk.index}"
        deaths = self._ledger.begin(work)
        rows = self._earlier_rows(chunk)
        deadly = [position for position in chunk.positions if deaths.get(position, 0) >= _DEATHS_OF_AN_IMAGE]
        for position in deadly:
            rows[position] = failed_row(chunk.tasks[position], _DEADLY.format(deaths[position]))
        todo = [position for position in chunk.positions if position not in deadly]
        steps = _ImageSteps(
            self._predictor, self._job.options, chunk.tasks, self._ledger, work, is_careful=bool(deaths)
        )
        with closing(stream(todo, steps, steps.bounds)) as outcomes:
            for outcome in outcomes:
                rows[outcome.item] = _row(chunk.tasks[outcome.item], outcome)
        content = to_parquet([rows[position] for position in sorted(rows)], provenance(self._predictor.info))
        self._output.write(part_name(chunk.index), content)
        self._ledger.end(work)

    def _earlier_rows(self, chunk: Chunk) -> dict[int, dict[str, Any]]:
        if len(chunk.positions) == len(chunk.tasks):
            return {}
        name = part_name(chunk.index)
        return dict(enumerate(read_rows(self._output.read(name), chunk.tasks, f"{self._output.location}/{name}")))


@dataclass(frozen=True, eq=False)
class _FetchedImage:
    """An image, its position in the chunk, what its file was when it was read, and what of it is not in the picture."""

    position: int
    image: npt.NDArray[np.uint8]
    version: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _ImageSteps(Steps[int, _FetchedImage, dict[str, Any], dict[str, Any]]):
    """From the position of an image in its chunk to its row.

    Attributes:
        is_careful: a process has died over this chunk: images are read one by one, so that the next death is blamed on the right one.
    """

    predictor: Predictor
    options: PredictOptions
    tasks: Sequence[ImageTask]
    ledger: AnyLedger
    work: str
    is_careful: bool

    @property
    def bounds(self) -> Bounds:
        """Few images are in memory; with care only one."""
        return (
            Bounds(fetchers=1, under_way=1)
            if self.is_careful
            else Bounds(fetchers=_READ_AHEAD, under_way=_READ_AHEAD + 1)
        )

    def fetch(self, item: int) -> _FetchedImage:
        """Read the image."""
        if self.is_careful:
            self.ledger.reach(self.work, item)
        source = self.tasks[item].source
        version = source_version(
            source
        )  # before it is read: a file that is replaced meanwhile is done again by --resume
        image, notes = read_image_with_notes(read_source(source), max_pixels=self.options.max_pixels, name=source)
        return _FetchedImage(item, image, version, notes)

    def num_bytes(self, item: int, fetched: _FetchedImage | None = None) -> int:
        """The pixels that were read."""
        return 0 if fetched is None else fetched.image.nbytes

    def encode(self, fetched: Sequence[_FetchedImage]) -> Sequence[ImageEmbedding]:
        """Encode images."""
        self.ledger.reach(self.work, fetched[0].position)
        return self.predictor.embed([entry.image for entry in fetched])

    def predict(self, item: int, fetched: _FetchedImage, encoded: Any) -> dict[str, Any]:
        """Answer the prompts of an image."""
        task = self.tasks[item]
        answered = answer(self.predictor, fetched.image, encoded, task.prompts, self.options)
        return {**row_of(task, answered, encoded.original_hw, fetched.notes), "version": fetched.version}

    def store(self, item: int, found: dict[str, Any]) -> dict[str, Any]:
        """Keep the row for its part."""
        return found


_DEADLY = "the process that worked on this image died, {} times. It may need more memory than there is, or be damaged."


def _row(task: ImageTask, outcome: Outcome[int, dict[str, Any]]) -> dict[str, Any]:
    error = outcome.error
    row = outcome.stored if error is None else failed_row(task, reason_of_failure(error))
    return {**(row or {}), "seconds": outcome.seconds}


def _told(error: Exception) -> dict[str, str]:
    text = str(error) if isinstance(error, Sam2AdapterError) else f"unexpected {type(error).__name__}: {error}"
    told = {"error": f"a worker on {socket.gethostname()}: {text}", "traceback": traceback.format_exc()}
    return {key: encodable(value) for key, value in told.items()}
