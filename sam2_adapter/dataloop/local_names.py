"""Where the files of items lie on the disk: every item has a path of its own, whatever it is called."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from sam2_adapter.dataloop.items import name_of
from sam2_adapter.images.kinds import IMAGE_SUFFIXES
from sam2_adapter.text import printable

# Bytes of a file or folder name that every file system takes, with room for a suffix.
_LONGEST_PART = 200

# Characters that some file system does not take, or takes for something else.
_SPECIAL = frozenset('\\:*?"<>|')


class LocalNames:
    """Paths of items below one folder; the same for the same items in the same order."""

    def __init__(self) -> None:
        """Begin with an empty folder."""
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def take(self, item: Any) -> PurePosixPath:
        """A free path for `item` (`dl.Item`) that ends as an image does: its own one, or else one of its id.

        Its own path is not taken where it leads out of the folder or is hidden, has characters that not every file system
        takes, or is another item's, or one of its folders, in capital or small letters.
        """
        path = PurePosixPath(name_of(item))
        if path.name in ("", ".."):
            path = PurePosixPath(str(item.id))
        if (
            path.suffix.lower() not in IMAGE_SUFFIXES
        ):  # files are told apart by their content, and found by their suffix
            path = path.with_name(f"{path.name}.png")
        if not (all(map(_is_plain, path.parts)) and self._is_free(path)):
            path = PurePosixPath(f"{item.id}{path.suffix.lower()}")
        self._files.add(_folded(path))
        self._folders.update(map(_folded, path.parents))
        return path

    def _is_free(self, path: PurePosixPath) -> bool:
        name = _folded(path)
        is_below_a_file = any(_folded(parent) in self._files for parent in path.parents)
        return not (name in self._files or name in self._folders or is_below_a_file)


def _is_plain(part: str) -> bool:
    is_long = len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART
    has_special = printable(part) != part or not _SPECIAL.isdisjoint(part) or part.endswith((" ", "."))
    return not (is_long or has_special or part.startswith("."))


def _folded(path: PurePosixPath) -> str:
    return str(path).casefold()
