"""What all formats share: the results of writing and reading, and checked access to foreign documents."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import DataError


@dataclass(frozen=True)
class Export:
    """Annotations as a document of some format.

    Attributes:
        document: plain JSON types.
        notes: what the format could not hold, one sentence each that names image and object; empty when nothing was
            lost.
    """

    document: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Import:
    """Annotations read from a document.

    Attributes:
        images: the images and their objects.
        notes: what was left out and why, one sentence each; empty when everything was read.
    """

    images: tuple[AnnotatedImage, ...]
    notes: tuple[str, ...] = ()


_DATA_URL = re.compile(r"^data:[\w.+/-]+;base64,")

_NUMBER = re.compile(r"-?\d{1,18}")

_KIND_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number"}


def field(entry: Any, key: str, kind: type, where: str) -> Any:
    """The value of a required key.

    Args:
        entry: a part of a parsed JSON document.
        key: name of the field.
        kind: `dict`, `list`, `str`, `int` or `float`, which takes whole numbers too.
        where: the place in the file, for messages.

    Raises:
        DataError: the entry is no object, the key is missing or its value is of another kind.
    """
    if not isinstance(entry, Mapping):
        raise DataError(f"{where}: expected an object, but got {short(entry)}.")
    if key not in entry:
        raise DataError(f"{where}: the key {key!r} is missing.")
    value = entry[key]
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind in (int, float)):
        raise DataError(f"{where}: {key!r} is {_KIND_NAMES[kind]}, but got {short(value)}.")
    return value


def optional(entry: Any, key: str, kind: type, where: str) -> Any:
    """As `field`, but `None` where the key is missing or null."""
    if isinstance(entry, Mapping) and entry.get(key) is None:
        return None
    return field(entry, key, kind, where)


def as_number(text: str) -> int | None:
    """The whole number, perhaps negative, that a text is; `None` for any other text, and for more digits than numbers of classes have."""
    return int(text) if _NUMBER.fullmatch(text) else None


def from_base64(text: str) -> bytes:
    """The bytes of a base64 text, which may be broken into lines and begin as a data URL does.

    Raises:
        ValueError: it is none.
    """
    joined = "".join(text.split())
    return base64.b64decode(_DATA_URL.sub("", joined, count=1), validate=True)


def listed_side(value: Any) -> int | None:
    """A width or height that a file gives, also as a text; `None` for what is not given, for which tools also write 0, -1 or NaN.

    Raises:
        ValueError: it is no whole number.
    """
    if value is None or value == "":
        return None
    try:
        number = float(value)
        if not number > 0:
            return None
        if number == int(number) < 2**31 and not isinstance(value, bool):
            return int(number)
    except (TypeError, OverflowError):
        pass
    raise ValueError(f"no whole number of pixels: {short(value)}")


def short(value: Any) -> str:
    """A value for a message, cut where it is long; its kind where it cannot be written out."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # numbers of thousands of digits, or lists nested as deeply
        text = f"a value of the kind {type(value).__name__} that is too long to show"
    return text if len(text) <= 80 else text[:77] + "..."
