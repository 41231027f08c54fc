"""COCO JSON: all images of a folder in one file.

Masks are RLE, exactly, or polygons along pixel edges. COCO's polygons know no holes: an object with holes stays RLE,
which the format allows for every single object. `score`, `attributes`, `object_id` and `parent_id` are extra fields,
which other readers skip; objects that were found without a prompt also have `stability_score` and `point_coords`, as in SA-1B.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.rle import Rle, coco_rings_to_rle, rle_iou
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json, write_json
from sam2_adapter.formats.coco.segmentation import from_text, read_segmentation
from sam2_adapter.formats.document import Export, Import, field, optional, short

Segmentation = Literal["rle", "polygon"]

# COCO's tools fill polygons to a fifth of a pixel, which makes simplified outlines of small objects less exact; the
# exact outline stays exact.
_TOLERANCES = (1.0, 0.5, 0.0)
_LEAST_IOU = 0.985


def write_coco(
    path: str | Path,
    images: Iterable[AnnotatedImage],
    model_name: str,
    *,
    segmentation: Segmentation = "rle",
    append: bool = False,
    labels: Sequence[str] = (),
) -> tuple[str, ...]:
    """Write a COCO file.

    Args:
        path: the file.
        images: the images and their objects.
        model_name: what made the masks.
        segmentation: `rle`, or `polygon` for objects without holes.
        append: keep what the file holds already; an image of the same name is replaced.
        labels: categories in this order, whether objects have them or not; other labels follow as they are first used.

    Returns:
        What the format could not hold, one sentence each.

    Raises:
        DataError: `append` to a file that is no COCO file.
        ExportError: the file cannot be written.
    """
    existing = read_json(path) if append and Path(path).exists() else None
    export = images_to_coco(
        images, model_name, segmentation=segmentation, existing=existing, source=str(path), labels=labels
    )
    write_json(path, export.document)
    return export.notes


def images_to_coco(
    images: Iterable[AnnotatedImage],
    model_name: str,
    *,
    segmentation: Segmentation = "rle",
    existing: Mapping[str, Any] | None = None,
    source: str = "COCO document",
    labels: Sequence[str] = (),
) -> Export:
    """Make a COCO document; arguments as in `write_coco`.

    Args:
        images: the images and their objects.
        model_name: what made the masks.
        segmentation: `rle` or `polygon`.
        existing: a COCO document that the images are added to; it is not changed.
        source: where `existing` came from, for messages.
        labels: as in `write_coco`.
    """
    images = list(images)
    document = _without_images({image.file_name for image in images}, {} if existing is None else existing, source)
    document["info"] = {**document["info"], "description": "Masks made with sam2-adapter", "model": model_name}
    used = (annotation.label for image in images for annotation in image.annotations)
    category_ids = add_categories(document["categories"], labels, source)
    category_ids |= add_categories(document["categories"], used, source)
    image_id = _next_id(document["images"], source)
    annotation_id = _next_id(document["annotations"], source)
    notes: list[str] = []
    for image in images:
        height, width = image.original_hw
        document["images"].append({"id": image_id, "file_name": image.file_name, "width": width, "height": height})
        for name, annotation in image.named_annotations():
            encoded, note = _segmentation(annotation, segmentation)
            notes += [f"{name} {note}"] if note else []
            document["annotations"].append(
                {
                    "id": annotation_id,
                    "image_id": image_id,
                    "category_id": category_ids[annotation.label],
                    "segmentation": encoded,
                    **_properties(annotation),
                }
            )
            annotation_id += 1
        image_id += 1
    return Export(document, tuple(notes))


def read_coco(path: str | Path) -> Import:
    """Read a COCO file with RLE or polygons.

    Raises:
        DataError: the file is no COCO file, or an entry is malformed; the text names it.
    """
    return coco_to_images(read_json(path), source=str(path))


def coco_to_images(document: Any, *, source: str = "COCO document") -> Import:
    """The images and objects of a COCO document.

    Crowd regions, which are no single objects, and empty masks are left out with a note.

    Raises:
        DataError: an entry is malformed; the text names it.
    """
    labels = {
        field(c, "id", int, f"{source}: category"): field(c, "name", str, f"{source}: category")
        for c in _table(document, "categories", source)
    }
    images = {field(image, "id", int, f"{source}: image"): image for image in _table(document, "images", source)}
    found: dict[int, list[Annotation]] = {image_id: [] for image_id in images}
    notes = []
    for entry in _table(document, "annotations", source):
        where = f"{source}: annotation {short(entry.get('id') if isinstance(entry, Mapping) else entry)}"
        image_id = field(entry, "image_id", int, where)
        if image_id not in images:
            raise DataError(f"{where}: there is no image with the id {image_id}.")
        reason, rle = _usable_rle(entry, _original_hw(images[image_id], source), where)
        if reason:
            notes.append(f"{where} was left out: {reason}.")
            continue
        found[image_id].append(_to_annotation(entry, rle, labels, where))
    return Import(
        tuple(
            AnnotatedImage(
                field(image, "file_name", str, f"{source}: image"), _original_hw(image, source), tuple(found[image_id])
            )
            for image_id, image in images.items()
        ),
        tuple(notes),
    )


def _without_images(names: set[str], existing: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A copy of a document, complete in its tables, without the images of these names and their objects."""
    if not isinstance(existing, Mapping):
        raise DataError(f"{source}: expected a COCO object, but got {short(existing)}.")
    tables = {
        name: list(_table(existing, name, source)) if name in existing else []
        for name in ("images", "annotations", "categories")
    }
    dropped = {image.get("id") for image in tables["images"] if image.get("file_name") in names}
    tables["images"] = [image for image in tables["images"] if image.get("id") not in dropped]
    tables["annotations"] = [entry for entry in tables["annotations"] if entry.get("image_id") not in dropped]
    return {**existing, "info": dict(optional(existing, "info", dict, source) or {}), **tables}


