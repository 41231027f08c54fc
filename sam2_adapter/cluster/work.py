"""What one worker of the cluster does: it loads the model once, and turns chunks of images into Parquet files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sam2_adapter.bulk import BulkOptions, ImageResult
from sam2_adapter.cluster.locations import ResultFolder, read_source
from sam2_adapter.cluster.parts import part_name, row_of, to_parquet
from sam2_adapter.data.image_tasks import ImageTask
from sam2_adapter.data.images import read_image
from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.loading import load_predictor
from sam2_adapter.model.memory import is_out_of_memory
from sam2_adapter.model.runtime import Precision
from sam2_adapter.outputs import provenance
from sam2_adapter.segmentation import segment

# Enough to let `runtime: auto` compile the model: a cluster is for many images.
_MANY_IMAGES = 10**6


@dataclass(frozen=True)
class ModelChoice:
    """The model, as in `load_predictor`; a path must lead to the same file on every machine."""

    model: str
    device: str
    runtime: str
    precision: Precision


@dataclass(frozen=True)
class SourcedTask:
    """An image to predict on, and the path or URL that it is read from on any machine."""

    task: ImageTask
    source: str


class ChunkWorker:
    """One model on one machine."""

    def __init__(self, choice: ModelChoice, options: BulkOptions, output: str) -> None:
        """Load the model."""
        self._predictor = load_predictor(
            choice.model, choice.device, choice.runtime, choice.precision, expected_images=_MANY_IMAGES
        )
        self._options = options
        self._output = ResultFolder(output)

    def run(self, index: int, chunk: Sequence[SourcedTask]) -> None:
        """Predict on the images of a chunk and write its part.

        Raises:
            ExportError: the part cannot be written.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="read-image") as reader:
            waiting = [reader.submit(self._read, entry) for entry in chunk]
            rows = []
            for position, entry in enumerate(chunk):
                result, original_hw = self._predict(entry, waiting[position].result())
                rows.append(row_of(result, entry.source, original_hw))
                # Only the images to come stay in memory.
                waiting[position] = waiting[-1]
        self._output.write(part_name(index), to_parquet(rows, provenance(self._predictor.info)))

    def _read(self, entry: SourcedTask) -> npt.NDArray[np.uint8] | Exception:
        try:
            return read_image(read_source(entry.source), max_pixels=self._options.max_pixels, name=entry.source)
        except Exception as error:
            return error

    def _predict(
        self, entry: SourcedTask, image: npt.NDArray[np.uint8] | Exception
    ) -> tuple[ImageResult, tuple[int, int] | None]:
        started = time.perf_counter()
        try:
            if isinstance(image, Exception):
                raise image
            (embedding,) = self._predictor.embed([image])
            segmentation = segment(
                self._predictor,
                embedding,
                entry.task.prompts,
                clip_to_box=self._options.clip_to_box,
                default_label=self._options.default_label,
            )
        except Exception as error:
            if not isinstance(error, Sam2AdapterError) and not is_out_of_memory(error):
                raise
            text = str(error) if isinstance(error, Sam2AdapterError) else "not enough memory for this image."
            message = text if entry.source in text else f"{entry.source}: {text}"
            return ImageResult(entry.task, None, (), time.perf_counter() - started, message), None
        return ImageResult(entry.task, segmentation, (), time.perf_counter() - started), embedding.original_hw
