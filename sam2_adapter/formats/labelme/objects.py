"""Label files of labelme: one JSON file per picture.

    {"version": "5.5.0", "flags": {}, "imagePath": "a.jpg", "imageData": null, "imageHeight": 480, "imageWidth": 640,
     "shapes": [{"label": "cat", "shape_type": "polygon", "points": [[10, 20], ...], "group_id": null, "flags": {}}]}

Shapes of one group and label are parts of one object. The score, the attributes and the ids of an object are further keys, which labelme keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.polygons import Ring
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json
from sam2_adapter.formats.base import OutputType
from sam2_adapter.formats.document import Export, Import, field, from_base64, listed_side, optional, short
from sam2_adapter.formats.labelme.shapes import mask_entry, read_shape
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.shapes import Shape, objects_of_shapes, readable_shapes
from sam2_adapter.images.mask_files import png

# The layout of the files; labelme warns where the first number is another than its own.
_VERSION = "5.5.0"

_DEFAULT_LABEL = "object"


@dataclass(frozen=True)
class LabelFile:
    """A label file that has been read, its shapes not yet.

    Attributes:
        image_name: what it calls its picture, perhaps a path of another machine; empty where it says nothing.
        listed_hw: (height, width) of the picture as it says; `None` for what it does not say.
        entries: the shapes.
        has_picture: whether the picture is embedded.
    """

    image_name: str
    listed_hw: tuple[int | None, int | None]
    entries: list[Any]
    has_picture: bool

    def read_shapes(self, original_hw: tuple[int, int] | None, source: str) -> tuple[list[Shape], list[str]]:
        """The shapes that can be read, and what is wrong with each of the others.

        Args:
            original_hw: (height, width) of the upright image; `None` where areas are not asked for.
            source: the file, for messages.
        """
        return readable_shapes(
            partial(read_shape, entry, original_hw, f"{source}: shape {number}")
            for number, entry in enumerate(self.entries, start=1)
        )


def read_label_file(path: Path) -> LabelFile:
    """Read a label file.

    Raises:
        DataError: it is none.
    """
    return parse_label_file(read_json(path), str(path))


def parse_label_file(document: Any, source: str) -> LabelFile:
    """A label file from its parsed document; errors as in `read_label_file`."""
    if not isinstance(document, Mapping) or "shapes" not in document:
        raise DataError(
            f"{source}: not a label file of labelme: expected a list 'shapes' in it, but got {short(document)}."
        )
    entries = field(document, "shapes", list, source)
    listed_hw = _side(document, "imageHeight", source), _side(document, "imageWidth", source)
    picture = optional(document, "imageData", str, source)
    return LabelFile(optional(document, "imagePath", str, source) or "", listed_hw, entries, bool(picture))


def embedded_picture(path: Path) -> bytes:
    """The file content of the picture that a label file holds.

    Raises:
        DataError: it holds none, or no base64.
    """
    text = field(read_json(path), "imageData", str, str(path))
    try:
        return from_base64(text)
    except ValueError as error:
        raise DataError(f"{path}: 'imageData' is a picture in base64, but got {short(text)}: {error}.") from error


def read_labelme(path: str | Path) -> Import:
    """Read the objects of a label file that says the size of its picture.

    Raises:
        DataError: it is none, or a shape is malformed; the text names it.
    """
    source = str(path)
    found = read_label_file(Path(path))
    height, width = found.listed_hw
    if height is None or width is None:
        raise DataError(
            f"{source}: 'imageHeight' and 'imageWidth' are missing, so that the size of the masks is not known."
        )
    left_out = LeftOut()
    shapes, problems = found.read_shapes((height, width), source)
    if problems:
        raise DataError(problems[0])
    objects = objects_of_shapes(shapes, _DEFAULT_LABEL, left_out)
    name = found.image_name.replace("\\", "/") or PurePosixPath(source).stem
    return Import((AnnotatedImage(name, (height, width), tuple(objects)),), left_out.notes_on(name))


def image_to_labelme(image: AnnotatedImage, *, output_type: OutputType = "mask", tolerance: float = 1.0) -> Export:
    """Make the label file of one image, to lie beside the picture.

    Args:
        image: the image and its objects.
        output_type: `mask`, exact; or `polygon` for objects without holes, with a group for several parts.
        tolerance: simplification of polygons in pixels, as in `mask_to_polygons`.
    """
    height, width = image.original_hw
    shapes: list[dict[str, Any]] = []
    notes: list[str] = []
    groups = count(1)
    for name, annotation in image.named_annotations():
        rings = _rings(annotation, tolerance) if output_type == "polygon" else None
        if rings is None:
            shapes.append(_shape(annotation, None, _mask(annotation)))
            if output_type == "polygon":
                notes.append(f"{name} has holes, which polygons of labelme cannot express: written as a mask.")
            continue
        group = next(groups) if len(rings) > 1 else None
        shapes += [_shape(annotation, group, {"points": ring, "shape_type": "polygon", "mask": None}) for ring in rings]
    document: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": PurePosixPath(image.file_name).name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    return Export(document, tuple(notes))


def _side(document: Mapping[str, Any], key: str, source: str) -> int | None:
    try:
        return listed_side(document.get(key))
    except ValueError:
        raise DataError(f"{source}: {key!r} is a number of pixels, but got {short(document[key])}.") from None


def _rings(annotation: Annotation, tolerance: float) -> list[list[list[float]]] | None:
    """The outlines of all parts; `None` where one has holes."""
    parts = annotation.to_polygons(tolerance)
    return None if any(part.holes for part in parts) else [_coordinates(part.exterior) for part in parts]


def _coordinates(ring: Ring) -> list[list[float]]:
    coordinates: list[list[float]] = np.round(ring, 3).tolist()
    return coordinates


def _mask(annotation: Annotation) -> dict[str, Any]:
    x0, y0, _, _ = annotation.box_xyxy
    mask = annotation.mask_in_box
    return mask_entry(mask, x0, y0, png(Image.fromarray(mask.astype(np.uint8) * np.uint8(255))))


def _shape(annotation: Annotation, group: int | None, geometry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": annotation.label,
        **geometry,
        "group_id": group,
        "description": "",
        "flags": {},
        "iou_score": annotation.iou_score,
        **annotation.given,
    }
