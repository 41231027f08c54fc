"""The folder that results are written to: one writer a format, every file complete or not there, each saying which model made it.

annotations.json         COCO, all images
json/NAME.json           Dataloop item JSON
masks/NAME.png           label map; masks/NAME/ one picture an object; masks/NAME.json what the numbers mean
polygons/NAME.json       polygons with all parts and holes
overlays/NAME.jpg        the picture to look at
"""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter import __version__
from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.files import write_file, write_json
from sam2_adapter.formats.coco.stream import CocoStream
from sam2_adapter.formats.dataloop.objects import OutputType, image_to_dataloop_item
from sam2_adapter.formats.label_maps.objects import write_label_map, write_object_masks
from sam2_adapter.formats.polygon_json import image_to_polygons
from sam2_adapter.predict.predictor import ModelInfo
from sam2_adapter.reports.overlay import draw_overlay

logger = logging.getLogger(__name__)

Format = Literal["coco", "dataloop", "masks", "polygons"]
FORMATS: tuple[Format, ...] = ("coco", "dataloop", "masks", "polygons")

_OVERLAY_QUALITY = 92
_WRITING_ORDER = ("masks", "polygons", "dataloop", "coco")


def provenance(info: ModelInfo) -> dict[str, Any]:
    """Which model made a result, as plain JSON types."""
    return {"tool": f"sam2-adapter {__version__}", **asdict(info)}


class OutputFolder:
    """Writes the results of one run; a context manager that completes the COCO file when it is left."""

    def __init__(
        self,
        directory: str | Path,
        formats: Sequence[Format],
        info: ModelInfo,
        *,
        overlay: bool = True,
        output_type: OutputType = "mask",
        file_names: Sequence[str] = (),
    ) -> None:
        """Make the folder.

        Args:
            directory: the folder; made if missing.
            formats: what to write.
            info: the model that makes the results.
            overlay: also draw masks and prompts over every image.
            output_type: what the Dataloop format holds, masks or polygons.
            file_names: names of all images of the run, to tell `a.png` from `a.jpg` in the names of their results.

        Raises:
            ExportError: the folder cannot be written to.
        """
        self.directory = Path(directory)
        self._model_name = info.name
        self._made_by = provenance(info)
        self._output_type = output_type
        self._stems = _unique_stems(file_names)
        self._coco = (
            CocoStream(self.directory / "annotations.json", info.name, self._made_by) if "coco" in formats else None
        )
        writers: dict[str, Callable[[AnnotatedImage, str], list[Path]]] = {
            "masks": self._write_masks,
            "polygons": self._write_polygons,
            "dataloop": self._write_dataloop,
            "coco": self._add_to_coco,
        }
        # COCO last: what it holds cannot be taken back when another format of the same image fails.
        self._writers = [writers[name] for name in _WRITING_ORDER if name in formats]
        self._overlay = overlay

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
        return self._stems.get(file_name) or _stem(file_name)

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

    def _add_to_coco(self, annotated: AnnotatedImage, stem: str) -> list[Path]:
        assert self._coco is not None  # this writer is only used with the format
        _log_notes(self._coco.add(annotated))
        return []

    def _write_dataloop(self, annotated: AnnotatedImage, stem: str) -> list[Path]:
        path = self.directory / "json" / f"{stem}.json"
        export = image_to_dataloop_item(annotated, self._model_name, output_type=self._output_type)
        export.document["metadata"]["user"] = {"made_by": self._made_by}
        write_json(path, export.document)
        _log_notes(export.notes)
        return [path]

    def _write_polygons(self, annotated: AnnotatedImage, stem: str) -> list[Path]:
        path = self.directory / "polygons" / f"{stem}.json"
        write_json(path, {**image_to_polygons(annotated, self._model_name), "made_by": self._made_by})
        return [path]

    def _write_masks(self, annotated: AnnotatedImage, stem: str) -> list[Path]:
        label_map, folder, legend = (self.directory / "masks" / f"{stem}{suffix}" for suffix in (".png", "", ".json"))
        _log_notes(write_label_map(label_map, annotated))
        pictures = write_object_masks(folder, annotated)
        _remove_earlier(folder, PurePosixPath(annotated.file_name).stem, pictures)
        objects = [
            {
                "number": number,
                "file": f"{folder.name}/{picture.name}",
                "label": entry.label,
                "iou_score": entry.iou_score,
            }
            for number, (picture, entry) in enumerate(zip(pictures, annotated.annotations, strict=True), start=1)
        ]
        write_json(legend, {"file_name": annotated.file_name, "objects": objects, "made_by": self._made_by})
        return [label_map, *pictures, legend]

    def _write_overlay(
        self, image: npt.NDArray[np.uint8], annotated: AnnotatedImage, prompts: Sequence[Prompt], stem: str
    ) -> Path:
        path = self.directory / "overlays" / f"{stem}.jpg"
        content = io.BytesIO()
        comment = ", ".join(f"{key} {value}" for key, value in self._made_by.items())
        drawn = Image.fromarray(draw_overlay(image, annotated.annotations, prompts))
        drawn.save(content, format="JPEG", quality=_OVERLAY_QUALITY, comment=comment.encode())
        write_file(path, lambda file: file.write(content.getvalue()))
        return path


def _unique_stems(file_names: Sequence[str]) -> dict[str, str]:
    """File name to the name of its results: without suffix where that is unique, ignoring case as some file systems do."""
    stems = [_stem(name).casefold() for name in file_names]
    count = Counter(stems)
    return {name: name if count[stem] > 1 else _stem(name) for name, stem in zip(file_names, stems, strict=True)}


def _stem(file_name: str) -> str:
    return PurePosixPath(file_name).with_suffix("").as_posix()


def _remove_earlier(folder: Path, stem: str, current: Sequence[Path]) -> None:
    """Remove the object pictures of an earlier run that found more objects."""
    pattern = re.compile(re.escape(stem) + r"_\d{3,}\.png")
    for path in folder.glob("*.png") if folder.is_dir() else ():
        if pattern.fullmatch(path.name) and path not in current:
            path.unlink(missing_ok=True)


def _log_notes(notes: Sequence[str]) -> None:
    for note in notes:
        logger.warning("%s", note)
