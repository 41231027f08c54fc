"""Prediction over many image files, one after the other: read, segment, write, forget.

An image that fails costs nothing but itself, and memory does not grow with the number of images.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations import AnnotatedImage
from sam2_adapter.data.image_tasks import ImageTask
from sam2_adapter.data.images import MAX_PIXELS, read_image
from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.outputs import OutputFolder
from sam2_adapter.predictor import Predictor
from sam2_adapter.segmentation import Segmentation, segment

# Images decoded ahead of the model, which is enough to hide the decoding behind it.
_READ_AHEAD = 1


@dataclass(frozen=True)
class ImageResult:
    """What became of one image.

    Attributes:
        task: the image.
        segmentation: its objects; `None` when it failed.
        files: what was written for this image alone.
        seconds: time from the decoded image to the written files.
        error: why it failed, one message that names the image; `None` when it did not.
    """

    task: ImageTask
    segmentation: Segmentation | None
    files: tuple[Path, ...]
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class BulkOptions:
    """How images are read and objects made of prompts; see the `Config` keys of the same names.

    Attributes:
        clip_to_box: cut masks at the boxes of their prompts.
        default_label: label of objects whose prompt has none.
        max_pixels: largest accepted image.
    """

    clip_to_box: bool = True
    default_label: str = "object"
    max_pixels: int = MAX_PIXELS


def predict_files(
    predictor: Predictor, tasks: Iterable[ImageTask], output: OutputFolder, options: BulkOptions
) -> Iterator[ImageResult]:
    """Predict on every image and write its results, yielding what became of each in turn.

    Args:
        predictor: the model.
        tasks: the images.
        output: takes the results; the caller closes it.
        options: see `BulkOptions`.
    """
    for task, decoding in _decoded_ahead(tasks, options.max_pixels):
        started = time.perf_counter()
        try:
            image = decoding.result()
            started = time.perf_counter()
            segmentation, files = _predict_image(predictor, task, image, output, options)
        except (Sam2AdapterError, MemoryError) as error:
            yield ImageResult(task, None, (), time.perf_counter() - started, _named(task, error))
        else:
            yield ImageResult(task, segmentation, files, time.perf_counter() - started)


def _predict_image(
    predictor: Predictor, task: ImageTask, image: npt.NDArray[np.uint8], output: OutputFolder, options: BulkOptions
) -> tuple[Segmentation, tuple[Path, ...]]:
    (embedding,) = predictor.embed([image])
    segmentation = segment(
        predictor, embedding, task.prompts, clip_to_box=options.clip_to_box, default_label=options.default_label
    )
    annotated = AnnotatedImage(task.name, embedding.original_hw, segmentation.annotations)
    return segmentation, output.write(image, annotated, segmentation.prompts)


def _decoded_ahead(
    tasks: Iterable[ImageTask], max_pixels: int
) -> Iterator[tuple[ImageTask, Future[npt.NDArray[np.uint8]]]]:
    """Decode the next image in a second thread while the model works on this one."""
    remaining = iter(tasks)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-image") as pool:

        def submit(task: ImageTask) -> tuple[ImageTask, Future[npt.NDArray[np.uint8]]]:
            return task, pool.submit(read_image, task.path, max_pixels=max_pixels)

        waiting = [submit(task) for task in islice(remaining, 1 + _READ_AHEAD)]
        while waiting:
            yield waiting.pop(0)
            waiting += [submit(task) for task in islice(remaining, 1)]


def _named(task: ImageTask, error: Exception) -> str:
    text = str(error) if isinstance(error, Sam2AdapterError) else "not enough memory for this image."
    return text if str(task.path) in text else f"{task.path}: {text}"
