"""Whose a folder is: what this program has written there, by the marker in the folder.

The first line of the marker names the command and the top-level names that it writes; then every file stands there, one per line, before it
is written:

    {"sam2-adapter": "0.2.0", "command": "predict", "entries": ["annotations.json", "overlays"]}
    "overlays/street.jpg"

A file of all images is noted once more when it is complete, so that it is known whether somebody has edited it since:

    {"written": "annotations.json", "sha256": "..."}

Markers are read as what strangers may have written: links are not followed, and paths that lead elsewhere are left out.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

MARKER_NAME = ".sam2-adapter.jsonl"
# The journal of `predict`, by which folders of version 0.1, which had no marker, are recognised.
JOURNAL_NAME = ".predictions.jsonl"

# A first line that is longer was not written by us.
_MOST_HEADER_BYTES = 2**20


@dataclass(frozen=True)
class Ownership:
    """What this program has left in a folder.

    Attributes:
        command: that made it, such as `predict`.
        entries: the top-level names of its results.
        files: lists the files of a folder without a marker, which version 0.1 has made; `None` where there is one.
    """

    command: str
    entries: frozenset[str]
    files: Callable[[], Iterable[str]] | None = None


def ownership_of(directory: str | Path) -> Ownership | None:
    """What this program has left in a folder; `None` for a folder that is not ours, or does not exist.

    Markers that are links, or damaged at their beginning, do not count.
    """
    header = _first_line(Path(directory, MARKER_NAME))
    if header is None:
        return _predictions_of_version_0_1(Path(directory))
    return _marked(header)


def entries_of_marker(name: str, first_line: bytes) -> frozenset[str]:
    """The results that a marker or an old journal stands beside, for folders that are on no disk.

    Args:
        name: of the file, `MARKER_NAME` or `JOURNAL_NAME`.
        first_line: of its content.
    """
    header = _parsed(first_line)
    if not isinstance(header, dict):
        return frozenset()
    if name == JOURNAL_NAME:
        return frozenset(_old_entries(header) or ())
    owner = _marked(header)
    return owner.entries if owner is not None else frozenset()


def results_in(directory: str | Path) -> frozenset[str]:
    """The names, directly in a folder, of results that this program made; none where the folder is not ours.

    Whoever looks for pictures or data below a folder passes over these, so that a command never reads its own results.
    """
    owner = ownership_of(directory)
    return owner.entries if owner is not None else frozenset()


def listed_files(directory: Path) -> Iterator[str]:
    """The files that the marker of a folder lists, as paths with forward slashes; lines that lead elsewhere are left out."""
    with (directory / MARKER_NAME).open("rb") as file:
        for number, line in enumerate(file):
            name = _parsed(line)
            if number and isinstance(name, str) and is_inside(name):
                yield name


def written_digests(directory: Path) -> dict[str, str]:
    """The SHA-256 of files by their names, as far as the marker of a folder notes them."""
    found: dict[str, str] = {}
    with (directory / MARKER_NAME).open("rb") as file:
        for line in file:
            noted = _parsed(line) if line.startswith(b"{") else None
            name, sha256 = (noted.get("written"), noted.get("sha256")) if isinstance(noted, dict) else (None, None)
            if isinstance(name, str) and isinstance(sha256, str):
                found[name] = sha256
    return found


def _marked(header: Mapping[str, Any]) -> Ownership | None:
    """What the first line of a marker says."""
    command, entries = header.get("command"), header.get("entries")
    if not isinstance(command, str) or not isinstance(entries, list) or "sam2-adapter" not in header:
        return None
    return Ownership(command, frozenset(entry for entry in entries if isinstance(entry, str)))


def _predictions_of_version_0_1(directory: Path) -> Ownership | None:
    entries = _old_entries(_first_line(directory / JOURNAL_NAME) or {})
    if entries is None:
        return None
    return Ownership("predict", frozenset(entries), lambda: _files_of_version_0_1(directory, entries))


def _old_entries(header: Mapping[str, Any]) -> set[str] | None:
    """The results of a run of version 0.1, by the first line of its journal."""
    settings = header.get("settings")
    if not isinstance(settings, dict) or not str(settings.get("tool", "")).startswith("sam2-adapter "):
        return None
    formats = settings.get("formats")
    entries = {_ENTRY_OF_FORMAT[name] for name in _ENTRY_OF_FORMAT if isinstance(formats, list) and name in formats}
    return entries | ({"overlays"} if settings.get("overlay") else set())


_ENTRY_OF_FORMAT = {"coco": "annotations.json", "dataloop": "json", "masks": "masks", "polygons": "polygons"}


def _files_of_version_0_1(directory: Path, entries: Collection[str]) -> Iterator[str]:
    if "annotations.json" in entries:
        yield "annotations.json"
    with (directory / JOURNAL_NAME).open("rb") as file:
        for text in file:
            line = _parsed(text)
            files = line.get("files") if isinstance(line, dict) else None
            names = files if isinstance(files, list) else []
            yield from (name for name in names if isinstance(name, str) and is_inside(name))
    yield JOURNAL_NAME


def _first_line(path: Path) -> dict[str, Any] | None:
    """The object in the first line of a file; `None` where there is none, or the file is a link or no file."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with path.open("rb") as file:
            header = _parsed(file.readline(_MOST_HEADER_BYTES))
    except (OSError, ValueError):
        return None
    return header if isinstance(header, dict) else None


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def is_inside(name: str) -> bool:
    """Whether a path with forward slashes leads to something below the folder that it is relative to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
