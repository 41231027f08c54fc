"""Compiled models on disk: made once, complete or absent, shared by all processes of the user.

An entry is the SHA-256 of its content, then the content: a damaged file is noticed, and made again. Entries may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock

from sam2_adapter.model.tensor_files import atomic_file

logger = logging.getLogger(__name__)

_DIGEST_BYTES = hashlib.sha256().digest_size


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
            return content
        logger.warning("%s is damaged and is made again", self._path(name))
        return None

    def write(self, name: str, content: bytes) -> None:
        """Store an entry; where the directory cannot be written, say so and go on without."""
        try:
            with atomic_file(self._path(name)) as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
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

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.bin"
