"""Dataloop exports: `items/` with the images and `json/` with one item document each, or `<subset>/items` and `<subset>/json`.

Document and image are joined by the document's own `filename` or `id`: file names in `json/` have lost the image's suffix, so that `a.png` and
`a.jpg` share one. Coordinates are in the upright frame of the image. Folders such as `instance/` are not looked at: their pictures hold
class numbers and draw polygons as outlines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import Ring, look_like_fractions
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json
from sam2_adapter.formats.dataloop.objects import dataloop_item_to_image
from sam2_adapter.formats.dataset_reader import (
    ReadingOptions,
    Samples,
    add_sample,
    child,
    images_below,
    split_folders,
    usable_hw,
)
from sam2_adapter.formats.image_names import at_that_path, find_listed
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample

_MASK_TYPES = ("binary", "segment")

Document = dict[str, Any]


def is_dataloop_export(root: Path) -> bool:
    """Whether a folder has this layout."""
    return root.is_dir() and bool(split_folders(root, "items"))


def read_dataloop_export(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all images that have a document, by subset; masks (`binary`) and polygons (`segment`) are objects."""
    return {split: _read_subset(folder, options, left_out) for split, folder in split_folders(root, "items").items()}


def _read_subset(folder: Path, options: ReadingOptions, left_out: LeftOut) -> list[Sample]:
    images = images_below(child(folder, "items") or folder / "items")
    documents, ambiguous = _join(images, child(folder, "json") or folder / "json", left_out)
    samples: list[Sample] = []
    for name, path in images.items():
        if name in ambiguous:
            left_out.add_image(Reason.DUPLICATE_NAME, f"{name}: several documents that differ")
        elif name not in documents:
            left_out.add_image(Reason.NO_ANNOTATION, name)
        else:
            _read_item(samples, name, path, documents[name], options, left_out)
    return samples


def _join(images: Mapping[str, Path], json_folder: Path, left_out: LeftOut) -> tuple[dict[str, Document], set[str]]:
    """The document of each image that has one, and the images with several documents that do not agree."""
    joined: dict[str, Document] = {}
    ambiguous: set[str] = set()
    documents = list(_documents(json_folder, left_out))
    listed = [filename for _, document in documents if isinstance(filename := document.get("filename"), str)]
    meant = dict(zip(listed, find_listed(listed, images, at_that_path), strict=True))
    for where, document in documents:
        name = _image_of(document, where, images, meant)
        if name is None:
            left_out.add_image(Reason.NO_IMAGE, where)
        elif name in joined and joined[name].get("annotations") != document.get("annotations"):
            ambiguous.add(name)
        else:
            joined[name] = document
    return joined, ambiguous


def _documents(json_folder: Path, left_out: LeftOut) -> Iterator[tuple[str, Document]]:
    """Path below the folder and content of every document; a file holds one document or a list of them."""
    for path in sorted(path for path in json_folder.rglob("*") if path.suffix.lower() == ".json"):
        where = path.relative_to(json_folder).as_posix()
        try:
            content = read_json(path)
        except DataError as error:
            left_out.add_image(Reason.BROKEN_FILE, str(error))
            continue
        for document in content if isinstance(content, list) else [content]:
            if isinstance(document, dict):
                yield where, document
            else:
                left_out.add_image(Reason.BROKEN_FILE, where)


def _image_of(document: Document, where: str, images: Mapping[str, Path], meant: Mapping[str, list[str]]) -> str | None:
    """The image that a document belongs to; what the document says is only looked up among the images that are there."""
    filename = document.get("filename")
    if isinstance(filename, str):
        return _only(meant[filename]) or _named_by_id(document, images)
    if document.get("id") is not None:
        return _named_by_id(document, images)
    stem = PurePosixPath(where).with_suffix("")
    return _only([name for name in images if PurePosixPath(name).with_suffix("") == stem])


def _named_by_id(document: Document, images: Mapping[str, Path]) -> str | None:
    return _only([name for name in images if PurePosixPath(name).stem == document.get("id")])


def _only(names: list[str]) -> str | None:
    return names[0] if len(names) == 1 else None


