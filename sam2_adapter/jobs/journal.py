"""The journal of a prediction run: which images are done and what was found, so that an interrupted run can go on.

One JSON object a line: first the settings that results depend on, then an image as soon as its files are written. A line
that was torn by a crash, and all after it, are dropped. An image counts as done while its file, its prompts and its results
are what they were. Only the place of each line is kept in memory.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.rle import Rle
from sam2_adapter.errors import ConfigError, ExportError
from sam2_adapter.files import RESULTS_MARK, reason_of, remove_partial_files
from sam2_adapter.jobs.tasks import ImageTask, prompts_sha256

logger = logging.getLogger(__name__)

JOURNAL_NAME = RESULTS_MARK

_OBJECT_FIELDS = ("label", "iou_score", "attributes", "object_id", "parent_id", "prompt_index")


@dataclass(frozen=True)
class DoneImage:
    """An image of an earlier run.

    Attributes:
        annotated: its objects.
        empty_prompts: positions of the prompts whose mask was empty.
        files: what was written for this image alone.
    """

    annotated: AnnotatedImage
    empty_prompts: tuple[int, ...]
    files: tuple[Path, ...]


class Journal:
    """The journal in an output folder; a context manager that closes it. Images are added by one thread at a time."""

    def __init__(self, directory: str | Path, settings: Mapping[str, Any], *, resume: bool = False) -> None:
        """Start a journal, or go on with the one that is there.

        Args:
            directory: the output folder; made if missing.
            settings: what results depend on, plain JSON types.
            resume: keep what an earlier run has done; without a journal of one, start.

        Raises:
            ConfigError: the earlier run had other settings.
            ExportError: the journal cannot be written.
        """
        self._directory = Path(directory)
        self._path = self._directory / JOURNAL_NAME
        self._settings = json.loads(json.dumps(settings))
        self._offsets: dict[str, int] = {}
        self._is_broken = False
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            end = self._read() if resume else 0
            self._file: IO[bytes] = self._path.open("r+b" if end else "w+b")
            self._file.truncate(end)
            self._file.seek(end)
        except OSError as error:
            raise ExportError(f"{self._path}: cannot write here: {reason_of(error)}. Choose another folder.") from error
        if end:
            remove_partial_files(self._directory)
        else:
            self._append({"settings": self._settings})

    def find(self, task: ImageTask, files_like: str) -> int | None:
        """Where the journal has this image, for `read`; `None` when it is to be done (again).

        Args:
            task: the image.
            files_like: what its results are called, without folder and suffix.
        """
        offset = self._offsets.get(task.name)
        if offset is None:
            return None
        line = self._line(offset)
        same = all(line[key] == value for key, value in _identity(task, files_like).items())
        return offset if same and all((self._directory / name).is_file() for name in line["files"]) else None

    def read(self, offset: int) -> DoneImage:
        """The image at a place that `find` gave."""
        line = self._line(offset)
        height, width = line["original_hw"]
        annotations = tuple(
            Annotation(rle=Rle(entry["counts"], (height, width)), **{name: entry[name] for name in _OBJECT_FIELDS})
            for entry in line["objects"]
        )
        return DoneImage(
            AnnotatedImage(line["name"], (height, width), annotations),
            tuple(line["empty_prompts"]),
            tuple(self._directory / name for name in line["files"]),
        )

    def add(self, task: ImageTask, files_like: str, done: DoneImage) -> None:
        """Note that an image is done. Where that cannot be written, say so once and go on without."""
        if self._is_broken:
            return
        try:
            objects = [
                {"counts": entry.rle.counts, **{name: getattr(entry, name) for name in _OBJECT_FIELDS}}
                for entry in done.annotated.annotations
            ]
            self._append(
                {
                    **_identity(task, files_like),
                    "original_hw": done.annotated.original_hw,
                    "objects": objects,
                    "empty_prompts": done.empty_prompts,
                    "files": [path.relative_to(self._directory).as_posix() for path in done.files],
                }
            )
        except (OSError, ExportError) as error:
            self._is_broken = True
            logger.warning("%s; a run with --resume does the images from %s on again.", error, task.name)

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise ExportError(f"{self._path}: cannot write here: {reason_of(error)}") from error

    def _line(self, offset: int) -> dict[str, Any]:
        # Opened anew: the file that is written to has its own place, and may be used by another thread.
        with self._path.open("rb") as file:
            file.seek(offset)
            return json.loads(file.readline())  # type: ignore[no-any-return]

    def _read(self) -> int:
        """Find the images that are done; returns where the last whole line ends, 0 when nothing can be used."""
        end = 0
        if not self._path.exists():
            return end
        with self._path.open("rb") as file:
            for number, text in enumerate(file):
                line = _parsed(text)
                if line is None or (number > 0 and not isinstance(line.get("name"), str)):
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
                f"{self._directory}: cannot go on with this run: {'; '.join(other)}. Use the same settings, leave --resume "
                "out to start anew, or choose another --output."
            )


def _identity(task: ImageTask, files_like: str) -> dict[str, Any]:
    """What makes an image the same; the size and time of its file are enough, as for make and rsync."""
    try:
        facts = task.path.stat()
        file = [facts.st_size, facts.st_mtime_ns]
    except OSError:
        file = None
    return {"name": task.name, "files_like": files_like, "file": file, "prompts": prompts_sha256(task.prompts)}


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text) if text.endswith(b"\n") else None
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
