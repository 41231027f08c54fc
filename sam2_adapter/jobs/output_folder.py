"""The folder that results are written to: one writer per format, every file complete or not there, each saying which model made it.

annotations.json         COCO, all images
json/NAME.json           Dataloop item JSON
masks/NAME.png           label map; masks/NAME/ one picture per object; masks/NAME.json what the numbers mean
polygons/NAME.json       polygons with all parts and holes
overlays/NAME.jpg        the picture to look at
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter import __version__
from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.files import write_file, write_json
from sam2_adapter.formats.coco.objects import Segmentation
from sam2_adapter.formats.coco.stream import CocoStream
from sam2_adapter.formats.dataloop.objects import OutputType, image_to_dataloop_item
from sam2_adapter.formats.label_maps.objects import write_label_map, write_mask
from sam2_adapter.formats.polygon_json import image_to_polygons
from sam2_adapter.jobs.result_names import base_of, stem_of, unique_stems
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import ENTRY_OF_FORMAT, JOURNAL_NAME
from sam2_adapter.predict.predictor import ModelInfo
from sam2_adapter.reports.overlay import draw_overlay

logger = logging.getLogger(__name__)

Format = Literal["coco", "dataloop", "masks", "polygons"]
FORMATS: tuple[Format, ...] = ("coco", "dataloop", "masks", "polygons")

_OVERLAYS = "overlays"
_OVERLAY_QUALITY = 92
# Of the number of an object in the name of its picture.
_LEAST_DIGITS = 3
_WRITING_ORDER = ("masks", "polygons", "dataloop", "coco")


def provenance(info: ModelInfo) -> dict[str, Any]:
    """Which model made a result, as plain JSON types."""
    return {"tool": f"sam2-adapter {__version__}", **asdict(info)}


def entries_of(formats: Sequence[str], *, overlay: bool) -> list[str]:
    """The top-level names of everything that a run writes."""
    return [JOURNAL_NAME, *(ENTRY_OF_FORMAT[name] for name in formats), *([_OVERLAYS] if overlay else [])]


class OutputFolder:
    """Writes the results of one run; a context manager that completes the COCO file when it is left."""

    def __init__(
        self,
        folder: OwnedFolder,
        formats: Sequence[Format],
        info: ModelInfo,
        *,
        overlay: bool = True,
        output_type: OutputType = "mask",
        file_names: Sequence[str] = (),
    ) -> None:
        """Start to write into a folder.

        Args:
            folder: the folder, begun with the names of `entries_of`.
            formats: what to write.
            info: the model that makes the results.
            overlay: also draw masks and prompts over every image.
            output_type: what the Dataloop and COCO formats hold, masks or polygons.
            file_names: names of all images of the run, so that no two of them share a file.

        Raises:
            ExportError: the folder cannot be written to.
        """
        self.directory = folder.directory
        self._folder = folder
        self._model_name = info.name
        self._made_by = provenance(info)
        self._output_type = output_type
        self._stems = unique_stems(file_names)
        self._coco = self._start_coco() if "coco" in formats else None
        writers: dict[str, Callable[[AnnotatedImage, str], list[Path]]] = {
            "masks": self._write_masks,
            "polygons": self._write_polygons,
            "dataloop": self._write_dataloop,
            "coco": self._add_to_coco,
        }
        # COCO last: what it holds cannot be taken back when another format of the same image fails.
        self._writers = [writers[name] for name in _WRITING_ORDER if name in formats]
        self._overlay = overlay

    @cached_property
    def _all_stems(self) -> frozenset[str]:
        return frozenset(self._stems.values())

    def write(
        self, image: npt.NDArray[np.uint8], annotated: AnnotatedImage, prompts: Sequence[Prompt]
    ) -> tuple[Path, ...]:
        """Write the results of one image.

        Args:
            image: uint8 RGB H x W x 3.
            annotated: its objects.
            prompts: the prompt of each object.

        Returns:
            The files that belong to this image alone.

        Raises:
            ExportError: a file cannot be written, or the format cannot hold the result.
        """
        stem = self.stem_of(annotated.file_name)
        files = [self._write_overlay(image, annotated, prompts, stem)] if self._overlay else []
        for writer in self._writers:
            files += writer(annotated, stem)
        return tuple(files)

    def add_done(self, annotated: AnnotatedImage) -> None:
        """Take an image whose own files are there already into the COCO file.

        Raises:
            ExportError: the COCO file cannot be written.
        """
        if self._coco is not None:
            self._add_to_coco(annotated, self.stem_of(annotated.file_name))

    def stem_of(self, file_name: str) -> str:
        """What the files of an image are called, without folder and suffix."""
        return self._stems.get(file_name) or stem_of(file_name)

    def is_stem(self, stem: str) -> bool:
        """Whether the files of any image of the run are called so."""
        return stem in self._all_stems

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove files of an image that is done again, which may have other ones now."""
        self._folder.remove(paths)

    def close(self) -> Path | None:
        """Complete the COCO file, if there is one; returns its path."""
        return self._coco.close() if self._coco is not None else None

    def __enter__(self) -> Self:
        """The folder itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete the COCO file also when the run was broken off: it holds the images that were done."""
        self.close()

    def _start_coco(self) -> CocoStream:
        path = self.directory / ENTRY_OF_FORMAT["coco"]
        self._folder.claim(path)
        segmentation: Segmentation = "polygon" if self._output_type == "polygon" else "rle"
        return CocoStream(path, self._model_name, self._made_by, segmentation=segmentation)

    def _add_to_coco(self, annotated: AnnotatedImage, stem: str) -> list[Path]:
        assert self._coco is not None  # this writer is only used with the format
        _log_notes(self._coco.add(annotated))
        return []

    def _write_dataloop(self, annotated: AnnotatedImage, stem: str) -> list[Path]:
        path = self._claimed("dataloop", f"{stem}.json")
        export = image_to_dataloop_item(annotated, self._model_name, output_type=self._output_type)
        export.document["metadata"]["user"] = {"made_by": self._made_by}
        write_json(path, export.document)
        _log_notes(export.notes)
        return [path]

    def _write_polygons(self, annotated: AnnotatedImage, stem: str) -> list[Path]:
        path = self._claimed("polygons", f"{stem}.json")
        write_json(path, {**image_to_polygons(annotated, self._model_name), "made_by": self._made_by})
        return [path]

    def _write_masks(self, annotated: AnnotatedImage, stem: str) -> list[Path]:
        label_map, legend = (self._claimed("masks", f"{stem}{suffix}") for suffix in (".png", ".json"))
        folder, base = base_of(stem), base_of(stem_of(annotated.file_name))
        _log_notes(write_label_map(label_map, annotated))
        digits = max(_LEAST_DIGITS, len(str(len(annotated.annotations))))
        pictures, objects = [], []
        for number, entry in enumerate(annotated.annotations, start=1):
            name = f"{base}_{number:0{digits}}.png"
            pictures.append(self._claimed("masks", f"{stem}/{name}"))
            write_mask(pictures[-1], entry.mask)
            objects.append(
                {"number": number, "file": f"{folder}/{name}", "label": entry.label, "iou_score": entry.iou_score}
            )
        write_json(legend, {"file_name": annotated.file_name, "objects": objects, "made_by": self._made_by})
        return [label_map, *pictures, legend]

    def _claimed(self, name: str, below: str) -> Path:
        """The path of a file of a format, noted as ours."""
        path = self.directory / ENTRY_OF_FORMAT.get(name, name) / below
        self._folder.claim(path)
        return path

    def _write_overlay(
        self, image: npt.NDArray[np.uint8], annotated: AnnotatedImage, prompts: Sequence[Prompt], stem: str
    ) -> Path:
        path = self._claimed(_OVERLAYS, f"{stem}.jpg")
        content = io.BytesIO()
        comment = ", ".join(f"{key} {value}" for key, value in self._made_by.items())
        drawn = Image.fromarray(draw_overlay(image, annotated.annotations, prompts))
        drawn.save(content, format="JPEG", quality=_OVERLAY_QUALITY, comment=comment.encode())
        write_file(path, lambda file: file.write(content.getvalue()))
        return path


def _log_notes(notes: Sequence[str]) -> None:
    for note in notes:
        logger.warning("%s", note)
