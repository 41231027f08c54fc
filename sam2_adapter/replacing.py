"""Removing and replacing results of an earlier run, without losing what somebody has edited since."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePosixPath
from typing import IO

from sam2_adapter.errors import ExportError
from sam2_adapter.files import file_sha256, reason_of

logger = logging.getLogger(__name__)


def keep_edited(path: Path, written: Collection[str]) -> bool:
    """Rename a file that is none of what was written, by SHA-256; whether it was. Without any, nothing is known."""
    if not written or path.is_symlink() or file_sha256(path) in written:
        return False
    aside = _set_aside(path)
    logger.warning("%s was edited after it had been written; the edited file is kept as %s.", path, aside.name)
    return True


def remove_files(directory: Path, names: Iterable[tuple[str, Collection[str]]]) -> None:
    """Remove files below a folder, and the folders that are empty then; folders that are links are not entered.

    Args:
        directory: the folder.
        names: of the files, each with the SHA-256 of what was written, as far as it is known: what is something else by now is renamed.
    """
    parents: dict[PurePosixPath, bool] = {}
    for name, written in names:
        path = PurePosixPath(name)
        for parent in reversed(path.parents):
            if parent not in parents:
                above = parents.get(parent.parent, True)
                parents[parent] = above and not (parent.parts and (directory / parent).is_symlink())
        if parents[path.parent]:
            with suppress(OSError):  # a folder of this name, which is not ours, or gone already
                if not keep_edited(directory / path, written):
                    (directory / path).unlink()
    for parent in sorted(parents, key=lambda path: -len(path.parts)):
        if parent.parts and parents[parent]:
            with suppress(OSError):
                (directory / parent).rmdir()


def opened_to_append(path: Path) -> IO[bytes]:
    """A file of lines, unbuffered, to write more of them at its end; a last line that was torn by a crash is ended."""
    file: IO[bytes] = path.open("r+b", buffering=0)
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(end - 1)
        if file.read(1) != b"\n":
            file.write(b"\n")
    return file


def _set_aside(path: Path) -> Path:
    """Rename a file to a free name beside it, such as `annotations.edited.json`; returns that name.

    Raises:
        ExportError: it cannot be renamed.
    """
    for number in count(1):
        aside = path.with_name(f"{path.stem[:60]}.edited{number if number > 1 else ''}{path.suffix}")
        if not os.path.lexists(aside):
            break
    try:
        path.rename(aside)
    except OSError as error:
        raise ExportError(
            f"{path}: cannot rename the file, which was changed by somebody: {reason_of(error)}."
        ) from error
    return aside
