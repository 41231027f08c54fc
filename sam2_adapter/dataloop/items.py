"""Items: which ones a filter means, and what their documents say, whose values may be of any kind."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dtlpy as dl

from sam2_adapter.annotations.prompt_values import short
from sam2_adapter.dataloop.platform_requests import query_all
from sam2_adapter.errors import PlatformError
from sam2_adapter.images.read import MAX_PIXELS

# EXIF orientations that exchange width and height.
_TURNED_ORIENTATIONS = (5, 6, 7, 8)

# Bytes of pixels in one byte of a photograph in JPEG, about.
_BYTES_OF_PIXELS = 10


def query_of(filters: Any) -> dict[str, Any]:
    """The item query of what the platform hands over: `dl.Filters`, a full query, only its filter part, or nothing.

    Raises:
        PlatformError: it is something else.
    """
    if not filters:
        return dict(dl.Filters().prepare())
    if isinstance(filters, Mapping):
        query = copy.deepcopy(dict(filters))
        return query if "filter" in query else {"filter": query, "resource": "items"}
    if isinstance(filters, dl.Filters):
        return copy.deepcopy(dict(filters.prepare()))
    raise PlatformError(f"filters: expected dl.Filters or a query such as {{'filter': ...}}, but got {short(filters)}.")


def checked_items(items: Any) -> list[Any]:
    """One item (`dl.Item`) or several as a list.

    Raises:
        PlatformError: something else is among them.
    """
    entries = list(items) if isinstance(items, Sequence) and not isinstance(items, str | bytes) else [items]
    for entry in entries:
        if not getattr(entry, "id", None) or not hasattr(entry, "filename"):
            raise PlatformError(f"items: expected a list of items of the platform (dl.Item), but got {short(entry)}.")
    return entries


def list_items(dataset: Any, query: Mapping[str, Any]) -> Iterator[Any]:
    """The files of a dataset that a query finds, as `dl.Item`; pages are fetched as they are needed."""
    for document in query_all(dataset.id, query):
        if document.get("type") == "file":
            yield dl.Item.from_json(_json=document, client_api=dl.client_api, dataset=dataset)


def nested(holder: Any, *keys: str) -> dict[str, Any]:
    """The object under `keys`, one within the other; an empty one where something is missing or of another kind."""
    for key in keys:
        holder = holder.get(key) if isinstance(holder, Mapping) else None
    return dict(holder) if isinstance(holder, Mapping) else {}


def name_of(item: Any) -> str:
    """The path of an item (`dl.Item`) in its dataset without the leading slash; its id where it has none."""
    return str(item.filename or "").lstrip("/") or str(item.id)


def system_of(item: Any) -> dict[str, Any]:
    """What the platform says about an item (`dl.Item`): `metadata.system`, or an empty object."""
    return nested(getattr(item, "metadata", None), "system")


def upright_hw(item: Any) -> tuple[int, int] | None:
    """The (height, width) of an item's upright image in pixels; `None` where the platform does not say it in a usable way."""
    system = system_of(item)
    height, width = _whole_number(system.get("height")), _whole_number(system.get("width"))
    orientation = nested(system, "exif").get("Orientation")
    turn = 1 if orientation is None else _whole_number(orientation)
    if height is None or width is None or turn is None or turn > 8 or height * width > MAX_PIXELS:
        return None
    return (width, height) if turn in _TURNED_ORIENTATIONS else (height, width)


def file_bytes(item: Any) -> int:
    """The size of an item's file; 0 where the platform does not say it."""
    return _whole_number(system_of(item).get("size")) or 0


def image_bytes(item: Any) -> int:
    """Memory that the image of an item takes while it is decoded, about, by what the platform says about it."""
    hw = upright_hw(item)
    pixels = file_bytes(item) * _BYTES_OF_PIXELS if hw is None else 3 * hw[0] * hw[1]
    return file_bytes(item) + pixels


def _whole_number(value: Any) -> int | None:
    """A number from 1 on, also written as text or with a fraction of 0."""
    is_text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9
    if isinstance(value, bool) or not (is_text or isinstance(value, int | float)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):  # not finite
        return None
    return number if number >= 1 and (is_text or number == value) else None
