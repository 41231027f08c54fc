"""The tables of a COCO document, with the joins between them: images, their objects, and labels.

Ids may be whole numbers or texts; an id that one table writes as 7 and another as "7" is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_adapter.errors import DataError
from sam2_adapter.formats.coco.segmentation import from_text
from sam2_adapter.formats.document import as_number, short
from sam2_adapter.formats.left_out import LeftOut, Reason

_NO = ("", "0", "0.0", "false", "f", "no", "n", "none", "null", "nan")

# Without any image there is nothing to read.
_IMAGES = "images"

_ID = "a whole number or a text"


@dataclass(frozen=True)
class ListedImage:
    """An entry of `images` that can be looked for.

    Attributes:
        key: its id, to join objects by.
        file_name: the name that the file gives it.
        entry: the entry itself.
    """

    key: str
    file_name: str
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class CocoTables:
    """The joined tables of a document.

    Attributes:
        images: the images that the document lists.
        objects_of: entries of `annotations` by the key of their image, for listed images; no `segmentation` is a text that holds one.
        labels: label by the key of its category; categories without a name are not in it.
    """

    images: list[ListedImage]
    objects_of: Mapping[str, list[Mapping[str, Any]]]
    labels: Mapping[str, str]


def read_tables(document: Any, path: Path, left_out: LeftOut) -> CocoTables:
    """Join the tables of a document; entries that cannot be used are counted.

    Args:
        document: the parsed file.
        path: the file, for messages.
        left_out: counts entries that are malformed, and objects whose image is not listed.

    Raises:
        DataError: it is no COCO document, or two images or two categories have one id.
    """
    images = _images(_table(document, _IMAGES, path), path, left_out)
    keys = {image.key for image in images}
    objects_of: dict[str, list[Mapping[str, Any]]] = {}
    for index, row in enumerate(_table(document, "annotations", path)):
        key = join_key(row.get("image_id")) if isinstance(row, Mapping) else None
        where = f"{path.name}: annotations[{index}]"
        if key is None:
            got = short(row.get("image_id")) if isinstance(row, Mapping) else short(row)
            left_out.add_object(Reason.MALFORMED, f"{where}: 'image_id' is {_ID}, but got {got}")
        elif key not in keys:
            left_out.add_object(Reason.NO_IMAGE_ENTRY, f"{where}: 'image_id' {short(row['image_id'])}")
        else:
            objects_of.setdefault(key, []).append(_without_text(row))
    return CocoTables(images, objects_of, labels_by_key(document, path))


def join_key(value: Any) -> str | None:
    """An id as a text to compare; `None` for what is no id."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def is_crowd(row: Mapping[str, Any]) -> bool:
    """Whether an object is marked as a crowd; tools also write 0 as a text or a word, null or false."""
    value = row.get("iscrowd")
    if value != value:  # NaN, as tables write what is not given
        return False
    return value.strip().lower() not in _NO if isinstance(value, str) else bool(value)


def _without_text(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object whose `segmentation` is no text that holds one."""
    segmentation = row.get("segmentation")
    return {**row, "segmentation": from_text(segmentation)} if isinstance(segmentation, str) else row


def _table(document: Any, name: str, path: Path) -> list[Any]:
    if not isinstance(document, Mapping):
        kind = "a list, as files of predictions are" if isinstance(document, list) else short(document)
        raise DataError(
            f"{path}: not a COCO file: expected an object with the lists 'images' and 'annotations', but it is {kind}."
        )
    table = document.get(name)
    if (
        isinstance(table, Mapping)
        and all(isinstance(row, Mapping) for row in table.values())
        and (table or name != _IMAGES)
    ):
        return [{"id": key, **row} for key, row in table.items()]  # keyed by their ids; and PHP writes an empty list so
    if not isinstance(table, list):
        found = ("null" if name in document else "no such key") if table is None else short(table)
        raise DataError(
            f"{path}: not a COCO file: expected a list {name!r} in it, but found {found}. Write a list of objects with an 'id' there, or "
            "export the data set again."
        )
    return table


def _images(rows: list[Any], path: Path, left_out: LeftOut) -> list[ListedImage]:
    images: dict[str, ListedImage] = {}
    for index, row in enumerate(rows):
        image, problem = _image(row)
        if image is None:
            left_out.add_image(Reason.BROKEN_FILE, f"{path.name}: images[{index}]: {problem}")
            continue
        earlier = images.setdefault(image.key, image)
        if earlier.file_name != image.file_name:
            raise DataError(
                f"{path}: two images have the 'id' {short(row['id'])}: {earlier.file_name!r} and {image.file_name!r}, so that "
                "nobody can tell whose objects are whose. Give every image an id of its own, and its objects that 'image_id'."
            )
    return list(images.values())


def _image(row: Any) -> tuple[ListedImage | None, str]:
    if not isinstance(row, Mapping):
        return None, f"expected an object, but got {short(row)}"
    key = join_key(row.get("id"))
    if key is None:
        return None, f"'id' is {_ID}, but got {short(row.get('id'))}"
    name = row.get("file_name") or row.get("coco_url")
    if not isinstance(name, str):
        return None, f"'file_name' is a text, but got {short(row.get('file_name'))}"
    return ListedImage(key, name, row), ""


def labels_by_key(document: Any, path: Path) -> dict[str, str]:
    """Label by the key of its category, in the order of the numbers; in the file's order where an id is no number.

    Raises:
        DataError: it is no COCO document, or two categories have one id.
    """
    labels: dict[str, str] = {}
    has_categories = not isinstance(document, Mapping) or document.get("categories") is not None
    for row in _table(document, "categories", path) if has_categories else ():
        key = join_key(row.get("id")) if isinstance(row, Mapping) else None
        name = row.get("name") if key is not None else None
        if key is None or isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            continue
        label = str(name)
        if labels.setdefault(key, label) != label:
            raise DataError(
                f"{path}: two categories have the 'id' {short(row['id'])}: {labels[key]!r} and {label!r}. "
                "Give every category an id of its own."
            )
    numbers = {key: number for key in labels if (number := as_number(key)) is not None}
    return (
        labels if len(numbers) < len(labels) else {key: labels[key] for key in sorted(labels, key=numbers.__getitem__)}
    )
