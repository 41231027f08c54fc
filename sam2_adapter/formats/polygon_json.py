"""Our own polygon JSON: one file per image, all parts and holes of every object.

    {"format": "sam2-adapter polygons", "format_version": 1, "model": "sam2_hiera_s",
     "file_name": "street.jpg", "width": 640, "height": 480,
     "objects": [{"label": "car", "iou_score": 0.97, "object_id": "7",
                  "parts": [{"exterior": [[10, 20], [60, 20], [60, 50]], "holes": [[[30, 25], [30, 30], [35, 30]]]}]}]}

Coordinates are [x, y] pixels of the upright image along pixel edges: the polygon of the top left pixel is [0, 0], [1,
0], [1, 1], [0, 1]. A pixel belongs to a part when its centre is inside the exterior and in no hole. `attributes`,
`object_id` and `parent_id` stand only where given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.polygons import Polygon, Ring, polygons_to_mask
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json, write_json
from sam2_adapter.formats.base import Format, Writer, WritingTarget, Written
from sam2_adapter.formats.document import field, optional, short

DOCUMENT_FORMAT = "sam2-adapter polygons"
FORMAT_VERSION = 1


def image_to_polygons(image: AnnotatedImage, model_name: str, *, tolerance: float = 1.0) -> dict[str, Any]:
    """Make the polygon document of one image.

    Args:
        image: the image and its objects.
        model_name: what made the masks.
        tolerance: simplification in pixels, as in `mask_to_polygons`; 0 keeps the masks exactly.
    """
    height, width = image.original_hw
    return {
        "format": DOCUMENT_FORMAT,
        "format_version": FORMAT_VERSION,
        "model": model_name,
        "file_name": image.file_name,
        "width": width,
        "height": height,
        "objects": [_to_entry(annotation, tolerance) for annotation in image.annotations],
    }


def read_polygons(path: str | Path) -> AnnotatedImage:
    """Read a polygon JSON.

    Raises:
        DataError: the file is none, comes from a newer version, or an object is malformed; the text names it.
    """
    return polygons_to_image(read_json(path), source=str(path))


def polygons_to_image(document: Any, *, source: str = "polygon document") -> AnnotatedImage:
    """The image and objects of a polygon document; errors as in `read_polygons`."""
    if field(document, "format", str, source) != DOCUMENT_FORMAT:
        raise DataError(f"{source}: expected the format {DOCUMENT_FORMAT!r}, but got {short(document['format'])}.")
    version = field(document, "format_version", int, source)
    if version != FORMAT_VERSION:
        raise DataError(
            f"{source}: the format version is {version}, but this program reads {FORMAT_VERSION}; update sam2-adapter."
        )
    original_hw = field(document, "height", int, source), field(document, "width", int, source)
    if min(original_hw) < 1:
        raise DataError(f"{source}: height and width must be positive, but got {original_hw[0]} and {original_hw[1]}.")
    entries = field(document, "objects", list, source)
    annotations = [
        _to_annotation(entry, original_hw, f"{source}: object {number}")
        for number, entry in enumerate(entries, start=1)
    ]
    return AnnotatedImage(field(document, "file_name", str, source), original_hw, tuple(annotations))


def _to_entry(annotation: Annotation, tolerance: float) -> dict[str, Any]:
    return {
        "label": annotation.label,
        "iou_score": annotation.iou_score,
        **annotation.given,
        **annotation.found,
        "parts": [
            {"exterior": _coordinates(part.exterior), "holes": [_coordinates(hole) for hole in part.holes]}
            for part in annotation.to_polygons(tolerance)
        ],
    }


def _coordinates(ring: Ring) -> list[list[float]]:
    # Vertices lie on whole and half pixels; whole ones are written without a fraction.
    return [[int(value) if value == int(value) else value for value in point] for point in np.round(ring, 3).tolist()]


def _to_annotation(entry: Any, original_hw: tuple[int, int], where: str) -> Annotation:
    parts = field(entry, "parts", list, where)
    try:
        polygons = [
            Polygon(field(part, "exterior", list, where), tuple(field(part, "holes", list, where))) for part in parts
        ]
        return Annotation.from_mask(
            polygons_to_mask(polygons, original_hw),
            field(entry, "label", str, where),
            field(entry, "iou_score", float, where),
            attributes=optional(entry, "attributes", dict, where),
            object_id=optional(entry, "object_id", str, where),
            parent_id=optional(entry, "parent_id", str, where),
            stability_score=optional(entry, "stability_score", float, where),
            point_xy=optional(entry, "point", list, where),
        )
    except DataError as error:
        raise error if str(error).startswith(where) else DataError(f"{where}: {error}") from error


class PolygonWriter(Writer):
    """Writes `NAME.json` for every image."""

    def __init__(self, target: WritingTarget) -> None:
        self._target = target

    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Write the polygon document of one image."""
        path = self._target.claimed(f"{stem}.json")
        document = image_to_polygons(image, self._target.model_name)
        write_json(path, {**document, "made_by": dict(self._target.made_by)})
        return Written((path,))


FORMAT = Format(open_writer=PolygonWriter)
