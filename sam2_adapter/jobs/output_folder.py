"""The folder that results are written to: one writer per format, every file complete or not there, each saying which model made it.

The formats stand in `formats/registry`; overlays, pictures to look at, go to `overlays/NAME.jpg`.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter import __version__
from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import ExportError
from sam2_adapter.files import write_file
from sam2_adapter.formats.base import OutputType, Writer, WritingTarget
from sam2_adapter.formats.registry import FormatEntry, load_format, output_formats
from sam2_adapter.formats.result_names import stem_of, unique_stems
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import JOURNAL_NAME
from sam2_adapter.predict.predictor import ModelInfo
from sam2_adapter.reports.overlay import draw_overlay

logger = logging.getLogger(__name__)

_OVERLAYS = "overlays"
_OVERLAY_QUALITY = 92


def provenance(info: ModelInfo) -> dict[str, Any]:
    """Which model made a result, as plain JSON types."""
    facts = asdict(info)
    window = facts.pop("window")  # of a tuned model only
    return {"tool": f"sam2-adapter {__version__}", **facts, **({"window": window} if window else {})}


def entries_of(formats: Sequence[str], *, overlay: bool) -> list[str]:
    """The top-level names of everything that a run writes."""
    known = output_formats()
    return [JOURNAL_NAME, *(known[name].results for name in formats), *([_OVERLAYS] if overlay else [])]


class OutputFolder:
    """Writes the results of one run; a context manager that completes the files of all images when it is left."""

    def __init__(
        self,
        folder: OwnedFolder,
        formats: Sequence[str],
        info: ModelInfo,
        *,
        overlay: bool = True,
        output_type: OutputType = "mask",
        file_names: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> None:
        """Start to write into a folder.

        Args:
            folder: the folder, begun with the names of `entries_of`.
            formats: what to write, by the names of `output_formats`.
            info: the model that makes the results.
            overlay: also draw masks and prompts over every image.
            output_type: what the Dataloop and COCO formats hold, masks or polygons.
            file_names: names of all images of the run, so that no two of them share a file.
            labels: what lists of classes begin with, in this order; other labels follow as they are first used.

        Raises:
            ExportError: the folder cannot be written to.
        """
        self.directory = folder.directory
        self._folder = folder
        self._made_by = provenance(info)
        self._stems = unique_stems(file_names)
        entries = [entry for name, entry in output_formats().items() if name in formats]
        # A file of all images last: what it holds cannot be taken back when another format of the same image fails.
        entries.sort(key=lambda entry: entry.is_one_file)
        self._writers = [self._open_writer(entry, info.name, output_type, labels) for entry in entries]
        self._overlay = overlay
        self._drawing = [entry.output for entry in entries if output_type in entry.drawn_masks]

    @cached_property
    def _all_stems(self) -> frozenset[str]:
        return frozenset(self._stems.values())

    def require_parts(self, image: str) -> None:
        """Check that every format can hold an image that is too large to be read whole.

        Raises:
            ExportError: one of them draws masks of the size of the image; the text names it and the image.
        """
        if self._drawing:
            raise ExportError(
                f"{image}: the image is too large for the format {self._drawing[0]}, whose masks are pictures of its size. Choose coco."
            )

    def write(
        self, image: npt.NDArray[np.uint8] | None, annotated: AnnotatedImage, prompts: Sequence[Prompt]
    ) -> tuple[Path, ...]:
        """Write the results of one image.

        Args:
            image: uint8 RGB H x W x 3; `None` for one that is not drawn over, as it is too large.
            annotated: its objects.
            prompts: the prompt of each object.

        Returns:
            The files that belong to this image alone.

        Raises:
            ExportError: a file cannot be written, or the format cannot hold the result.
        """
        stem = self.stem_of(annotated.file_name)
        files = [self._write_overlay(image, annotated, prompts, stem)] if self._overlay and image is not None else []
        for writer in self._writers:
            written = writer.add(annotated, stem)
            _log_notes(written.notes)
            files += written.files
        return tuple(files)

    def add_done(self, annotated: AnnotatedImage, files: Mapping[Path, str | None]) -> None:
        """Take an image whose own files are there already into the files of all images.

        Args:
            annotated: its objects.
            files: its files with the SHA-256 of what was written, as far as it is known.

        Raises:
            ExportError: such a file cannot be written.
        """
        self._folder.take_over(files)
        for writer in self._writers:
            _log_notes(writer.add_done(annotated, self.stem_of(annotated.file_name)).notes)

    def stem_of(self, file_name: str) -> str:
        """What the files of an image are called, without folder and suffix."""
        return self._stems.get(file_name) or stem_of(file_name)

    def is_stem(self, stem: str) -> bool:
        """Whether the files of any image of the run are called so."""
        return stem in self._all_stems

    def remove(self, files: Mapping[Path, str | None]) -> None:
        """Remove files of an image that is done again, which may have other ones now; see `OwnedFolder.remove`."""
        self._folder.remove(files)

    def close(self) -> Path | None:
        """Complete the files of all images, if there are any; returns the first path."""
        closed = [path for writer in self._writers for path in writer.close()]
        for path in closed:
            self._folder.wrote(path)
        return closed[0] if closed else None

    def __enter__(self) -> Self:
        """The folder itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Complete the files of all images also when the run was broken off: they hold the images that were done."""
        self.close()

    def _open_writer(
        self, entry: FormatEntry, model_name: str, output_type: OutputType, labels: Sequence[str]
    ) -> Writer:
        open_writer = load_format(entry).open_writer
        assert open_writer is not None  # the table says that it is written
        path, folder = self.directory / entry.results, self._folder
        classes = dict.fromkeys(labels)
        return open_writer(
            WritingTarget(path, folder.claim, model_name, self._made_by, output_type, folder.wrote, classes)
        )

    def _write_overlay(
        self, image: npt.NDArray[np.uint8], annotated: AnnotatedImage, prompts: Sequence[Prompt], stem: str
    ) -> Path:
        path = self.directory / _OVERLAYS / f"{stem}.jpg"
        self._folder.claim(path)
        content = io.BytesIO()
        comment = ", ".join(f"{key} {value}" for key, value in self._made_by.items())
        drawn = Image.fromarray(draw_overlay(image, annotated.annotations, prompts))
        drawn.save(content, format="JPEG", quality=_OVERLAY_QUALITY, comment=comment.encode())
        write_file(path, lambda file: file.write(content.getvalue()))
        return path


def _log_notes(notes: Sequence[str]) -> None:
    for note in notes:
        logger.warning("%s", note)
