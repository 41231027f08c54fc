"""The text files of a YOLO data set, and which of them belongs to which picture.

The text file of a picture has its path, with `labels` in the place of the last folder `images`, and the suffix `.txt`; behind the name of the
picture, with or without its suffix. Where it has none there, an earlier folder `images` counts, as in what `predict` writes. The case of letters and the form of accents count only where names differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from sam2_adapter.errors import DataError
from sam2_adapter.files import read_text
from sam2_adapter.formats.image_names import PathsByName
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.images.find import files_below

FOLDER = "labels"
_SUFFIX = ".txt"
_IMAGES = "images"


class LabelFiles:
    """The text files of a data set."""

    def __init__(self, root: Path) -> None:
        """Find all text files below a folder."""
        found = sorted(path for path in files_below(root) if path.suffix.lower() == _SUFFIX)
        self._paths = {path.relative_to(root).as_posix(): path for path in found}
        self._by_name = PathsByName(self._paths)

    def of(self, images: Iterable[str]) -> dict[str, list[str]]:
        """The files of each picture, all by their paths below the root: none, the one, or several where that is not clear.

        A file that would be that of several pictures is that of those which it names with their suffix, else of none.
        """
        images = list(images)
        with_suffix = {image: self._first(places_of_labels(image)) for image in images}
        taken = {name for names in with_suffix.values() for name in names}
        return {
            image: with_suffix[image]
            or [name for name in self._first(map(_without_suffix, places_of_labels(image))) if name not in taken]
            for image in images
        }

    def _first(self, names: Iterable[str]) -> list[str]:
        """The files that are called so, of the first of these names that fits some."""
        found = (self._by_name.fitting(f"{name}{_SUFFIX}") for name in names)
        return next(filter(None, found), [])

    def left_over(self, used: Iterable[str]) -> list[str]:
        """The files of pictures that are not there, in the folders whose other files were used."""
        used = set(used)
        folders = {PurePosixPath(name).parent for name in used}
        return [
            name
            for name in self._paths
            if name not in used and PurePosixPath(name).parent in folders and _is_in_labels(name)
        ]

    def lines(self, name: str, left_out: LeftOut) -> list[tuple[int, str]]:
        """As `lines_of`; a file that cannot be read is counted."""
        try:
            return lines_of(self._paths[name])
        except DataError as error:
            left_out.add_image(Reason.BROKEN_FILE, str(error))
            return []


def lines_of(path: Path) -> list[tuple[int, str]]:
    """The lines of a file that are not empty, with their numbers from 1.

    Raises:
        DataError: it cannot be read.
    """
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [(number, line) for number, line in lines if line.strip()]


def places_of_labels(image: str) -> list[str]:
    """The path of a picture with the folder of labels in the place of that of pictures, the last one first; the path itself where there is none."""
    parts = PurePosixPath(image).parts
    places = [index for index, part in enumerate(parts[:-1]) if part.lower() == _IMAGES]
    found = ["/".join((*parts[:index], FOLDER, *parts[index + 1 :])) for index in reversed(places)]
    return found or ["/".join(parts)]


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _is_in_labels(name: str) -> bool:
    return FOLDER in (part.lower() for part in PurePosixPath(name).parts[:-1])
