"""What was labelled, in the formats of results: written by the same writers as the results of other commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_adapter import __version__
from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import ConfigError
from sam2_adapter.formats.base import OutputType, WritingTarget
from sam2_adapter.formats.registry import load_format, output_formats
from sam2_adapter.formats.result_names import unique_stems
from sam2_adapter.label.objects import annotations_of
from sam2_adapter.label.picture_work import PictureWork
from sam2_adapter.owned_folder import OwnedFolder

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
    return [entry.results for entry in output_formats().values()]


def check_formats(names: Sequence[str]) -> list[str]:
    """Names of formats, each once.

    Raises:
        ConfigError: one of them is none.
    """
    known = output_formats()
    for name in names:
        if name not in known:
            raise ConfigError(f"Unknown format {name!r}; the formats are {', '.join(known)}.")
    return list(dict.fromkeys(names))


class Exporter:
    """Writes exports into the folder of a session, again and again."""

    def __init__(self, folder: OwnedFolder, names: Sequence[str]) -> None:
        """Export into `folder`.

        Args:
            folder: begun with `entries`.
            names: of all pictures, so that no two of them share a file.
        """
        self._folder = folder
        self._stems = unique_stems(names)
        self._claimed: set[Path] = set()

    @property
    def directory(self) -> Path:
        """The folder that is written to."""
        return self._folder.directory

    def write(
        self,
        work: Mapping[str, PictureWork],
        formats: Sequence[str],
        model: Mapping[str, Any],
        output_type: OutputType = "mask",
    ) -> Exported:
        """Write everything that was labelled, in place of an earlier export.

        Args:
            work: name of the picture to what was labelled in it.
            formats: names of formats.
            model: `name` and further facts of the model that answered.
            output_type: what the formats that hold masks and polygons get.

        Raises:
            ConfigError: an unknown format.
            ExportError: a file cannot be written.
        """
        names = check_formats(formats)
        paths: dict[str, Path] = {}
        notes: list[str] = []
        images = [self._annotated(name, done) for name, done in sorted(work.items())]
        for name in names:
            entry = output_formats()[name]
            open_writer = load_format(entry).open_writer
            assert open_writer is not None  # the table says that it is written
            paths[name] = self._folder.directory / entry.results
            made_by = {"tool": f"sam2-adapter {__version__}", **model}
            target = WritingTarget(paths[name], self._claim, str(model.get("name") or "none"), made_by, output_type)
            writer = open_writer(target)
            for image in images:
                notes += writer.add(image, self._stems.get(image.file_name) or image.file_name).notes
            writer.close()
        return Exported(paths, len(images), sum(len(image.annotations) for image in images), tuple(notes))

    def _annotated(self, name: str, done: PictureWork) -> AnnotatedImage:
        return AnnotatedImage(
            name, done.original_hw, tuple(annotations_of(list(done.objects.values()), done.original_hw))
        )

    def _claim(self, path: Path) -> None:
        """Note a file as ours once; what was written in this session may be written again."""
        if path not in self._claimed:
            self._folder.claim(path)
            self._claimed.add(path)
