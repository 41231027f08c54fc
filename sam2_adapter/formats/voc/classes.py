"""Classes of Pascal VOC: their numbers, their colours, and their names in `labelmap.txt` or `class_names.txt`.

The palette of VOC gives every number from 0 to 255 a colour of its own; pictures of classes are written with the numbers, or by some tools
with the colours alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter.annotations.colors import Color
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_text
from sam2_adapter.formats.dataset_reader import child
from sam2_adapter.formats.document import short
from sam2_adapter.formats.label_maps.reading import LabelMap, Numbers, read_stored, to_label_map
from sam2_adapter.images.mask_files import has_lossy_pixels
from sam2_adapter.images.read import decoded

BACKGROUND = "background"
VOID = 255
LABEL_MAP = "labelmap.txt"
_CLASS_NAMES = "class_names.txt"

# Of the data set itself, from http://host.robots.ox.ac.uk/pascal/VOC/voc2012/segexamples/index.html, in the order of their numbers.
_NAMES = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]

_COMMENT = "#"
# `class_names.txt` of labelme begins with these two, the numbers -1 and 0.
_NO_CLASSES = ("__ignore__", "_background_")


class Classes(NamedTuple):
    """Names of classes.

    Attributes:
        by_number: number to name, without the background.
        by_color: colour, as one number 0xRRGGBB, to name.
    """

    by_number: Mapping[int, str]
    by_color: Mapping[int, str]


class ClassMap(NamedTuple):
    """A picture of classes.

    Attributes:
        numbers: uint32 H x W: numbers of classes, or colours as 0xRRGGBB.
        are_colors: which of the two.
    """

    numbers: Numbers
    are_colors: bool

    def names(self, classes: Classes) -> Mapping[int, str]:
        """Value of a pixel to the name of its class."""
        return classes.by_color if self.are_colors else classes.by_number


@cache
def palette() -> tuple[Color, ...]:
    """The colours of the 256 numbers: the bits of a number, three by three, are the highest bits of red, green and blue."""
    numbers = np.arange(256)
    rgb = np.zeros((256, 3), np.int64)
    for place in range(8):
        for channel in range(3):
            rgb[:, channel] |= ((numbers >> (3 * place + channel)) & 1) << (7 - place)
    return tuple((red, green, blue) for red, green, blue in rgb.tolist())


def read_classes(root: Path) -> Classes:
    """The names of the classes of a data set: those of a file beside the folders, else the twenty of Pascal VOC.

    Raises:
        DataError: a file of names cannot be read, or has another form.
    """
    if (path := child(root, LABEL_MAP)) is not None:
        return _labelmap(path)
    if (path := child(root, _CLASS_NAMES)) is not None:
        lines = [line.strip() for line in read_text(path).splitlines()]
        return _with_colors(line for line in lines if line and line not in _NO_CLASSES)
    return _with_colors(_NAMES)


def listed_labels(root: Path) -> list[str]:
    """The names that a file beside the folders gives, in the order of their numbers; none where there is no such file.

    Raises:
        DataError: as in `read_classes`.
    """
    has_file = any(child(root, name) is not None for name in (LABEL_MAP, _CLASS_NAMES))
    return list(dict.fromkeys(read_classes(root).by_number.values())) if has_file else []


def labelmap_lines(names: Iterable[str]) -> str:
    """The content of `labelmap.txt`: a line for every number from 0, the background first; names as `line_name` gives them."""
    rows = zip((BACKGROUND, *map(line_name, names)), palette(), strict=False)
    return "# label:color_rgb:parts:actions\n" + "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in rows)


def line_name(label: str) -> str:
    """A label as `labelmap.txt` can hold it: on one line, without colons, neither a comment nor the background."""
    name = " ".join(label.split()).replace(":", "_") or "_"
    return f"_{name}" if name.startswith(_COMMENT) or name.casefold() == BACKGROUND else name


def read_class_map(path: Path, allowed_hw: tuple[int, int]) -> ClassMap:
    """Read a picture of classes of this (height, width).

    Raises:
        ImageError: it is missing, broken or of another size.
        DataError: its format changes values, so that they are no numbers.
    """
    with decoded(path, allowed_hw=(allowed_hw,)) as image:
        is_lossy = has_lossy_pixels(image)
        found = _values(image)
    if is_lossy:
        raise DataError(f"{path}: this kind of file changes colours, so that classes cannot be told apart; give a PNG.")
    return found


def read_object_map(path: Path) -> LabelMap:
    """Read a picture of objects, with the numbers of VOC's palette where it holds the colours of that palette.

    Raises:
        ImageError: as in `read_label_map`.
        DataError: as in `read_label_map`.
    """
    stored = read_stored(path)
    if stored.rgba is not None and not stored.is_lossy:
        found = _packed_picture(stored.rgba)
        number_of = {_packed(color): number for number, color in enumerate(palette())}
        colors, inverse = np.unique(found, return_inverse=True)
        if all(color in number_of for color in colors.tolist()):
            numbers = np.array([number_of[color] for color in colors.tolist()], np.uint32)
            return LabelMap(numbers[inverse.reshape(found.shape)])
    return to_label_map(stored, path)


def _values(image: Image.Image) -> ClassMap:
    """The values of a picture as they are stored, or its colours."""
    if image.mode in ("1", "L", "P", "I") or image.mode.startswith("I;16"):
        return ClassMap(np.array(image).astype(np.uint32), are_colors=False)
    return ClassMap(_packed_picture(np.array(image.convert("RGB"))), are_colors=True)


def _packed_picture(pixels: npt.NDArray[np.uint8]) -> Numbers:
    """The colours H x W as 0xRRGGBB of pixels H x W x 3 or more."""
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    colors: Numbers = (red << np.uint32(16)) | (green << np.uint32(8)) | blue
    return colors


def _packed(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _labelmap(path: Path) -> Classes:
    """The classes of `labelmap.txt`, whose lines are `name:red,green,blue:parts:actions`; a line's position is its number."""
    by_number: dict[int, str] = {}
    by_color: dict[int, str] = {}
    lines = [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    rows = [(number, line) for number, line in lines if line and not line.startswith(_COMMENT)]
    for index, (number, line) in enumerate(rows):
        name, _, rest = line.partition(":")
        color = _color(rest.partition(":")[0], f"{path}: line {number}", line)
        if name and name.casefold() != BACKGROUND:
            by_number[index] = name
            by_color.setdefault(color, name)
    return Classes(by_number, by_color)


def _color(text: str, where: str, line: str) -> int:
    """A colour `red,green,blue` as one number."""
    values = [int(word) if word.isdecimal() and len(word) <= 3 else -1 for word in map(str.strip, text.split(","))]
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise DataError(f"{where}: expected a line such as 'cat:64,0,0::', but got {short(line)}.")
    return _packed((values[0], values[1], values[2]))


def _with_colors(names: Iterable[str]) -> Classes:
    """Classes with the numbers from 1 and the colours of the palette."""
    by_number = dict(enumerate(names, start=1))
    colors = palette()
    return Classes(by_number, {_packed(colors[n]): name for n, name in by_number.items() if n < len(colors)})
