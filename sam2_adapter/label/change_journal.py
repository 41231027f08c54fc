"""The journal of a labelling session: every accepted change, on disk before anybody is told that it is saved.

One JSON object per line, only ever appended, each followed by `fsync`. A line that could not be written completely is cut off again, so that
the next one starts clean. When the journal is read, a damaged line is left out with a warning; the lines after it count: each says all
there is to know about what it changes.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sam2_adapter.errors import ExportError
from sam2_adapter.files import append_whole, encoded_json, parsed_line, reason_of

logger = logging.getLogger(__name__)

JOURNAL_NAME = "journal.jsonl"


class ChangeJournal:
    """A journal that is open for appending; safe between threads."""

    def __init__(self, path: Path) -> None:
        """Open a journal, which is made where there is none. Read it with `read_lines` before.

        Raises:
            ExportError: it cannot be written to.
        """
        self.path = path
        self._lock = threading.Lock()
        try:
            self._file: IO[bytes] = path.open("r+b" if path.exists() else "x+b", buffering=0)
            self._end = _end_of_whole_lines(self._file)
            self._cut_off()
            _sync_folder(path.parent)
        except OSError as error:
            raise ExportError(f"{path}: cannot write here: {reason_of(error)}. Choose another folder.") from error

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line; it is on disk when this returns.

        Raises:
            ExportError: it is not; the journal is as it was before.
        """
        try:
            content = encoded_json(dict(line)) + b"\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise ExportError(f"{self.path}: this cannot be written as JSON: {error}.") from error
        with self._lock:
            try:
                self._cut_off()  # what an earlier failure may have left
                append_whole(self._file, content)
                os.fsync(self._file.fileno())
            except OSError as error:
                with suppress(OSError):
                    self._cut_off()
                raise ExportError(
                    f"{self.path}: cannot write the change: {reason_of(error)}. Make room on the disk; nothing that was saved is lost."
                ) from error
            self._end += len(content)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _cut_off(self) -> None:
        if os.fstat(self._file.fileno()).st_size != self._end:
            self._file.truncate(self._end)
        self._file.seek(self._end)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal, oldest first; damaged ones are left out with a warning.

    Raises:
        ExportError: there is a journal that cannot be read.
    """
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                line = parsed_line(text)
                if line is not None:
                    yield line
                elif text.endswith(b"\n"):
                    logger.warning("%s: line %d is damaged and was left out.", path, number)
                # else it was torn when the program was killed, before anybody was told that it is saved
    except OSError as error:
        raise ExportError(f"{path}: cannot read the journal: {reason_of(error)}.") from error


def _end_of_whole_lines(file: IO[bytes]) -> int:
    """Where the last line ends that was written completely."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - 65536)
        file.seek(start)
        position = file.read(end - start).rfind(b"\n")
        if position >= 0:
            return start + position + 1
        end = start
    return 0


def _sync_folder(folder: Path) -> None:
    """See that the name of a new file is on disk, too; not every system knows how."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
