"""Prediction over many image files: reading, the model and writing overlap, and results come out in order.

An image that fails costs nothing but itself, and memory does not grow with the number of images: only a few batches
are under way at a time.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.images.read import MAX_PIXELS, read_image
from sam2_adapter.jobs.journal import DoneImage, Journal
from sam2_adapter.jobs.output_folder import OutputFolder
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.models.memory import is_out_of_memory
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import Segmentation, segment

# Batches under way: one is read, one is in the model, one is written.
_BATCHES_UNDER_WAY = 3

# Threads that read images.
_READERS = 2
_READERS_FOR_A_GPU = 8

# Threads that make masks and annotations of what a GPU has decoded, which takes longer than to encode and decode.
_SEGMENTERS_FOR_A_GPU = 4

_Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageResult:
    """What became of one image.

    Attributes:
        task: the image.
        segmentation: its objects; `None` when it failed.
        files: what was written for this image alone.
        seconds: time of its prompts and its files; of an image that failed, until it did.
        error: why it failed, one message that names the image; `None` when it did not.
        is_kept: whether it was done by an earlier run and only taken over.
    """

    task: ImageTask
    segmentation: Segmentation | None
    files: tuple[Path, ...]
    seconds: float
    error: str | None = None
    is_kept: bool = False


@dataclass(frozen=True)
class BulkOptions:
    """How images are read and objects made of prompts; see the `Config` keys of the same names.

    Attributes:
        clip_to_box: cut masks at the boxes of their prompts.
        default_label: label of objects whose prompt has none.
        max_pixels: largest accepted image.
        batch_size: images in one call of the encoder, at least 1; `None` for what suits the model's device.
        workers: threads that read images, at least 1; `None` for what suits the model's device.
    """

    clip_to_box: bool = True
    default_label: str = "object"
    max_pixels: int = MAX_PIXELS
    batch_size: int | None = None
    workers: int | None = None

    def fitted_to(self, predictor: Predictor) -> BulkOptions:
        """The same with numbers for this predictor: a GPU takes images in batches, and faster than two threads can read them."""
        cores = os.cpu_count() or 1
        workers = _READERS if predictor.info.device == "cpu" else max(_READERS, min(_READERS_FOR_A_GPU, cores))
        return replace(self, batch_size=self.batch_size or predictor.images_per_call, workers=self.workers or workers)


def predict_files(
    predictor: Predictor,
    tasks: Iterable[ImageTask],
    output: OutputFolder,
    options: BulkOptions,
    journal: Journal | None = None,
) -> Generator[ImageResult, None, None]:
    """Predict on every image and write its results, yielding what became of each in turn.

    Left early, it finishes the file that is being written and drops the rest.

    Args:
        predictor: the model.
        tasks: the images; at most three batches are taken ahead of the results.
        output: takes the results, in order; the caller closes it.
        options: see `BulkOptions`.
        journal: has the images that are done already, which are only taken over, and notes the others.
    """
    remaining = iter(tasks)
    under_way: deque[Future[ImageResult]] = deque()
    options = options.fitted_to(predictor)
    batch_size = options.batch_size or 1
    pipeline = _Pipeline(predictor, output, options, journal)
    try:
        while True:
            while len(under_way) <= (_BATCHES_UNDER_WAY - 1) * batch_size:
                batch = list(islice(remaining, batch_size))
                if not batch:
                    break
                under_way += pipeline.submit(batch)
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        pipeline.stop()


class _Pipeline:
    """Threads for reading, for the model and for writing; each step waits for the one before it."""

    def __init__(
        self, predictor: Predictor, output: OutputFolder, options: BulkOptions, journal: Journal | None
    ) -> None:
        self._predictor = predictor
        self._journal = journal
        self._output = output
        self._options = options
        self._readers = ThreadPoolExecutor(options.workers, thread_name_prefix="read-image")
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        # On a CPU, encoding and decoding both fill all cores, so they take turns.
        self._segmenters = (
            self._model
            if predictor.info.device == "cpu"
            else ThreadPoolExecutor(_SEGMENTERS_FOR_A_GPU, thread_name_prefix="segment")
        )
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write-results")

    def submit(self, batch: Sequence[ImageTask]) -> list[Future[ImageResult]]:
        """Start the work on a batch; one result an image."""
        places = [
            self._journal.find(task, self._output.stem_of(task.name)) if self._journal else None for task in batch
        ]
        fresh = iter(self._submit_fresh([task for task, place in zip(batch, places, strict=True) if place is None]))
        return [
            next(fresh) if place is None else self._writer.submit(self._take_over, task, place)
            for task, place in zip(batch, places, strict=True)
        ]

    def _submit_fresh(self, batch: Sequence[ImageTask]) -> Iterator[Future[ImageResult]]:
        images = [self._readers.submit(read_image, task.path, max_pixels=self._options.max_pixels) for task in batch]
        encoded = self._model.submit(_encode, self._predictor, images)
        for index, task in enumerate(batch):
            segmented = self._segmenters.submit(self._segment, task, encoded, index)
            yield self._writer.submit(self._write, task, images[index], segmented)

    def _take_over(self, task: ImageTask, place: int) -> ImageResult:
        assert self._journal is not None  # it gave the place
        started = time.perf_counter()
        done = self._journal.read(place)
        self._output.add_done(done.annotated)
        annotated = done.annotated
        segmentation = Segmentation.restored(
            annotated.annotations, task.prompts, annotated.original_hw, done.empty_prompts
        )
        return ImageResult(task, segmentation, done.files, time.perf_counter() - started, is_kept=True)

    def stop(self) -> None:
        """Drop what has not begun, and wait for what has."""
        for pool in (self._writer, self._segmenters, self._model, self._readers):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (self._readers, self._model, self._segmenters, self._writer):
            pool.shutdown(wait=True)

    def _segment(
        self, task: ImageTask, encoded: Future[list[ImageEmbedding | Exception]], index: int
    ) -> tuple[Segmentation, tuple[int, int], float]:
        started = time.perf_counter()
        embedding = encoded.result()[index]
        if isinstance(embedding, Exception):
            raise embedding
        segmentation = segment(
            self._predictor,
            embedding,
            task.prompts,
            clip_to_box=self._options.clip_to_box,
            default_label=self._options.default_label,
        )
        return segmentation, embedding.original_hw, time.perf_counter() - started

    def _write(
        self,
        task: ImageTask,
        image: Future[_Pixels],
        segmented: Future[tuple[Segmentation, tuple[int, int], float]],
    ) -> ImageResult:
        started, in_model = time.perf_counter(), 0.0
        try:
            segmentation, original_hw, in_model = segmented.result()
            started = time.perf_counter()
            annotated = AnnotatedImage(task.name, original_hw, segmentation.annotations)
            files = self._output.write(image.result(), annotated, segmentation.prompts)
            if self._journal is not None:
                done = DoneImage(annotated, segmentation.empty_prompts, files)
                self._journal.add(task, self._output.stem_of(task.name), done)
        except Exception as error:
            reason = reason_of_failure(error)
            if reason is None:
                raise
            return ImageResult(task, None, (), in_model + time.perf_counter() - started, task.named(reason))
        return ImageResult(task, segmentation, files, in_model + time.perf_counter() - started)


def _encode(predictor: Predictor, reading: Sequence[Future[_Pixels]]) -> list[ImageEmbedding | Exception]:
    """Encode the images of a batch that could be read; the others keep their error."""
    errors = [future.exception() for future in reading]
    images = [future.result() for future, error in zip(reading, errors, strict=True) if error is None]
    encoded = iter(_encode_images(predictor, images))
    return [error if isinstance(error, Exception) else next(encoded) for error in errors]


def _encode_images(predictor: Predictor, images: Sequence[_Pixels]) -> list[ImageEmbedding | Exception]:
    """Encode images in one call, or in one call each where that fails for want of memory."""
    try:
        return list(predictor.embed(images))
    except Exception as error:
        if reason_of_failure(error) is None:
            raise
        if len(images) == 1:
            return [error]
    return [result for image in images for result in _encode_images(predictor, [image])]


def reason_of_failure(error: Exception) -> str | None:
    """Why an image failed, of an error that costs only that image; `None` for one that nobody foresaw."""
    if isinstance(error, Sam2AdapterError):
        return str(error)
    return "not enough memory for this image." if is_out_of_memory(error) else None
