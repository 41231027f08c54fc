"""The pictures of a split of a YOLO data set: those of a folder, or those that a text file lists, one path per line.

Paths may be those of another machine: they are looked up by their ends among what lies beside `data.yaml`; nothing elsewhere is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sam2_adapter.errors import DataError
from sam2_adapter.files import read_text
from sam2_adapter.formats.dataset_reader import images_below
from sam2_adapter.formats.document import short
from sam2_adapter.formats.image_names import at_that_path, find_listed, path_parts
from sam2_adapter.formats.left_out import LeftOut, Reason

# Ways to write the folder of the file itself.
_HERE = (".", "./", ".\\")

# Of a path, folders that are looked at.
_MOST_FOLDERS = 64


def places_of(root: Path, value: Any) -> list[Path]:
    """The folders below `root` that a path, perhaps of another place, ends with, the longest end first; `root` itself for `.`."""
    if not isinstance(value, str):
        return []
    parts = path_parts(value)
    found = (root.joinpath(*parts[start:]) for start in range(max(0, len(parts) - _MOST_FOLDERS), len(parts)))
    return [place for place in found if os.path.isdir(place)] if parts else [root] * (value.strip() in _HERE)


def place_below(bases: Sequence[Path], value: Any, where: str) -> Path:
    """The folder, or the list of pictures, below one of `bases` that a path, perhaps of another place, ends with.

    Raises:
        DataError: there is none; the text begins with `where`.
    """
    parts = path_parts(value) if isinstance(value, str) else ()
    for base in bases:
        if folders := places_of(base, value):
            return folders[0]
        for start in range(max(0, len(parts) - _MOST_FOLDERS), len(parts)):
            place = base.joinpath(*parts[start:])
            if place.suffix.lower() == ".txt" and os.path.isfile(place):
                return place
    raise DataError(
        f"{where} is a folder of pictures, or a text file that lists them, below the file's own folder, but got {short(value)}, which is "
        "not there."
    )


def images_of_place(root: Path, place: Path, left_out: LeftOut) -> dict[str, Path]:
    """The pictures of a folder or of a list, by their paths below `root`; those that a list names and that are not there are counted.

    Raises:
        DataError: a list cannot be read.
    """
    if place.is_dir():
        folder = PurePosixPath(place.relative_to(root))
        return {str(folder / name): image for name, image in images_below(place).items()}
    images = images_below(root)
    listed = list(dict.fromkeys(line.strip() for line in read_text(place).splitlines() if line.strip()))
    found: dict[str, Path] = {}
    meant = find_listed([name.removeprefix("./") for name in listed], images, at_that_path)
    for name, fitting in zip(listed, meant, strict=True):
        if len(fitting) == 1:
            found[fitting[0]] = images[fitting[0]]
        else:
            left_out.add_image(Reason.DUPLICATE_NAME if fitting else Reason.NO_IMAGE, f"{place.name}: {name}")
    return found
