"""What was labelled, in the formats of results: written by the same writers as the results of other commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_adapter import __version__
from sam2_adapter.annotations.colors import Color
from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import ConfigError
from sam2_adapter.files import write_file
from sam2_adapter.formats.base import OutputType, WritingTarget
from sam2_adapter.formats.registry import load_format, output_formats
from sam2_adapter.formats.result_names import unique_stems
from sam2_adapter.label.objects import annotations_of
from sam2_adapter.label.picture_work import PictureWork
from sam2_adapter.label.report import REPORT, REPORT_NAME
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import listed_files
from sam2_adapter.replacing import remove_files
from sam2_adapter.text import unknown_name

DEFAULT_FORMATS = ("coco",)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        paths: the file or folder of each format, by its name.
        num_images: pictures that were worked on.
        num_objects: objects in them.
        notes: what a format could not hold.
    """

    paths: Mapping[str, Path]
    num_images: int
    num_objects: int
    notes: tuple[str, ...]


def entries() -> list[str]:
    """The top-level names of everything that an export may write."""
    return list(export_formats().values())


def export_formats() -> dict[str, str]:
    """What can be written: name of a format, or of the report page, to the file or folder that it writes."""
    return {**{name: entry.results for name, entry in output_formats().items()}, REPORT: REPORT_NAME}


def check_formats(names: Sequence[str]) -> list[str]:
    """Names of formats, each once.

    Raises:
        ConfigError: one of them is none.
    """
    known = export_formats()
    for name in names:
        if name not in known:
            raise ConfigError(unknown_name("format", name, known))
    return list(dict.fromkeys(names))


class Exporter:
    """Writes exports into the folder of a session, again and again."""

    def __init__(
        self, folder: OwnedFolder, names: Sequence[str], report: Callable[[Mapping[str, Any]], str] = lambda model: ""
    ) -> None:
        """Export into `folder`.

        Args:
            folder: begun with `entries`.
            names: of all pictures, so that no two of them share a file.
            report: gives the report page as text, from the facts of the model.
        """
        self._folder = folder
        self._stems = unique_stems(names)
        self._report = report
        self._claimed: set[Path] = set()
        self._written: set[Path] = set()

    @property
    def directory(self) -> Path:
        """The folder that is written to."""
        return self._folder.directory

    def offered(self) -> list[dict[str, Any]]:
        """What can be written, as the page shows it; `isThere` is whether an earlier export lies there."""
        known = {name: (entry.title, entry.has_output_types) for name, entry in output_formats().items()}
        titles = {**known, REPORT: ("Report page", False)}
        return [
            {
                "name": name,
                "title": titles[name][0],
                "results": results,
                "hasOutputTypes": titles[name][1],
                "isThere": (self.directory / results).exists(),
            }
            for name, results in export_formats().items()
        ]

    def write(
        self,
        work: Mapping[str, PictureWork],
        formats: Sequence[str],
        model: Mapping[str, Any],
        output_type: OutputType = "mask",
        labels: Mapping[str, Color | None] | None = None,
    ) -> Exported:
        """Write everything that was labelled, in place of an earlier export, whose files of pictures that are not in this one are removed.

        Args:
            work: name of the picture to what was labelled in it.
            formats: names of formats.
            model: `name` and further facts of the model that answered.
            output_type: what the formats that hold masks and polygons get.
            labels: as in `WritingTarget`: all of the session, in their order, with their colours.

        Raises:
            ConfigError: an unknown format.
            ExportError: a file cannot be written.
        """
        names = check_formats(formats)
        paths: dict[str, Path] = {}
        notes: list[str] = []
        images = [self._annotated(name, done) for name, done in sorted(work.items())]
        for name in names:
            paths[name] = self._folder.directory / export_formats()[name]
            if name == REPORT:
                self._write_report(paths[name], model)
            else:
                made_by = {"tool": f"sam2-adapter {__version__}", **model}
                model_name = str(model.get("name") or "none")
                target = WritingTarget(paths[name], self._claim, model_name, made_by, output_type, labels=labels or {})
                self._written.clear()
                notes += self._write_format(name, target, images)
                self._remove_others(paths[name])
        return Exported(paths, len(images), sum(len(image.annotations) for image in images), tuple(notes))

    def _write_format(self, name: str, target: WritingTarget, images: Sequence[AnnotatedImage]) -> list[str]:
        """Write one format; returns what it could not hold."""
        open_writer = load_format(output_formats()[name]).open_writer
        assert open_writer is not None  # the table says that it is written
        writer = open_writer(target)
        notes: list[str] = []
        for image in images:
            notes += writer.add(image, self._stems.get(image.file_name) or image.file_name).notes
        writer.close()
        return notes

    def _write_report(self, path: Path, model: Mapping[str, Any]) -> None:
        text = self._report(model)
        self._claim(path)
        write_file(path, lambda file: file.write(text.encode(errors="backslashreplace")))  # names need not be UTF-8
        self._folder.wrote(path)

    def _annotated(self, name: str, done: PictureWork) -> AnnotatedImage:
        return AnnotatedImage(
            name, done.original_hw, tuple(annotations_of(list(done.objects.values()), done.original_hw))
        )

    def _remove_others(self, results: Path) -> None:
        """Remove the files of earlier exports at or below a path that this one has not written."""
        written = {str(path).casefold(): path for path in self._written}
        others = []
        for name in set(listed_files(self.directory)):
            path = self.directory / name
            same = written.get(
                str(path).casefold()
            )  # where letters' cases make no difference, one file has several names
            is_written = path in self._written or (same is not None and path.exists() and path.samefile(same))
            if results in path.parents and not is_written:
                others.append(name)
        remove_files(self.directory, ((name, ()) for name in others))

    def _claim(self, path: Path) -> None:
        """Note a file as ours once; what was written in this session may be written again."""
        self._written.add(path)
        if path not in self._claimed:
            self._folder.claim(path)
            self._claimed.add(path)
