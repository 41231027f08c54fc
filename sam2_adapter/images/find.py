"""Finding the images of a folder, and saying what else lies there that a person would call a picture or a video."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam2_adapter.errors import ImageError
from sam2_adapter.files import reason_of
from sam2_adapter.images.kinds import NO_IMAGE, FileKind, is_image_name, other_kind
from sam2_adapter.ownership import results_in
from sam2_adapter.text import plural

_NUM_EXAMPLES = 3


@dataclass(frozen=True)
class PassedOver:
    """Files of one kind that a folder holds and that are not read.

    Attributes:
        kind: what they are.
        count: how many there are.
        examples: paths of the first few.
    """

    kind: FileKind
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """Such as "2 HEIC photos (a.heic, b.heic); to read it, ..."."""
        named = ", ".join(self.examples) + (", ..." if self.count > len(self.examples) else "")
        return f"{plural(self.count, self.kind.noun, self.kind.nouns)} ({named}); {self.kind.advice}"


@dataclass(frozen=True)
class FoundImages:
    """The images that were found.

    Attributes:
        paths: in the order of what was searched, those of a folder sorted by path, each once.
        passed_over: what else lies in the folders, by kind.
    """

    paths: tuple[Path, ...]
    passed_over: tuple[PassedOver, ...] = ()


@dataclass
class _Search:
    """A search under way."""

    images: dict[Path, None] = field(default_factory=dict)
    others: dict[FileKind, list[str]] = field(default_factory=dict)


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """The images that `search_images` finds, without what it passes over."""
    return list(search_images(paths).paths)


def search_images(paths: Iterable[str | Path]) -> FoundImages:
    """Collect image files.

    Args:
        paths: files, taken whatever they are called, and folders, searched with all their subfolders for files whose
            suffix is that of an image, in any case. Linked folders are followed, each folder once. Hidden files and
            folders, whose name starts with a dot, and results of this program are skipped.

    Raises:
        ImageError: a path does not exist, or a folder cannot be read or holds no image.
    """
    search = _Search()
    for given in paths:
        path = Path(given)
        if os.path.isdir(path):
            _search_folder(path, search)
        elif os.path.exists(path):
            search.images[path] = None
        else:
            raise ImageError(f"{path}: there is no such file or folder. Check the path.")
    return FoundImages(tuple(search.images), _counted(search.others))


def passed_over_below(folder: Path) -> tuple[PassedOver, ...]:
    """The pictures and videos below a folder that are not read, by kind.

    Raises:
        ImageError: a folder cannot be read.
    """
    others: dict[FileKind, list[str]] = {}
    for path in files_below(folder):
        if (kind := other_kind(path)) is not None:
            others.setdefault(kind, []).append(str(path))
    return _counted(others)


def _counted(others: Mapping[FileKind, Sequence[str]]) -> tuple[PassedOver, ...]:
    return tuple(
        PassedOver(kind, len(names), tuple(sorted(names)[:_NUM_EXAMPLES])) for kind, names in sorted(others.items())
    )


def _search_folder(folder: Path, search: _Search) -> None:
    images: list[Path] = []
    others: dict[FileKind, list[str]] = {}
    for path in files_below(folder):
        kind = other_kind(path)
        if kind is not None:
            others.setdefault(kind, []).append(str(path))
        elif is_image_name(path):
            images.append(path)
    if not images:
        found = "; ".join(map(str, _counted(others)))
        looked_for = f"it holds {found}" if found else NO_IMAGE
        apart = " apart from the results of an earlier run" if _has_results(folder) else " that can be read"
        raise ImageError(f"{folder}: no image in this folder{apart}; {looked_for}.")
    search.images.update(dict.fromkeys(sorted(images, key=lambda path: path.relative_to(folder).parts)))
    for kind, names in others.items():
        search.others.setdefault(kind, []).extend(names)


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder that are neither hidden nor results of this program.

    Folders that are links come last, and only where their target was not there already.

    Raises:
        ImageError: a folder cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    target = folder.resolve()
    waiting = [folder]
    while waiting:
        top = waiting.pop(0)
        is_above = top is not folder and target.is_relative_to(top.resolve())
        if is_above or _identity(top) in seen:
            continue
        links: list[Path] = []
        for parent, folders, files in os.walk(top, onerror=_refuse_folder):
            seen.add(_identity(Path(parent)))
            ours = results_in(parent)
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in ours)
            links += [path for name in folders if (path := Path(parent, name)).is_symlink()]
            yield from (Path(parent, name) for name in files if not name.startswith(".") and name not in ours)
        waiting += links


def _has_results(folder: Path) -> bool:
    return any(results_in(parent) for parent, _, _ in os.walk(folder))


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _refuse_folder(error: OSError) -> None:
    raise ImageError(f"{error.filename}: cannot read the folder: {reason_of(error)}.") from error
