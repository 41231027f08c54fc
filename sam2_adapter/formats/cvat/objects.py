"""Objects as XML elements of CVAT, and files of such elements as images with objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.formats.base import OutputType
from sam2_adapter.formats.cvat.document import ListedImage, read_document
from sam2_adapter.formats.cvat.shapes import OBJECT_ID, PARENT_ID, SCORE, mask_to_runs, read_element
from sam2_adapter.formats.document import Import
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.shapes import Shape, objects_of_shapes, readable_shapes
from sam2_adapter.formats.xml_files import as_xml

_DEFAULT_LABEL = "object"


def read_shapes(image: ListedImage, original_hw: tuple[int, int] | None) -> tuple[list[Shape], list[str]]:
    """The shapes of an image that can be read, and what is wrong with each of the others.

    Args:
        image: the image.
        original_hw: (height, width) of the upright image; `None` where areas are not asked for.
    """
    return readable_shapes(
        partial(read_element, element, original_hw, f"{image.name}: {element.kind} {number}")
        for number, element in enumerate(image.elements, start=1)
    )


def read_cvat(path: str | Path) -> Import:
    """Read the images and objects of a file.

    Raises:
        DataError: it is not of this format, or a shape is malformed; the text names it.
    """
    images: list[AnnotatedImage] = []
    notes: list[str] = []
    for listed in read_document(Path(path)).images:
        left_out = LeftOut()
        height, width = listed.listed_hw
        if height is None or width is None:
            raise DataError(
                f"{path}: image {listed.name!r}: 'height' and 'width' are missing, so that the size of the masks is not known."
            )
        shapes, problems = read_shapes(listed, (height, width))
        if problems:
            raise DataError(f"{path}: {problems[0]}")
        objects = objects_of_shapes(shapes, _DEFAULT_LABEL, left_out)
        images.append(AnnotatedImage(listed.name, (height, width), tuple(objects)))
        notes += left_out.notes_on(listed.name)
    return Import(tuple(images), tuple(notes))


def image_to_element(
    image: AnnotatedImage, number: int, *, output_type: OutputType = "mask", tolerance: float = 1.0
) -> tuple[str, tuple[str, ...]]:
    """The `<image>` element of an image.

    Args:
        image: the image and its objects.
        number: its `id`.
        output_type: `mask`, exact; or `polygon` for objects without holes, with a group for several parts.
        tolerance: simplification of polygons in pixels, as in `mask_to_polygons`.

    Returns:
        The element, and what it could not hold, one sentence each.
    """
    height, width = image.original_hw
    groups = count(1)
    lines, notes = [], []
    for name, annotation in image.named_annotations():
        outlines = _outlines(annotation, tolerance) if output_type == "polygon" else None
        if outlines is None:
            lines.append(_shape(annotation, "mask", _mask(annotation)))
            if output_type == "polygon":
                notes.append(f"{name} has holes, which polygons of CVAT cannot express: written as a mask.")
            continue
        group = {"group_id": str(next(groups))} if len(outlines) > 1 else {}
        lines += [_shape(annotation, "polygon", {"points": points, **group}) for points in outlines]
    head = _tag("image", {"id": str(number), "name": image.file_name, "width": str(width), "height": str(height)})
    return "\n".join([f"  <{head}>", *lines, "  </image>\n"]), tuple(notes)


def _shape(annotation: Annotation, kind: str, geometry: Mapping[str, str]) -> str:
    head = _tag(kind, {"label": annotation.label, "source": "auto", "occluded": "0", **geometry, "z_order": "0"})
    return f"    <{head}>{''.join(_attribute(name, value) for name, value in _facts(annotation).items())}</{kind}>"


def _facts(annotation: Annotation) -> dict[str, Any]:
    ids = {OBJECT_ID: annotation.object_id, PARENT_ID: annotation.parent_id}
    return {
        **(annotation.attributes or {}),
        SCORE: annotation.iou_score,
        **{name: value for name, value in ids.items() if value is not None},
    }


def _attribute(name: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"<{_tag('attribute', {'name': name})}>{escape(as_xml(text))}</attribute>"


def _mask(annotation: Annotation) -> dict[str, str]:
    x0, y0, x1, y1 = annotation.box_xyxy
    runs = ", ".join(map(str, mask_to_runs(annotation.mask_in_box)))
    return {"rle": runs, "left": str(x0), "top": str(y0), "width": str(x1 - x0), "height": str(y1 - y0)}


def _outlines(annotation: Annotation, tolerance: float) -> list[str] | None:
    """The points of all parts; `None` where one has holes."""
    parts = annotation.to_polygons(tolerance)
    if any(part.holes for part in parts):
        return None
    return [";".join(f"{x:.2f},{y:.2f}" for x, y in np.round(part.exterior, 2).tolist()) for part in parts]


def _tag(tag: str, values: Mapping[str, str]) -> str:
    return " ".join([tag, *(f"{name}={quoteattr(as_xml(value))}" for name, value in values.items())])
