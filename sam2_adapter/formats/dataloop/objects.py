"""Dataloop item JSON: one file per image, as the platform exports and imports it.

- `binary`: the mask as a PNG in a data URL, RGBA in the size of the upright image; alpha is the mask, the colour is the
  label's. Exact.
- `segment`: one polygon whose vertices are the centres of pixels that belong to the object (inclusive), unlike the
  pixel edges in our code. An annotation holds one ring: parts become several annotations with the same object id, holes
  are filled and reported.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.colors import Color, color_of_label
from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.annotations.rle import Rle, mask_to_rle, placed_mask_to_rle, union_rle
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.files import read_json
from sam2_adapter.formats.base import OutputType
from sam2_adapter.formats.dataloop.rings import (
    fill_pixel_center_rings,
    fill_pixel_center_rings_in_box,
    mask_to_pixel_center_rings,
)
from sam2_adapter.formats.document import Export, Import, field, from_base64, optional, short
from sam2_adapter.images.mask_files import alpha_mask_png, read_alpha_mask

# The server fills these in; the platform's client reads no annotation without them.
_SERVER_FIELDS = {"id": None, "creator": None, "createdAt": None, "updatedBy": None, "updatedAt": None}

_DATA_URL_PREFIX = "data:image/png;base64,"


class _Found(NamedTuple):
    """An object under way: object id and label where it may have more parts, first annotation, parts so far."""

    key: tuple[str, str] | None
    entry: Any
    parts: list[Rle]


def image_to_dataloop_item(
    image: AnnotatedImage,
    model_name: str,
    *,
    output_type: OutputType = "mask",
    model_id: str | None = None,
    label_colors: Mapping[str, Color] | None = None,
) -> Export:
    """Make the item JSON of one image.

    Args:
        image: the image and its objects.
        model_name: what made the masks.
        output_type: `mask` for `binary` annotations, `polygon` for `segment` ones.
        model_id: the platform's id of the model, where it has one.
        label_colors: label to (red, green, blue); other labels take a fixed colour of their own.
    """
    height, width = image.original_hw
    remote = PurePosixPath("/", image.file_name)
    annotations: list[dict[str, Any]] = []
    notes: list[str] = []
    object_ids = _free_object_ids(image)
    for name, annotation in image.named_annotations():
        common = _common_fields(annotation, model_name, model_id)
        if output_type == "mask":
            color = (label_colors or {}).get(annotation.label) or color_of_label(annotation.label)
            annotations.append({**common, "type": "binary", "coordinates": mask_to_data_url(annotation.mask, color)})
            continue
        coordinates, num_filled = _segment_coordinates(annotation)
        if num_filled:
            notes.append(
                f"{name} has holes of {num_filled} pixels, which Dataloop polygons cannot express: they were filled. Choose masks to keep them."
            )
        if len(coordinates) > 1 and annotation.object_id is None:
            common["metadata"]["system"]["objectId"] = next(object_ids)
        annotations += [{**common, "type": "segment", "coordinates": [ring]} for ring in coordinates]
    document = {
        "filename": str(remote),
        "name": remote.name,
        "dir": str(remote.parent),
        "metadata": {"system": {"width": width, "height": height}},
        "annotations": annotations,
    }
    return Export(document, tuple(notes))


def read_dataloop_item(path: str | Path, original_hw: tuple[int, int] | None = None) -> Import:
    """Read the masks and polygons of an item JSON; arguments as in `dataloop_item_to_image`.

    Raises:
        DataError: the file is no item JSON, or an annotation is malformed; the text names it.
    """
    return dataloop_item_to_image(read_json(path), original_hw, source=str(path))


def dataloop_item_to_image(
    document: Any,
    original_hw: tuple[int, int] | None = None,
    *,
    source: str = "Dataloop item",
    numbers: Sequence[int] | None = None,
) -> Import:
    """The objects of an item JSON.

    Polygons with the same object id and label are parts of one object. At most one mask is decoded at a time. Annotations of other types (boxes, points,
    classifications) and empty masks are left out with a note.

    Args:
        document: the parsed item JSON.
        original_hw: (height, width) of the upright image; taken from the document when left out.
        source: where the document came from, for messages.
        numbers: what messages call the annotations; from 1 where the document has all of them.

    Raises:
        DataError: an annotation is malformed; the text names it.
    """
    original_hw = original_hw or _stored_hw(document, source)
    found: list[_Found] = []
    notes = []
    entries = field(document, "annotations", list, source)
    for number, entry in zip(numbers or range(1, len(entries) + 1), entries, strict=True):
        where = f"{source}: annotation {number}"
        kind = field(entry, "type", str, where)
        if kind not in ("binary", "segment"):
            notes.append(
                f"{where} was left out: its type is {kind!r}, neither a mask ('binary') nor a polygon ('segment')."
            )
            continue
        rle = _read_geometry(entry, kind, original_hw, where)
        if not rle.area:
            notes.append(f"{where} was left out: its mask is empty.")
            continue
        _collect(found, _part_key(entry, kind, where), entry, rle)
    annotations = [_to_annotation(item.entry, union_rle(item.parts), source) for item in found]
    return Import((AnnotatedImage(_name(document, source), original_hw, tuple(annotations)),), tuple(notes))


def mask_to_data_url(mask: BoolArray, color: Color) -> str:
    """The `coordinates` of a `binary` annotation.

    Args:
        mask: bool H x W in the size of the upright image.
        color: (red, green, blue) in 0..255; may be black.
    """
    return _DATA_URL_PREFIX + base64.b64encode(alpha_mask_png(mask, color)).decode("ascii")


def data_url_to_mask(
    coordinates: Any, *, allowed_hw: Collection[tuple[int, int]] = (), where: str = "annotation"
) -> BoolArray:
    """The mask of a `binary` annotation, from its alpha alone; bool H x W.

    Args:
        coordinates: the data URL, or an object with the data URL under `data`, as in older documents.
        allowed_hw: the (height, width) that the mask may have, any where there is none; held against its header before
            it is decoded.
        where: the place in the file, for messages.

    Raises:
        DataError: no data URL with a PNG that has transparency, or the mask has another size.
    """
    text = coordinates.get("data") if isinstance(coordinates, Mapping) else coordinates
    if not isinstance(text, str) or not text.startswith("data:image/png;base64,"):
        raise DataError(
            f"{where}: the coordinates of a mask are a text '{_DATA_URL_PREFIX}...', but got {short(coordinates)}."
        )
    try:
        content = from_base64(text)
        return read_alpha_mask(content, allowed_hw=allowed_hw, name="the mask")
    except (ValueError, ImageError) as error:
        raise DataError(f"{where}: {error}") from error


def _common_fields(annotation: Annotation, model_name: str, model_id: str | None) -> dict[str, Any]:
    model = {"name": model_name, **({"model_id": model_id} if model_id else {}), "confidence": annotation.iou_score}
    system: dict[str, Any] = {"automated": True, "attributes": dict(annotation.attributes or {}), "model": model}
    if annotation.object_id is not None:
        system["objectId"] = annotation.object_id
    if annotation.parent_id is not None:
        system["parentId"] = annotation.parent_id
    found = {"found": annotation.found} if annotation.found else {}
    metadata = {"user": {"model": model, **found}, "system": system}
    return {**_SERVER_FIELDS, "label": annotation.label, "attributes": None, "source": "sdk", "metadata": metadata}


def _free_object_ids(image: AnnotatedImage) -> Iterator[str]:
    """Object ids that no object of the image has, for the parts of objects without one."""
    taken = {annotation.object_id for annotation in image.annotations}
    return (str(number) for number in range(1, 2**31) if str(number) not in taken)


def _segment_coordinates(annotation: Annotation) -> tuple[list[list[dict[str, float]]], int]:
    x0, y0, _, _ = annotation.box_xyxy
    mask = annotation.mask_in_box
    rings = mask_to_pixel_center_rings(mask)
    filled = fill_pixel_center_rings(mask_to_pixel_center_rings(mask, tolerance=0), (mask.shape[0], mask.shape[1]))
    coordinates = [[{"x": float(x + x0), "y": float(y + y0)} for x, y in ring.tolist()] for ring in rings]
    return coordinates, int(np.count_nonzero(filled & ~mask))


def _read_geometry(entry: Any, kind: str, original_hw: tuple[int, int], where: str) -> Rle:
    coordinates = entry.get("coordinates", entry.get("data"))
    if kind == "segment":
        part, offset_xy = fill_pixel_center_rings_in_box(_rings(coordinates, where), original_hw)
        return placed_mask_to_rle(part, offset_xy, original_hw)
    return mask_to_rle(data_url_to_mask(coordinates, allowed_hw=[original_hw], where=where))


def _rings(coordinates: Any, where: str) -> list[npt.NDArray[np.float64]]:
    try:
        # Rings without a vertex, which cover nothing, are passed over.
        rings = [np.array([[point["x"], point["y"]] for point in ring], np.float64) for ring in coordinates if ring]
    except (TypeError, KeyError, ValueError, OverflowError):
        raise DataError(
            f"{where}: the coordinates of a polygon are [[{{'x': .., 'y': ..}}, ...]], but got {short(coordinates)}."
        ) from None
    if not rings or any(ring.ndim != 2 or not np.isfinite(ring).all() for ring in rings):
        raise DataError(
            f"{where}: a polygon needs at least one vertex, and its coordinates must be finite; got {short(coordinates)}."
        )
    return rings


def _system(entry: Any, where: str) -> Any:
    metadata = optional(entry, "metadata", dict, where) or {}
    return optional(metadata, "system", dict, where) or {}


def _part_key(entry: Any, kind: str, where: str) -> tuple[str, str] | None:
    object_id = optional(_system(entry, where), "objectId", str, where)
    return (object_id, field(entry, "label", str, where)) if kind == "segment" and object_id else None


def _collect(found: list[_Found], key: tuple[str, str] | None, entry: Any, rle: Rle) -> None:
    """Add an object, or one more part to the object of the same key."""
    for earlier in found:
        if key is not None and earlier.key == key:
            earlier.parts.append(rle)
            return
    found.append(_Found(key, entry, [rle]))


def _to_annotation(entry: Any, rle: Rle, source: str) -> Annotation:
    system = _system(entry, source)
    user = optional(optional(entry, "metadata", dict, source) or {}, "user", dict, source) or {}
    confidence = optional(optional(user, "model", dict, source) or {}, "confidence", float, source)
    attributes = optional(system, "attributes", dict, source)
    found = optional(user, "found", dict, source) or {}
    try:
        return Annotation.from_rle(
            rle,
            field(entry, "label", str, source),
            1.0 if confidence is None else confidence,
            attributes=attributes or None,
            object_id=optional(system, "objectId", str, source),
            parent_id=optional(system, "parentId", str, source),
            stability_score=optional(found, "stability_score", float, source),
            point_xy=optional(found, "point", list, source),
        )
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def _name(document: Any, source: str) -> str:
    name: str = optional(document, "name", str, source) or PurePosixPath(field(document, "filename", str, source)).name
    return name


def _stored_hw(document: Any, source: str) -> tuple[int, int]:
    system = field(field(document, "metadata", dict, source), "system", dict, source)
    return field(system, "height", int, source), field(system, "width", int, source)
