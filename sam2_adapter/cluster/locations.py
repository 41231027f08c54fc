"""Images and results by path or URL, through fsspec."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from sam2_adapter.data.files import reason_of, write_file
from sam2_adapter.data.images import IMAGE_SUFFIXES, find_images
from sam2_adapter.errors import ConfigError, ExportError, ImageError


def is_url(location: str) -> bool:
    """Whether a location names its protocol, as `s3://bucket/photos` does."""
    return "://" in location


def find_sources(locations: Sequence[str]) -> list[str]:
    """Collect images as `find_images` does, in folders of any file system.

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
        images = _images_at(location) if is_url(location) else map(os.path.abspath, find_images([location]))
        found.update(dict.fromkeys(images))
    return list(found)


def read_source(source: str) -> bytes:
    """The content of a file.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        with fsspec.open(source, "rb") as file:
            return file.read()  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise ImageError(f"{source}: cannot read the image: {reason_of(error)}.") from error


class ResultFolder:
    """A folder on any file system, whose files appear whole or not at all."""

    def __init__(self, location: str) -> None:
        """Use a path or URL.

        Raises:
            ConfigError: the protocol is unknown, or its package is not installed.
        """
        self.location = location
        self._system, self._root = _file_system(location)

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return bool(self._system.exists(self._path(name)))

    def read(self, name: str) -> bytes:
        """The content of a file that is there."""
        return self._system.cat_file(self._path(name))  # type: ignore[no-any-return]

    def write(self, name: str, content: bytes) -> None:
        """Write a file; object stores show it when it is complete, elsewhere it is put in place then.

        Raises:
            ExportError: it cannot be written.
        """
        if isinstance(self._system, LocalFileSystem):
            write_file(Path(self._root) / name, lambda file: file.write(content))
            return
        try:
            self._system.makedirs(self._root, exist_ok=True)
            self._system.pipe_file(self._path(name), content)
        except OSError as error:
            raise ExportError(f"{self.location}/{name}: cannot write the file: {reason_of(error)}.") from error

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _images_at(url: str) -> list[str]:
    system, root = _file_system(url)
    try:
        if system.isfile(root):
            return [url]
        below = {path: PurePosixPath(path[len(root) :].lstrip("/")) for path in system.find(root)}
    except OSError as error:
        raise ImageError(f"{url}: cannot look for images: {reason_of(error)}.") from error
    images = [
        system.unstrip_protocol(path)
        for path, inside in below.items()
        if inside.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in inside.parts)
    ]
    if not images:
        raise ImageError(f"{url}: there is no image file here. Check the address.")
    return sorted(images)


def _file_system(location: str) -> tuple[Any, str]:
    try:
        return fsspec.core.url_to_fs(location if is_url(location) else os.path.abspath(location))  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{location}: {error}") from error
