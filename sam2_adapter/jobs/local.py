"""Prediction over many image files in this process: reading, the model and writing overlap, and results come out in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.jobs.answers import ImageAnswer, ImageResult, failed
from sam2_adapter.jobs.job_image import JobImage, open_image
from sam2_adapter.jobs.journal import DoneImage, FileFacts, Journal, facts_of
from sam2_adapter.jobs.output_folder import OutputFolder
from sam2_adapter.jobs.part_answers import answer_opened
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.stream import Ready, Steps, stream
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import Segmentation

# Told the name of an image, how many of its points are done, and their total.
OnImagePoints = Callable[[str, int, int], None]


def predict_files(
    predictor: Predictor,
    tasks: Iterable[ImageTask],
    output: OutputFolder,
    options: PredictOptions,
    journal: Journal | None = None,
    on_points: OnImagePoints | None = None,
) -> Generator[ImageResult, None, None]:
    """Predict on every image and write its results, yielding what became of each in turn.

    Left early, it finishes the file that is being written and drops the rest; a search for everything ends at its next step.

    Args:
        predictor: the model.
        tasks: the images; at most three batches are taken ahead of the results.
        output: takes the results, in order; the caller closes it.
        options: see `PredictOptions`.
        journal: has the images that are done already, which are only taken over, and notes the others.
        on_points: told how far the search for everything in an image is.
    """
    steps = _FileSteps(predictor, output, options, journal, on_points)
    with closing(stream(tasks, steps, options.bounds_for(predictor))) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                yield failed(outcome.item, outcome.error, outcome.seconds)
            elif outcome.stored is not None:
                yield replace(outcome.stored, seconds=outcome.seconds)


class _LeftEarly(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, eq=False)
class _ReadImage:
    """An image, and what its file was when it was read."""

    opened: JobImage
    facts: FileFacts


@dataclass(frozen=True, eq=False)
class _AnsweredImage:
    """An image with its objects, not written yet."""

    read: _ReadImage
    annotated: AnnotatedImage
    answer: ImageAnswer


@dataclass(frozen=True)
class _Kept:
    """Where the journal has an image that an earlier run has done."""

    place: int


class _FileSteps(Steps[ImageTask, _ReadImage, "_AnsweredImage | _Kept", ImageResult]):
    """From an image file to its results in the folder."""

    def __init__(
        self,
        predictor: Predictor,
        output: OutputFolder,
        options: PredictOptions,
        journal: Journal | None,
        on_points: OnImagePoints | None,
    ) -> None:
        self._predictor = predictor
        self._output = output
        self._options = options
        self._journal = journal
        self._on_points = on_points
        self._is_left = threading.Event()

    def stop(self) -> None:
        """End a search that is under way."""
        self._is_left.set()

    def fetch(self, item: ImageTask) -> _ReadImage | Ready[_AnsweredImage | _Kept]:
        """Read the file, unless an earlier run has done it."""
        facts = facts_of(item.path)  # before it is read: a file that is replaced meanwhile is done again by --resume
        if self._journal is not None:
            place = self._journal.find(item, facts, self._output.stem_of(item.name))
            if place is not None:
                return Ready(_Kept(place))
        opened = open_image(item.path, self._options)
        if opened.picture is None:
            with ExitStack() as refused:
                refused.callback(opened.close)
                self._output.require_parts(item.source)
                refused.pop_all()
        return _ReadImage(opened, facts)

    def num_bytes(self, item: ImageTask, fetched: _ReadImage | None = None) -> int:
        """The pixels that were read."""
        pixels = None if fetched is None else fetched.opened.pixels
        return 0 if pixels is None else pixels.nbytes

    def encode(self, fetched: Sequence[_ReadImage]) -> Sequence[ImageEmbedding | None]:
        """Encode a batch of images, without those of which only windows are."""
        pixels = [entry.opened.pixels for entry in fetched]
        given = [entry for entry in pixels if entry is not None]
        embeddings = iter(self._predictor.embed(given) if given else ())
        return [None if entry is None else next(embeddings) for entry in pixels]

    def predict(self, item: ImageTask, fetched: _ReadImage, encoded: Any) -> _AnsweredImage:
        """Answer the prompts of an image."""

        def tell(done: int, total: int) -> None:
            if self._is_left.is_set():
                raise _LeftEarly
            if self._on_points is not None:
                self._on_points(item.name, done, total)

        opened = fetched.opened
        with opened:
            answered = answer_opened(self._predictor, opened, encoded, item.prompts, self._options, tell)
        annotated = AnnotatedImage(item.name, opened.original_hw, answered.segmentation.annotations)
        return _AnsweredImage(fetched, annotated, answered)

    def store(self, item: ImageTask, found: _AnsweredImage | _Kept) -> ImageResult:
        """Write the results of an image, or take them over."""
        return self._take_over(item, found) if isinstance(found, _Kept) else self._write(item, found)

    def _take_over(self, task: ImageTask, kept: _Kept) -> ImageResult:
        assert self._journal is not None  # it gave the place
        done = self._journal.read(kept.place)
        self._output.add_done(done.annotated, done.files)
        annotated = done.annotated
        segmentation = Segmentation.restored(
            annotated.annotations, task.prompts, annotated.original_hw, done.empty_prompts
        )
        return ImageResult(
            task, segmentation, tuple(done.files), 0.0, is_kept=True, refused_prompts=done.refused_prompts
        )

    def _write(self, task: ImageTask, found: _AnsweredImage) -> ImageResult:
        segmentation, refused = found.answer.segmentation, found.answer.refused_prompts
        stem = self._output.stem_of(task.name)
        if self._journal is not None:
            self._output.remove(self._journal.outdated_files(task, stem, self._output.is_stem))
        files = self._output.write(found.read.opened.picture, found.annotated, segmentation.prompts)
        if self._journal is not None:
            done = DoneImage(found.annotated, segmentation.empty_prompts, dict.fromkeys(files), refused)
            self._journal.add(task, found.read.facts, stem, done)
        return ImageResult(
            task,
            segmentation,
            files,
            0.0,
            refused_prompts=refused,
            warnings=found.answer.warnings,
            notes=(*found.read.opened.notes, *segmentation.notes),
        )
