"""Compiled models on disk: made once, complete or absent, shared by all processes of the user.

An entry is the SHA-256 of its content, then the content: a damaged file is noticed, and made again. Entries may be deleted at any time; those
that nobody has read for a quarter of a year, of earlier versions and models, are deleted when another one is made.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from sam2_adapter.files import atomic_file

logger = logging.getLogger(__name__)

_DIGEST_BYTES = hashlib.sha256().digest_size

_FORGOTTEN_AFTER_SECONDS = 90 * 24 * 3600


class CompiledCache:
    """A directory of compiled models, by name."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which need not exist."""
        self.directory = directory

    def has(self, name: str) -> bool:
        """Whether there is an entry; whether it is whole, only `read` says."""
        return self._path(name).is_file()

    def read(self, name: str) -> bytes | None:
        """Content of an entry, or `None` if it is absent or damaged."""
        try:
            with self._path(name).open("rb") as file:
                digest, content = file.read(_DIGEST_BYTES), file.read()
        except OSError:
            return None
        if hashlib.sha256(content).digest() == digest:
            self._note_use(name)
            return content
        logger.warning("%s is damaged and is made again", self._path(name))
        return None

    def write(self, name: str, content: bytes) -> None:
        """Store an entry; where the directory cannot be written, say so and go on without."""
        try:
            with atomic_file(self._path(name), is_synced=True) as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
            self._forget_unused()
        except OSError as error:
            logger.warning("cannot keep a compiled model in %s: %s", self.directory, error)

    @contextmanager
    def making(self, name: str) -> Iterator[None]:
        """Let one process at a time make an entry."""
        with ExitStack() as held:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(self.directory / f".{name}.lock"))
            except OSError as error:
                logger.debug("no lock in %s: %s", self.directory, error)
            yield

    def _note_use(self, name: str) -> None:
        """Set the file's time, as not every file system notes when a file was read."""
        with suppress(OSError):
            os.utime(self._path(name))

    def _forget_unused(self) -> None:
        oldest = time.time() - _FORGOTTEN_AFTER_SECONDS
        for path in self.directory.glob("*.bin"):
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    path.with_name(f".{path.stem}.lock").unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.bin"
