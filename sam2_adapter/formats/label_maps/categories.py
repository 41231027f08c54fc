"""What the numbers of label maps are called: `categories.json`, or the file that `predict` writes beside each map.

    {"1": "cell"}                  for all images
    {"image": {"1": "cell"}}       for one image, named by its path, with or without suffix

Of an image's own names and those for all, its own count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json
from sam2_adapter.formats.document import as_number, short
from sam2_adapter.formats.image_names import at_that_path, find_listed
from sam2_adapter.formats.left_out import LeftOut

NAME = "categories.json"

_FORM = 'expected {"1": "label"} or {"image": {"1": "label"}}'


class Categories:
    """The names of a data set."""

    def __init__(self, path: Path) -> None:
        """Read the file; without one nothing has a name.

        Raises:
            DataError: it is no file of names.
        """
        document = read_json(path) if path.exists() else {}
        if not isinstance(document, dict):
            raise DataError(f"{path}: {_FORM}, but got {short(document)}.")
        for key, value in document.items():
            if not isinstance(value, str | dict):
                raise DataError(f"{path}: {_FORM}, but {key[:80]!r} is {short(value)}.")
        self._of_all = {key: value for key, value in document.items() if isinstance(value, str)}
        self._of_image: dict[str, dict[str, Any]] = {k: v for k, v in document.items() if isinstance(v, dict)}

    def __bool__(self) -> bool:
        """Whether there is any name."""
        return bool(self._of_all or self._of_image)

    @property
    def labels(self) -> list[str]:
        """The names for all images, each once, in the order of their numbers."""
        rows = sorted(self._of_all.items(), key=lambda row: as_number(row[0]) or 0)
        return list(dict.fromkeys(label for _, label in rows if label))

    def names_of(self, images: Iterable[str], left_out: LeftOut) -> Mapping[str, Mapping[str, Any]]:
        """Number, as a text, to label, by image; names of images that are not there are remarked.

        Args:
            images: paths below their folder, with forward slashes.
            left_out: takes remarks.
        """
        images = list(images)
        listed = list(self._of_image)
        found: dict[str, Mapping[str, Any]] = {}
        for key, fitting in zip(listed, find_listed(listed, images, at_that_path), strict=True):
            if len(fitting) == 1:
                found[fitting[0]] = self._of_image[key]
            else:
                left_out.remark("name", f"in {NAME} of {'several images' if fitting else 'no image'}", key)
        return {image: found.get(image, self._of_all) for image in images}


def legend_of(mask: Path) -> dict[str, Any]:
    """Number to label from the file that `predict` writes beside a label map; nothing where there is none."""
    path = mask.with_suffix(".json")
    if not path.is_file():
        return {}
    try:
        document = read_json(path)
    except DataError:
        return {}
    objects = document.get("objects") if isinstance(document, dict) else None
    rows = [row for row in objects if isinstance(row, dict)] if isinstance(objects, list) else []
    return {str(row.get("number")): row.get("label") for row in rows}
