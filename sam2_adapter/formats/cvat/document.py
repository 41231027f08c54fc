"""The XML of "CVAT for images 1.1", read without trusting it.

    <annotations>
      <version>1.1</version>
      <meta>...</meta>
      <image id="0" name="street/a.jpg" width="640" height="480" subset="train">
        <polygon label="cat" points="10.0,20.0;..." z_order="0" group_id="1"><attribute name="colour">red</attribute></polygon>
      </image>
    </annotations>

Tracks are those of "CVAT for video", which is another format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sam2_adapter.errors import DataError
from sam2_adapter.formats.document import listed_side, short
from sam2_adapter.formats.xml_files import parse_xml
from sam2_adapter.input_files import open_regular

_ROOT = "annotations"
_ROOT_TAG = re.compile(rb"<annotations[\s>]")
_HEAD_BYTES = 4096

# Of `<annotations>`, `<image>`, `<polygon>` and `<attribute>`.
_IMAGE_DEPTH, _SHAPE_DEPTH, _ATTRIBUTE_DEPTH = 1, 2, 3

# Of the text of one attribute; what is longer was not typed by a person.
_MOST_CHARACTERS = 100_000


@dataclass
class Element:
    """One shape of an image.

    Attributes:
        kind: its tag, such as `polygon`.
        values: the XML attributes of its tag.
        attributes: names and values of its `<attribute>` elements.
    """

    kind: str
    values: Mapping[str, str]
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class ListedImage:
    """One `<image>`.

    Attributes:
        name: its path in CVAT.
        listed_hw: (height, width) that the file gives it; `None` for what it does not say.
        subset: the split that it belongs to; empty where it says none.
        elements: its shapes.
    """

    name: str
    listed_hw: tuple[int | None, int | None]
    subset: str
    elements: list[Element] = field(default_factory=list)


class CvatDocument(NamedTuple):
    """What a file holds.

    Attributes:
        images: all of them.
        labels: those that the file lists at its beginning, in their order.
    """

    images: list[ListedImage]
    labels: list[str]


def looks_like_cvat(path: Path) -> bool:
    """Whether a file begins as CVAT's XML does."""
    try:
        with open_regular(path) as file:
            return _ROOT_TAG.search(file.read(_HEAD_BYTES)) is not None
    except OSError:
        return False


def read_document(path: Path) -> CvatDocument:
    """Read a file.

    Raises:
        DataError: it is no XML, not of this format, or an image has no name or something else for a size.
    """
    handler = _Handler(str(path))
    parse_xml(path, "CVAT", start=handler.start, end=handler.end, text=handler.text)
    return CvatDocument(handler.images, handler.labels)


class _Handler:
    """Collects images and listed labels while the parser walks through the file."""

    def __init__(self, source: str) -> None:
        self.images: list[ListedImage] = []
        self.labels: list[str] = []
        self._source = source
        self._path: list[str] = []
        self._attribute = self._label = ""
        self._text: list[str] = []

    def start(self, tag: str, values: dict[str, str]) -> None:
        depth = len(self._path)
        if not depth and tag != _ROOT:
            raise DataError(f"{self._source}: not a file of CVAT: expected <{_ROOT}> first, but found <{tag[:40]}>.")
        if depth == _IMAGE_DEPTH and tag == "track":
            raise DataError(
                f"{self._source}: holds tracks ({short(values.get('label'))}), as 'CVAT for video 1.1' does; export the task as "
                "'CVAT for images 1.1', which has every frame as a picture."
            )
        if depth == _IMAGE_DEPTH and tag == "image":
            self.images.append(self._image(values))
        elif depth == _SHAPE_DEPTH and self._is_in_image():
            self.images[-1].elements.append(Element(tag, values))
        elif depth == _ATTRIBUTE_DEPTH and tag == "attribute":
            self._attribute, self._text = values.get("name", ""), []
        self._path.append(tag)
        if self._is_in_label("name"):
            self._text = []

    def end(self, tag: str) -> None:
        if self._is_in_label("name"):
            self._label = "".join(self._text).strip()
        if self._path[1:2] == ["meta"] and self._path[-2:] == ["labels", "label"]:
            self.labels += filter(None, [self._label])
            self._label = ""
        if self._is_in_label("parent"):  # of a point of a skeleton
            self._label = ""
        self._path.pop()
        if len(self._path) == _ATTRIBUTE_DEPTH and tag == "attribute" and self._is_in_image():
            self.images[-1].elements[-1].attributes[self._attribute] = "".join(self._text)

    def text(self, text: str) -> None:
        is_attribute = len(self._path) == _ATTRIBUTE_DEPTH + 1 and self._path[-1] == "attribute"
        if is_attribute or self._is_in_label("name"):
            self._text.append(text)
            if sum(map(len, self._text)) > _MOST_CHARACTERS:
                what = f"the attribute {short(self._attribute)}" if is_attribute else "a label"
                raise DataError(f"{self._source}: {what} has more than {_MOST_CHARACTERS:,} characters.")

    def _is_in_label(self, tag: str) -> bool:
        return self._path[1:2] == ["meta"] and self._path[-3:] == ["labels", "label", tag]

    def _is_in_image(self) -> bool:
        return self._path[_IMAGE_DEPTH : _IMAGE_DEPTH + 1] == ["image"]

    def _image(self, values: Mapping[str, str]) -> ListedImage:
        name = values.get("name", "")
        where = f"{self._source}: image {short(name or values.get('id'))}"
        if not name:
            raise DataError(f"{where}: 'name' is missing.")
        return ListedImage(
            name, (_side(values, "height", where), _side(values, "width", where)), values.get("subset", "")
        )


def _side(values: Mapping[str, str], key: str, where: str) -> int | None:
    try:
        return listed_side(values.get(key))
    except ValueError:
        raise DataError(f"{where}: {key!r} is a number of pixels, but got {short(values[key])}.") from None
