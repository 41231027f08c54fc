"""The journal of a prediction run: which images are done and what was found, so that an interrupted run can go on.

One JSON object per line: first the settings that results depend on, then an image as soon as its files are written. A line
that was torn by a crash, and all after it, are dropped. An image counts as done while its file, its prompts and its results
are what they were. Only the place of each line is kept in memory.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.prompts import Units
from sam2_adapter.annotations.rle import Rle
from sam2_adapter.errors import ConfigError, ExportError
from sam2_adapter.files import append_whole, file_sha256, parsed_line, reason_of, remove_partial_files
from sam2_adapter.jobs.tasks import ImageTask, prompts_sha256
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import JOURNAL_NAME, is_inside

logger = logging.getLogger(__name__)

# Size and time of an image file, `None` where it could not be looked at; enough to know it by, as for make and rsync.
FileFacts = list[int] | None

_OBJECT_FIELDS = ("label", "iou_score", "attributes", "object_id", "parent_id", "prompt_index")
# Of objects that were found without a prompt.
_FOUND_FIELDS = ("stability_score", "point_xy")


@dataclass(frozen=True)
class DoneImage:
    """An image of an earlier run.

    Attributes:
        annotated: its objects.
        empty_prompts: positions of the prompts whose mask was empty.
        files: what was written for this image alone, with its SHA-256 where that is known.
        refused_prompts: position to reason of the prompts that could not be used.
    """

    annotated: AnnotatedImage
    empty_prompts: tuple[int, ...]
    files: Mapping[Path, str | None]
    refused_prompts: Mapping[int, str] = field(default_factory=dict)


def facts_of(path: Path) -> FileFacts:
    """What an image file is known by, as it is now."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    return [facts.st_size, facts.st_mtime_ns]


