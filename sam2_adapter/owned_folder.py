"""The rule for the output folders of all commands: nothing is lost there, and one command at a time works in them.

A folder that is neither empty nor ours (see `ownership`) is refused. A folder of ours is gone on with (`resume`), or its files are
removed and written again (`overwrite`), and refused otherwise. Nothing is removed or replaced that the marker does not list. What somebody
has edited since a run wrote it, and another run would replace, is kept under another name.

    with OwnedFolder("run", "train", resume=resume, overwrite=overwrite) as folder:   # checked and locked, nothing changed yet
        folder.begin(["model.torch", "checkpoints"])
        folder.claim(folder.directory / "model.torch")                                # before it is written
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Self

from sam2_adapter import __version__
from sam2_adapter.errors import ExportError, OutputExistsError
from sam2_adapter.files import (
    HOLDER_NAME,
    LOCK_NAME,
    append_whole,
    atomic_file,
    file_sha256,
    is_partial_name,
    lock_folder,
    reason_of,
    write_file,
)
from sam2_adapter.ownership import MARKER_NAME, Ownership, listed_files, ownership_of, written_digests
from sam2_adapter.replacing import keep_edited, opened_to_append, remove_files
from sam2_adapter.text import cut

# What file managers leave in a folder by themselves.
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", LOCK_NAME, HOLDER_NAME})

# No folder can be where one of these is said: below a file, or of a name that is too long.
_NO_PLACE = (errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)

# Recognises what version 0.1 of a command has left, by the folder and the names in it.
Recognise = Callable[[Path, Collection[str]], Ownership | None]


class OwnedFolder:
    """An output folder that is checked and locked; a context manager that lets it go. Safe to use from many threads."""

    def __init__(
        self,
        directory: str | Path,
        command: str,
        *,
        resume: bool = False,
        overwrite: bool = False,
        can_resume: bool = True,
        inputs: Collection[str | Path] = (),
        recognise: Recognise | None = None,
    ) -> None:
        """Check a folder by the rule above, and lock it; nothing in it is changed. It is made if missing.

        Args:
            directory: the folder.
            command: what works in it, such as `predict`.
            resume: go on with what an earlier run of this command has left; without one, start.
            overwrite: replace what an earlier run of this command has left.
            can_resume: whether the command knows `resume`, for messages.
            inputs: what the command reads; a folder that holds nothing else, or the folders of that, counts as empty.
            recognise: knows folders of version 0.1 of this command.

        Raises:
            OutputExistsError: the folder is not ours, or holds earlier results; the text says what to do.
            FolderInUseError: another command works in it.
            ExportError: the folder cannot be made or written to.
        """
        self.directory = Path(directory)
        self.command = command
        self._resume, self._overwrite, self._recognise = resume, overwrite, recognise
        self._can_resume = can_resume
        self._inputs = {_same_file(path) for path in inputs}
        self._marker: IO[bytes] | None = None
        self._mutex = threading.Lock()
        self._listed: set[int] | None = None
        self._trusts_entries = False
        self._taken_over: dict[str, str | None] = {}
        self._check()
        self._is_new = not self.directory.exists()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = lock_folder(self.directory)
        except OSError as error:
            raise ExportError(f"{directory}: cannot write here: {reason_of(error)}. Choose another folder.") from error
        try:
            self._forget_holder()  # of a command that was killed
            # Again: another command may have been here in between.
            self._earlier = self._check()
        except BaseException:
            self.close()
            raise

    @property
    def is_resumed(self) -> bool:
        """Whether there is something of an earlier run to go on with."""
        return self._resume and self._earlier is not None

    def begin(self, entries: Iterable[str]) -> None:
        """Start to write: what is to be overwritten is removed, and the folder is marked as ours.

        Args:
            entries: the top-level names of everything that will be written.

        Raises:
            OutputExistsError: a folder that was not ours holds one of these names.
            ExportError: the marker cannot be written.
        """
        names = frozenset(entries)
        if self._earlier is None:
            self._refuse_names(names)
        elif not self._resume:
            remove_files(self.directory, ((name, ()) for name in self._files()))
        kept = self._earlier if self.is_resumed else None
        self._trusts_entries = kept is not None and kept.files is not None
        path = self.directory / MARKER_NAME
        try:
            if kept is None or kept.files is not None or not names <= kept.entries:
                self._write_header(path, names | (kept.entries if kept else frozenset()), kept)
            self._marker = opened_to_append(path)
        except OSError as error:
            raise ExportError(f"{path}: cannot write here: {reason_of(error)}. Choose another folder.") from error

    def claim(self, path: Path) -> None:
        """Note that a file is ours, before it is written. One that was edited since `wrote` is renamed.

        Args:
            path: below the folder.

        Raises:
            OutputExistsError: there is a file that is not ours, or a link leads out of the folder.
            ExportError: this cannot be noted.
        """
        name = path.relative_to(self.directory).as_posix()
        with self._mutex:
            self._refuse_foreign(path, name)
            if self.is_resumed and path.is_file():
                keep_edited(path, self._written(name))
            self._note(name)

    def wrote(self, path: Path) -> None:
        """Note what a claimed file holds when it is complete, for files of which there are few."""
        with self._mutex, suppress(OSError):  # removed again already
            name, sha256 = path.relative_to(self.directory).as_posix(), file_sha256(path)
            self._note({"written": name, "sha256": sha256})
            self._digests[name] = sha256

    def take_over(self, files: Mapping[Path, str | None]) -> None:
        """Know these files, path to SHA-256 of what was written, beside those that the marker notes; until the next call."""
        self._taken_over = {path.relative_to(self.directory).as_posix(): sha256 for path, sha256 in files.items()}

    def remove(self, files: Mapping[Path, str | None]) -> None:
        """Remove files of the run that is gone on with, which are no results any more.

        What the marker does not list stays, and what has been edited is renamed.

        Args:
            files: path to SHA-256 of what was written; `None` where that is not known.
        """
        with self._mutex:
            self.take_over(files)
            names = [name for name in self._taken_over if hash(name) in self._earlier_names()]
            remove_files(self.directory, [(name, self._written(name)) for name in names])

    def discard(self) -> None:
        """Remove what was written, where nothing came of the first run in the folder."""
        if self._earlier is not None or self._marker is None:
            return
        remove_files(self.directory, ((name, ()) for name in listed_files(self.directory)))
        self._marker.close()
        self._marker = None
        with suppress(OSError):
            (self.directory / MARKER_NAME).unlink()

    def close(self) -> None:
        """Let the folder go; one that was made for nothing is removed."""
        if self._marker is not None:
            self._marker.close()
        self._forget_holder()
        self._lock.release()
        if self._is_new and self._marker is None:
            with suppress(OSError):
                Path(self.directory, LOCK_NAME).unlink(missing_ok=True)
                self.directory.rmdir()

    def tell_others(self, text: str) -> None:
        """What a command is told that is refused because this one works in the folder, until it is let go.

        Args:
            text: at most 300 bytes, such as the address of a page. Whoever may read the folder reads it: no secrets.

        Raises:
            ExportError: it cannot be written.
        """
        write_file(self.directory / HOLDER_NAME, lambda file: file.write(text.encode()))

    def _forget_holder(self) -> None:
        with suppress(OSError):
            (self.directory / HOLDER_NAME).unlink()

    def __enter__(self) -> Self:
        """The folder itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the folder go."""
        self.close()

    def _note(self, line: str | Mapping[str, str]) -> None:
        assert self._marker is not None  # begin() comes first
        try:
            append_whole(self._marker, json.dumps(line).encode() + b"\n")
        except OSError as error:
            where = self.directory / MARKER_NAME
            raise ExportError(
                f"{where}: cannot write here: {reason_of(error)}. Make room on the disk, or choose another folder."
            ) from error

    def _check(self) -> Ownership | None:
        """Who owns the folder, `None` where it is empty; raises where this command may not write to it."""
        try:
            self._refuse_other_than_folder()
            names = self._names()
        except FileNotFoundError:
            return None
        except OSError as error:
            kind = OutputExistsError if error.errno in _NO_PLACE else ExportError
            raise kind(
                f"{cut(str(self.directory), 300)}: cannot look into the folder: {reason_of(error)}. Choose another folder."
            ) from error
        owner = ownership_of(self.directory) or (self._recognise(self.directory, names) if self._recognise else None)
        if owner is None and names:
            raise OutputExistsError(
                f"{self.directory}: the folder is not empty, and what is in it ({_some(names)}) is not from an earlier run of "
                f"`{self.command}`. Choose another folder; nothing was changed."
            )
        if owner is not None and owner.command != self.command:
            raise OutputExistsError(
                f"{self.directory}: the folder holds results of `{owner.command}`. Choose another folder for `{self.command}`."
            )
        if owner is not None and not (self._resume or self._overwrite):
            ways = "Go on with that run (--resume), replace its" if self._can_resume else "Replace its"
            raise OutputExistsError(
                f"{self.directory}: the folder holds the results of an earlier run. {ways} results (--overwrite), or choose "
                "another folder."
            )
        return owner

    def _refuse_other_than_folder(self) -> None:
        if self.directory.is_symlink() and not self.directory.exists():
            raise OutputExistsError(f"{self.directory}: this is a link that leads nowhere. Name another folder.")
        if self.directory.is_file():
            raise OutputExistsError(f"{self.directory}: this is a file. Name a folder for the results.")

    def _names(self) -> list[str]:
        """What is in the folder and neither litter nor read by the command."""
        found = []
        with os.scandir(self.directory) as entries:
            for entry in entries:
                is_litter = _is_litter(entry.name) and entry.is_file(follow_symlinks=False)
                if not is_litter and not self._holds_input(_same_file(entry.path)):
                    found.append(entry.name)
        return sorted(found)

    def _holds_input(self, path: str) -> bool:
        """Whether a path is that of an input, or of the folder that an input is in."""
        return any(given == path or given.startswith(path + os.sep) for given in self._inputs)

    def _refuse_names(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if os.path.lexists(self.directory / name):
                raise OutputExistsError(
                    f"{self.directory / name}: the results would be written here, but this is an input. Choose another folder."
                )

    def _files(self) -> Iterable[str]:
        assert self._earlier is not None
        return self._earlier.files() if self._earlier.files is not None else listed_files(self.directory)

    def _write_header(self, path: Path, entries: frozenset[str], kept: Ownership | None) -> None:
        """Replace the marker by one with these entries and the files of a run that is gone on with."""
        header = {"sam2-adapter": __version__, "command": self.command, "entries": sorted(entries)}
        with atomic_file(path) as file:
            file.write(json.dumps(header).encode() + b"\n")
            for name in self._files() if kept is not None else ():
                file.write(json.dumps(name).encode() + b"\n")
            for name, sha256 in self._digests.items() if kept is not None else ():
                file.write(json.dumps({"written": name, "sha256": sha256}).encode() + b"\n")

    def _refuse_foreign(self, path: Path, name: str) -> None:
        if path.is_symlink():
            raise OutputExistsError(
                f"{path}: this is a link, which is not followed. Remove it, or choose another folder."
            )
        if os.path.lexists(path) and not self._trusts_entries and hash(name) not in self._earlier_names():
            raise OutputExistsError(
                f"{path}: this file is in the way, and it is not from an earlier run. Move it to another place."
            )
        for parent in path.relative_to(self.directory).parents:
            if parent.parts and (self.directory / parent).is_symlink():
                raise OutputExistsError(
                    f"{self.directory / parent}: this is a link, which results are not written through. Remove it, or choose "
                    "another folder."
                )

    def _earlier_names(self) -> set[int]:
        """The files of the run that is gone on with, by their hashes: they may be many. Looked up in rare cases only."""
        if self._listed is None:
            self._listed = {hash(name) for name in listed_files(self.directory)} if self.is_resumed else set()
        return self._listed

    @cached_property
    def _digests(self) -> dict[str, str]:
        """What the marker notes of files by their names."""
        is_marked = self.is_resumed and (self.directory / MARKER_NAME).is_file()
        return written_digests(self.directory) if is_marked else {}

    def _written(self, name: str) -> list[str]:
        """What was written to a file, as far as it is known."""
        return [sha256 for sha256 in (self._digests.get(name), self._taken_over.get(name)) if sha256 is not None]


def _is_litter(name: str) -> bool:
    # A marker that a command did not finish, because it was killed.
    return name in _LITTER or (name.startswith(f".{MARKER_NAME}") and is_partial_name(name))


def _same_file(path: str | Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