def _read_item(
    samples: list[Sample], name: str, path: Path, document: Document, options: ReadingOptions, left_out: LeftOut
) -> None:
    entries = document.get("annotations")
    if not isinstance(entries, list):
        left_out.add_image(Reason.BROKEN_FILE if entries else Reason.NO_ANNOTATION, name)
        return
    original_hw = usable_hw(path, name, options, left_out)
    if original_hw is None:
        return
    if not entries:
        left_out.add_image(Reason.NO_ANNOTATION, name)
        return
    usable = {n: entry for n, entry in enumerate(entries, start=1) if _is_usable(entry, name, options, left_out)}
    for entry in usable.values():
        if not entry.get("label"):
            text = f"without a label, labelled {options.default_label!r}"
            left_out.remark("annotation", text, f"{name}: {entry['type']}")
    labelled = {number: with_text_label(entry, options.default_label) for number, entry in usable.items()}
    number_of = {id(entry): number for number, entry in labelled.items()}
    objects = (
        found
        for group in by_object(list(labelled.values()))
        for found in _read_group(group, [number_of[id(entry)] for entry in group], name, original_hw, left_out)
    )
    add_sample(samples, name, path, original_hw, objects, options, left_out)


def _is_usable(entry: Any, name: str, options: ReadingOptions, left_out: LeftOut) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        left_out.add_object(Reason.MALFORMED, f"{name}: {str(entry)[:60]}")
        return False
    where = f"{name}: {entry['type']} {str(entry.get('label'))[:40]!r}"
    if entry["type"] not in _MASK_TYPES:
        left_out.add_object(Reason.UNSUPPORTED_TYPE, where)
        return False
    if is_model_annotation(entry) and not options.include_model_annotations:
        left_out.add_object(Reason.MODEL_ANNOTATION, where)
        return False
    return True


def is_model_annotation(entry: Mapping[str, Any]) -> bool:
    """Whether a model made an annotation: the platform notes it under `metadata.system.model` or `metadata.user.model`."""
    metadata = entry.get("metadata")
    owners = [metadata.get(owner) for owner in ("system", "user")] if isinstance(metadata, dict) else []
    return any(bool(owner.get("model")) for owner in owners if isinstance(owner, dict))


def by_object(entries: list[Document]) -> list[list[Document]]:
    """Polygons with one object id and label are parts of one object; every other annotation is an object of its own."""
    groups: dict[object, list[Document]] = {}
    for index, entry in enumerate(entries):
        metadata = entry.get("metadata")
        system = metadata.get("system") if isinstance(metadata, dict) else None
        object_id = system.get("objectId") if isinstance(system, dict) else None
        is_part = entry["type"] == "segment" and isinstance(object_id, str) and object_id
        groups.setdefault((object_id, str(entry.get("label"))) if is_part else index, []).append(entry)
    return list(groups.values())


def _read_group(
    entries: list[Document], numbers: Sequence[int], name: str, original_hw: tuple[int, int], left_out: LeftOut
) -> tuple[Annotation, ...]:
    document = {"name": name, "annotations": entries}
    try:
        found = dataloop_item_to_image(document, original_hw, source=name, numbers=numbers).images[0].annotations
    except DataError as error:
        for _ in entries:
            left_out.add_object(Reason.MALFORMED, str(error))
        return ()
    rings = _rings(entries)
    if rings and look_like_fractions(rings):
        left_out.add_object(Reason.FRACTIONS, f"{name}: {entries[0].get('label')!r}")
        return ()
    if not found:
        is_outside = all(_lies_outside(entry, original_hw) for entry in entries)
        left_out.add_object(Reason.OUTSIDE if is_outside else Reason.EMPTY, f"{name}: {entries[0].get('label')!r}")
    return found


def _rings(entries: list[Document]) -> list[Ring]:
    """The rings of polygons that have been read."""
    polygons = [entry for entry in entries if entry["type"] == "segment"]
    return [
        np.array([(point["x"], point["y"]) for point in ring], np.float64)
        for entry in polygons
        for ring in entry["coordinates"]
    ]


def with_text_label(entry: Document, default_label: str = "object") -> Document:
    """An annotation with a label, the default one where it has none."""
    return entry if entry.get("label") else {**entry, "label": default_label}


def _lies_outside(entry: Document, original_hw: tuple[int, int]) -> bool:
    if entry["type"] != "segment":
        return False
    height, width = original_hw
    x, y = np.concatenate(_rings([entry])).T
    return bool(x.min() >= width or y.min() >= height or x.max() < 0 or y.max() < 0)