class Journal:
    """The journal in an output folder; a context manager that closes it. Images are added by one thread at a time."""

    def __init__(self, folder: OwnedFolder, settings: Mapping[str, Any], *, units: Units = "pixel") -> None:
        """Start a journal, or go on with the one that is there.

        Args:
            folder: the output folder, begun; where an earlier run in it is gone on with, so is its journal.
            settings: what results depend on, plain JSON types.
            units: of the prompts.

        Raises:
            ConfigError: the earlier run had other settings.
            ExportError: the journal cannot be written.
        """
        self._directory = folder.directory
        self._path = folder.directory / JOURNAL_NAME
        self._settings = json.loads(json.dumps(settings))
        self._units = units
        self._offsets: dict[str, int] = {}
        self._is_broken = False
        end = self._read_earlier(folder)
        if not end:
            folder.claim(self._path)
        try:
            self._file: IO[bytes] = self._path.open("r+b" if end else "wb", buffering=0)
            self._file.truncate(end)
        except OSError as error:
            raise ExportError(f"{self._path}: cannot write here: {reason_of(error)}. Choose another folder.") from error
        if end:
            remove_partial_files(self._directory)
        else:
            self._append({"settings": self._settings})

    def find(self, task: ImageTask, facts: FileFacts, files_like: str) -> int | None:
        """Where the journal has this image, for `read`; `None` when it is to be done (again).

        Args:
            task: the image.
            facts: of its file now.
            files_like: what its results are called, without folder and suffix.
        """
        offset = self._offsets.get(task.name)
        if offset is None:
            return None
        line = self._line(offset)
        same = all(line.get(key) == value for key, value in self._identity(task, facts, files_like).items())
        return offset if same and all((self._directory / name).is_file() for name in line["files"]) else None

    def read(self, offset: int) -> DoneImage:
        """The image at a place that `find` gave."""
        return _done_image(self._line(offset), self._directory)

    def outdated_files(
        self, task: ImageTask, files_like: str, is_stem: Callable[[str], bool]
    ) -> dict[Path, str | None]:
        """The files of an image that is done again, with the SHA-256 of what was written: now it may have others.

        Args:
            task: the image.
            files_like: what its results are called now.
            is_stem: whether the results of any image of this run are called so: what was this image's may be that one's now.
        """
        offset = self._offsets.pop(task.name, None)
        if offset is None:
            return {}
        line = self._line(offset)
        is_free = line["files_like"] == files_like or not is_stem(line["files_like"])
        return _files_of(line, self._directory) if is_free else {}

    def add(self, task: ImageTask, facts: FileFacts, files_like: str, done: DoneImage) -> None:
        """Note that an image is done. Where that cannot be written, say so once and go on without.

        Args:
            task: the image.
            facts: of its file when it was read.
            files_like: what its results are called.
            done: its objects and files.
        """
        if self._is_broken:
            return
        try:
            objects = [{"counts": entry.rle.counts, **_written(entry)} for entry in done.annotated.annotations]
            refused = {str(position): reason for position, reason in done.refused_prompts.items()}
            self._append(
                {
                    **self._identity(task, facts, files_like),
                    "original_hw": done.annotated.original_hw,
                    "objects": objects,
                    "empty_prompts": done.empty_prompts,
                    **({"refused_prompts": refused} if refused else {}),
                    "files": [path.relative_to(self._directory).as_posix() for path in done.files],
                    "sha256": [_digest_of(path) for path in done.files],
                }
            )
        except (OSError, ExportError) as error:
            self._is_broken = True
            logger.warning("%s; a run with --resume does the images from %s on again.", error, task.name)

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def _identity(self, task: ImageTask, facts: FileFacts, files_like: str) -> dict[str, Any]:
        """What makes an image the same."""
        prompts = prompts_sha256(task.prompts, self._units)
        return {"name": task.name, "files_like": files_like, "file": facts, "prompts": prompts}

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            append_whole(self._file, json.dumps(line, allow_nan=False).encode() + b"\n")
        except OSError as error:
            raise ExportError(
                f"{self._path}: cannot write here: {reason_of(error)}. Make room on the disk, or choose another folder."
            ) from error

    def _line(self, offset: int) -> dict[str, Any]:
        # Opened again: the file that is written to has its own place, and may be used by another thread.
        with self._path.open("rb") as file:
            file.seek(offset)
            return json.loads(file.readline())  # type: ignore[no-any-return]

    def _read_earlier(self, folder: OwnedFolder) -> int:
        """Find the images that are done; returns where the last whole line ends, 0 when nothing can be used."""
        if not folder.is_resumed or self._path.is_symlink() or not self._path.is_file():
            return 0
        end = 0
        with self._path.open("rb") as file:
            for number, text in enumerate(file):
                line = parsed_line(text)
                if line is None or (number > 0 and not self._holds_image(line)):
                    logger.warning(
                        "%s: line %d is damaged; the images from there on are done again.", self._path, number + 1
                    )
                    break
                if number == 0:
                    self._check_settings(line.get("settings"))
                else:
                    self._offsets[line["name"]] = end
                end += len(text)
        return end

    def _holds_image(self, line: Mapping[str, Any]) -> bool:
        """Whether a line can be used for everything that it is used for."""
        try:
            _done_image(line, self._directory)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            return False
        return isinstance(line["name"], str) and isinstance(line.get("files_like"), str)

    def _check_settings(self, earlier: Any) -> None:
        earlier = earlier if isinstance(earlier, dict) else {}
        names = [*self._settings, *(name for name in earlier if name not in self._settings)]
        other = [
            f"{name} was {earlier.get(name)!r} and is now {self._settings.get(name)!r}"
            for name in names
            if earlier.get(name) != self._settings.get(name)
        ]
        if other:
            raise ConfigError(
                f"{self._directory}: cannot go on with this run: {'; '.join(other)}. Use the same settings, start again "
                "(--overwrite instead of --resume), or choose another --output."
            )


def _written(annotation: Annotation) -> dict[str, Any]:
    facts = {name: getattr(annotation, name) for name in _OBJECT_FIELDS}
    found = {name: getattr(annotation, name) for name in _FOUND_FIELDS}
    return {**facts, **{name: value for name, value in found.items() if value is not None}}


def _read(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: entry[name] for name in _OBJECT_FIELDS}, **{name: entry.get(name) for name in _FOUND_FIELDS}}


def _done_image(line: Mapping[str, Any], directory: Path) -> DoneImage:
    height, width = line["original_hw"]
    annotations = tuple(
        Annotation(rle=Rle(entry["counts"], (height, width)), **_read(entry)) for entry in line["objects"]
    )
    if not all(is_inside(name) for name in line["files"]):
        raise ValueError("a file elsewhere")
    return DoneImage(
        AnnotatedImage(line["name"], (height, width), annotations),
        tuple(int(position) for position in line["empty_prompts"]),
        _files_of(line, directory),
        {int(position): str(reason) for position, reason in line.get("refused_prompts", {}).items()},
    )


def _files_of(line: Mapping[str, Any], directory: Path) -> dict[Path, str | None]:
    """The files of an image with their SHA-256, which earlier versions did not note."""
    names: list[str] = line["files"]
    digests = line.get("sha256") or [None] * len(names)
    if not all(isinstance(sha256, str | None) for sha256 in digests):
        raise ValueError("no digests")
    return {directory / name: sha256 for name, sha256 in zip(names, digests, strict=True)}


def _digest_of(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:  # removed again already
        return None
