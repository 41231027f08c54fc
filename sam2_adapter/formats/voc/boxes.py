"""The XML of Pascal VOC, one file for each picture: names and boxes of its objects.

    <annotation>
      <filename>a.jpg</filename>
      <object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object>
    </annotation>

Pixels are counted from 1, and a box covers its last pixel: a box over the top left pixel alone is 1, 1, 1, 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import DataError
from sam2_adapter.formats.document import short
from sam2_adapter.formats.xml_files import parse_xml, text_element

_ROOT = "annotation"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_MOST_CHARACTERS = 100_000

Box = tuple[float, float, float, float]


class NamedBox(NamedTuple):
    """An object of a file.

    Attributes:
        name: its class.
        box_xyxy: (x0, y0, x1, y1) in pixels of the original image, half-open.
    """

    name: str
    box_xyxy: Box


def read_boxes(path: Path) -> list[NamedBox]:
    """The objects of a file that have a name, in its order.

    Raises:
        DataError: it is no XML, not of this format, or a box is malformed.
    """
    handler = _Handler(str(path))
    parse_xml(path, "Pascal VOC", start=handler.start, end=handler.end, text=handler.text)
    return [_named_box(values, f"{path}: object {number}") for number, values in enumerate(handler.objects, start=1)]


def image_to_xml(image: AnnotatedImage) -> str:
    """The file of an image; its objects stand in the order of their numbers."""
    height, width = image.original_hw
    size = "".join(text_element(tag, value) for tag, value in (("width", width), ("height", height), ("depth", 3)))
    lines = [f"  {text_element('filename', image.file_name)}", f"  <size>{size}</size>", "  <segmented>1</segmented>"]
    for annotation in image.annotations:
        x0, y0, x1, y1 = annotation.box_xyxy
        sides = zip(_SIDES, (x0 + 1, y0 + 1, x1, y1), strict=True)
        box = "".join(text_element(tag, value) for tag, value in sides)
        flags = "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        lines.append(f"  <object>{text_element('name', annotation.label)}{flags}<bndbox>{box}</bndbox></object>")
    return "\n".join([f"<{_ROOT}>", *lines, f"</{_ROOT}>\n"])


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (_area(first) + _area(second) - shared) if shared else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _named_box(values: Mapping[str, str], where: str) -> NamedBox:
    numbers = [_number(values.get(side, "")) for side in _SIDES]
    if not values.get("name"):
        raise DataError(f"{where}: the object has no <name>.")
    if not all(map(math.isfinite, numbers)) or numbers[2] < numbers[0] or numbers[3] < numbers[1]:
        given = ", ".join(f"{side} {short(values.get(side))}" for side in _SIDES)
        raise DataError(f"{where}: a <bndbox> has xmin, ymin, xmax and ymax in pixels, in this order, but got {given}.")
    return NamedBox(values["name"], (numbers[0] - 1, numbers[1] - 1, numbers[2], numbers[3]))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


class _Handler:
    """Collects the names and sides of objects; parts of objects, which have boxes of their own, are passed over."""

    def __init__(self, source: str) -> None:
        self.objects: list[dict[str, str]] = []
        self._source = source
        self._path: list[str] = []
        self._text: list[str] = []

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        if not self._path and tag != _ROOT:
            raise DataError(
                f"{self._source}: not a file of Pascal VOC: expected <{_ROOT}> first, but found <{tag[:40]}>."
            )
        self._path.append(tag)
        self._text = []
        if self._path == [_ROOT, "object"]:
            self.objects.append({})

    def end(self, tag: str) -> None:
        if self._is_wanted(self._path):
            self.objects[-1][tag] = "".join(self._text).strip()
        self._path.pop()
        self._text = []

    def text(self, text: str) -> None:
        if self._is_wanted(self._path) and sum(map(len, self._text)) < _MOST_CHARACTERS:
            self._text.append(text)

    @staticmethod
    def _is_wanted(path: Sequence[str]) -> bool:
        below = path[2:] if list(path[:2]) == [_ROOT, "object"] else []
        return list(below) == ["name"] or (len(below) == 2 and below[0] == "bndbox" and below[1] in _SIDES)