def _table(document: Any, name: str, source: str) -> list[Any]:
    rows: list[Any] = field(document, name, list, source)
    for row in rows:
        if not isinstance(row, Mapping):
            raise DataError(f"{source}: {name!r} is a list of objects, but one of them is {short(row)}.")
    return rows


def add_categories(categories: list[Any], labels: Iterable[str], source: str) -> dict[str, int]:
    """Add those of the labels that are new to the rows of a document; returns the id of each label.

    Raises:
        DataError: a row is malformed, or the labels are no texts; the text begins with `source`.
    """
    if isinstance(labels, str):
        raise DataError(f"{source}: labels is a list of texts, but got {short(labels)}.")
    ids = {field(c, "name", str, f"{source}: category"): field(c, "id", int, f"{source}: category") for c in categories}
    next_id = _next_id(categories, source)
    for label in labels:
        if not isinstance(label, str):
            raise DataError(f"{source}: labels is a list of texts, but one of them is {short(label)}.")
        if label not in ids:
            ids[label] = next_id
            categories.append({"id": next_id, "name": label, "supercategory": ""})
            next_id += 1
    return ids


def _next_id(rows: Sequence[Any], source: str) -> int:
    return max((field(row, "id", int, source) for row in rows), default=0) + 1


def _properties(annotation: Annotation) -> dict[str, Any]:
    x0, y0, x1, y1 = annotation.box_xyxy
    optional_fields = {
        **annotation.given,
        "stability_score": annotation.stability_score,
        "point_coords": None if annotation.point_xy is None else [list(annotation.point_xy)],
    }
    return {
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": annotation.area,
        "iscrowd": 0,
        "score": annotation.iou_score,
        **{key: value for key, value in optional_fields.items() if value is not None},
    }


def _segmentation(annotation: Annotation, wanted: Segmentation) -> tuple[Any, str]:
    rle = {"size": list(annotation.original_hw), "counts": annotation.rle.counts}
    if wanted == "rle":
        return rle, ""
    for tolerance in _TOLERANCES:
        parts = annotation.to_polygons(tolerance)
        if any(part.holes for part in parts):
            return rle, "has holes, which COCO polygons cannot express: written as RLE."
        rings = [np.round(part.exterior, 2).ravel().tolist() for part in parts]
        if rle_iou(annotation.rle, coco_rings_to_rle(rings, annotation.original_hw)) >= _LEAST_IOU:
            break
    return rings, ""


def _original_hw(image: Any, source: str) -> tuple[int, int]:
    where = f"{source}: image {short(image.get('file_name'))}"
    height, width = field(image, "height", int, where), field(image, "width", int, where)
    if height < 1 or width < 1:
        raise DataError(f"{where}: height and width must be positive, but got {height} and {width}.")
    return height, width


def _usable_rle(entry: Any, original_hw: tuple[int, int], where: str) -> tuple[str, Rle]:
    """Why an object is left out, or an empty text, and its mask."""
    try:
        rle = read_segmentation(from_text(entry.get("segmentation")), original_hw).rle
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    if entry.get("iscrowd"):
        return "it is a crowd region", rle
    return ("" if rle.area else "its mask is empty"), rle


def _to_annotation(entry: Any, rle: Rle, labels: Mapping[int, str], where: str) -> Annotation:
    category_id = field(entry, "category_id", int, where)
    if category_id not in labels:
        raise DataError(f"{where}: there is no category with the id {category_id}.")
    score = optional(entry, "score", float, where)
    try:
        return Annotation(
            labels[category_id],
            rle,
            1.0 if score is None else score,
            optional(entry, "attributes", dict, where),
            optional(entry, "object_id", str, where),
            optional(entry, "parent_id", str, where),
            stability_score=optional(entry, "stability_score", float, where),
            point_xy=_point(entry),
        )
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _point(entry: Any) -> Any:
    """The point that an object was found with; other programs write other things there, which do not count."""
    points = entry.get("point_coords")
    is_one = isinstance(points, list) and len(points) == 1 and isinstance(points[0], list) and len(points[0]) == 2
    return tuple(points[0]) if is_one else None
