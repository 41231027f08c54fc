"""Images and results by path or URL, through fsspec."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from sam2_adapter.errors import ConfigError, DataError, ExportError, ImageError, Sam2AdapterError
from sam2_adapter.files import reason_of, write_file
from sam2_adapter.images.find import search_images
from sam2_adapter.images.kinds import NO_IMAGE, is_image_name
from sam2_adapter.jobs.tasks import is_url
from sam2_adapter.ownership import JOURNAL_NAME, MARKER_NAME, entries_of_marker

logger = logging.getLogger(__name__)

# Markers that begin with a longer line were not written by us.
_MOST_HEADER_BYTES = 2**20


def absolute(location: str) -> str:
    """A location that means the same in every working directory."""
    return location if is_url(location) else os.path.abspath(location)


def find_sources(locations: Sequence[str]) -> list[str]:
    """Collect images as `search_images` does, in folders of any file system.

    Args:
        locations: files and folders, by path or URL.

    Returns:
        Absolute paths and URLs, in the order of `locations`, those of a folder sorted, each once.

    Raises:
        ConfigError: a protocol is unknown, or its package is not installed.
        ImageError: a location does not exist, cannot be read, or is a folder without images.
    """
    found: dict[str, None] = {}
    for location in locations:
        found.update(dict.fromkeys(_images_at(location) if is_url(location) else _images_below(location)))
    return list(found)


def _images_below(path: str) -> list[str]:
    found = search_images([path])
    for entry in found.passed_over:
        logger.warning("Not read: %s.", entry)
    return [os.path.abspath(image) for image in found.paths]


def read_source(source: str) -> bytes:
    """The content of a file, by path or URL.

    Raises:
        ConfigError: the protocol is unknown, or its package is not installed.
        ImageError: it cannot be read.
    """
    system, path = _file_system(source)
    with _naming(ImageError, f"{source}: cannot read the image"):
        return system.cat_file(path)  # type: ignore[no-any-return]


def source_version(source: str) -> str | None:
    """What tells one state of a file from another, without reading it: its size, and its time or the mark that its store gives it.

    `None` where that cannot be found out.
    """
    try:
        system, path = _file_system(source)
        if isinstance(system, LocalFileSystem):
            facts = os.stat(path)
            return f"{facts.st_size} {facts.st_mtime_ns}"
        system.invalidate_cache()
        info = system.info(path)
    except Exception:  # each package has its own errors; the read that follows says what is wrong
        return None
    mark = next((info[key] for key in _MARKS if info.get(key)), None)
    return None if mark is None else f"{info.get('size')} {mark}"


# The names that file systems have for a mark or time of a file's state, better ones first.
_MARKS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "content_md5",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "created",
)


class ResultFolder:
    """A folder on any file system, whose files appear whole or not at all."""

    def __init__(self, location: str) -> None:
        """Use a path or URL.

        Raises:
            ConfigError: the protocol is unknown, or its package is not installed.
        """
        self.location = location.rstrip("/")
        self._system, root = _file_system(location)
        self._root = root.rstrip("/")

    @property
    def local_path(self) -> Path | None:
        """The folder where it is on a disk of this machine, or on one that this machine sees."""
        return Path(self._root) if isinstance(self._system, LocalFileSystem) else None

    def names(self) -> set[str]:
        """The names of the files that are there; none where there is no folder.

        Raises:
            ExportError: the folder cannot be looked into.
        """
        with _naming(ExportError, f"{self.location}: cannot look into the folder"):
            try:
                # A listing that fsspec remembers may be older than the files.
                self._system.invalidate_cache()
                return {path.rstrip("/").rpartition("/")[2] for path in self._system.ls(self._root, detail=False)}
            except FileNotFoundError:
                return set()

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            DataError: it cannot be read.
        """
        with _naming(DataError, f"{self.location}/{name}: cannot read the file"):
            return self._system.cat_file(f"{self._root}/{name}")  # type: ignore[no-any-return]

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            ExportError: it cannot be removed.
        """
        with _naming(ExportError, f"{self.location}/{name}: cannot remove the file"):
            self._system.rm_file(f"{self._root}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file: object stores show it when it is complete, and in a folder of a disk it is put in place then.

        Raises:
            ExportError: it cannot be written.
        """
        if isinstance(self._system, LocalFileSystem):
            write_file(Path(self._root) / name, lambda file: file.write(content))
            return
        with _naming(ExportError, f"{self.location}/{name}: cannot write the file"):
            self._system.makedirs(self._root, exist_ok=True)
            self._system.pipe_file(f"{self._root}/{name}", content)


def _images_at(url: str) -> list[str]:
    system, root = _file_system(url)
    with _naming(ImageError, f"{url}: cannot look for images"):
        if _is_image(url.partition("?")[0]) and system.isfile(root):
            return [url]
        system.ls(root, detail=False)  # says what is wrong, which `find` passes over
        paths = system.find(root)
    if paths == [root]:
        return [url]
    inside = {path: PurePosixPath(path[len(root) :].lstrip("/")) for path in paths}
    results = _own_results(system, paths)
    images = [
        path
        for path in paths
        if _is_image(path)
        and not any(part[0] == "." for part in inside[path].parts)
        and not any(path == result or path.startswith(f"{result}/") for result in results)
    ]
    if not images:
        raise ImageError(f"{url}: there is no image file here; {NO_IMAGE}.")
    return [system.unstrip_protocol(path) for path in sorted(images, key=lambda path: inside[path].parts)]


def _own_results(system: Any, paths: Sequence[str]) -> list[str]:
    """The results of earlier runs among files, which are never inputs."""
    results = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        if name in (MARKER_NAME, JOURNAL_NAME):
            first_line = system.cat_file(path, 0, _MOST_HEADER_BYTES).split(b"\n", 1)[0]
            results += [f"{folder}/{entry}" for entry in entries_of_marker(name, first_line)]
    return results


def _is_image(path: str) -> bool:
    return is_image_name(PurePosixPath(path))


def _file_system(location: str) -> tuple[Any, str]:
    try:
        return fsspec.core.url_to_fs(absolute(location))  # type: ignore[no-any-return]
    except Exception as error:  # unknown protocols, missing packages, missing credentials: each package has its own
        raise ConfigError(f"{location}: cannot be used: {reason_of(error)}") from error


@contextmanager
def _naming(kind: type[Sam2AdapterError], what: str) -> Iterator[None]:
    """Say what could not be done; the packages of the file systems raise errors of many kinds."""
    try:
        yield
    except Exception as error:
        raise kind(f"{what}: {reason_of(error) or type(error).__name__}.") from error
