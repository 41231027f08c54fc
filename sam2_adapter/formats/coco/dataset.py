"""COCO data sets: annotation files as `layout` finds them, and the images that they list.

An image is found by its name among those that are there; `file_name` is never opened. Only an object that is malformed is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import look_like_fractions
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json
from sam2_adapter.formats.coco.annotation_files import AnnotationFile, find_parts
from sam2_adapter.formats.coco.frames import Frame, frame_of
from sam2_adapter.formats.coco.segmentation import read_rings, read_segmentation
from sam2_adapter.formats.coco.tables import CocoTables, is_crowd, join_key, labels_by_key, read_tables
from sam2_adapter.formats.dataset_reader import (
    SAME_IMAGE,
    USUAL_SPLITS,
    ReadingOptions,
    Samples,
    add_sample,
    images_below,
    split_name,
    usable_hw,
)
from sam2_adapter.formats.document import short
from sam2_adapter.formats.image_names import find_listed
from sam2_adapter.formats.labelme.dataset import is_label_file
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample

_CROWD_HINT = (
    "marked 'iscrowd': 1, a crowd of objects rather than one, left out. CVAT and other tools mark every brush mask so: "
    "use them with the setting include_crowds=true"
)
_ALL_CROWDS = "marked 'iscrowd': 1, as every object of the file is, taken as single objects: so do tools that mark every brush mask"
_NO_CATEGORY = "without a known category, labelled {!r}"
_DEGENERATE = "of fewer than three points passed over in a polygon that has others"
_UPRIGHT = "listed with the width and height from before its EXIF orientation is applied, but annotated upright"


@dataclass
class _Found:
    """An image that was found, its size, and its objects so far."""

    path: Path
    original_hw: tuple[int, int]
    has_entries: bool = False
    objects: list[Annotation] = field(default_factory=list)


def is_coco_data(root: Path) -> bool:
    """Whether a folder, or a file, has this layout; label files of labelme may lie in the same places."""
    parts = find_parts(root)
    return any(not is_label_file(part.path) for part in parts)


def read_coco_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all images with their objects, by split.

    Args:
        root: the folder, or one annotation file.
        options: what to keep.
        left_out: counts what is not kept, and takes remarks.

    Raises:
        DataError: a file is not a COCO file, or two of its images have one id.
    """
    images_of: dict[Path, dict[str, Path]] = {}
    named_in: dict[Path, set[str]] = {}
    found_in: dict[str, dict[str, _Found]] = {}
    for part in find_parts(root):
        images = images_of.setdefault(part.image_folder, images_below(part.image_folder))
        reader = _PartReader(part, images, options, left_out, found_in.setdefault(part.split, {}))
        named_in.setdefault(part.image_folder, set()).update(reader.read())
    for folder, names in named_in.items():
        _count_unnamed(images_of[folder], names, left_out)
    return {split: _samples(found, options, left_out) for split, found in found_in.items()}


def listed_labels(root: Path) -> list[str]:
    """The names of the categories of all files, in the order of their ids.

    Raises:
        DataError: a file is not a COCO file, or two categories have one id.
    """
    found: dict[str, None] = {}
    for path in dict.fromkeys(part.path for part in find_parts(root)):
        found |= dict.fromkeys(labels_by_key(read_json(path), path).values())
    return list(found)


def _samples(found: Mapping[str, _Found], options: ReadingOptions, left_out: LeftOut) -> list[Sample]:
    samples: list[Sample] = []
    for name, image in found.items():
        if image.has_entries:
            add_sample(samples, name, image.path, image.original_hw, image.objects, options, left_out)
        else:
            left_out.add_image(Reason.NO_ANNOTATION, name)
    return samples


def _count_unnamed(images: Mapping[str, Path], named: set[str], left_out: LeftOut) -> None:
    """Count the images that no entry names, beside images that one names: other folders may hold anything."""
    folders = {PurePosixPath(name).parent for name in named}
    for name in images:
        if name not in named and PurePosixPath(name).parent in folders:
            left_out.add_image(Reason.NO_ANNOTATION, name)


class _PartReader:
    """Reads one annotation file into the images that were found for its split."""

    def __init__(
        self,
        part: AnnotationFile,
        images: Mapping[str, Path],
        options: ReadingOptions,
        left_out: LeftOut,
        found: dict[str, _Found],
    ) -> None:
        self._part = part
        self._images = images
        self._options = options
        self._left_out = left_out
        self._found = found
        self._all_are_crowds = False

    def read(self) -> set[str]:
        """Read the file; returns the names of all images that its entries name or may mean."""
        tables = read_tables(read_json(self._part.path), self._part.path, self._left_out)
        self._options.tell_labels(tables.labels.values())
        self._all_are_crowds = all(is_crowd(row) for rows in tables.objects_of.values() for row in rows)
        named: set[str] = set()
        waiting: list[tuple[str, Mapping[str, Any], list[Any]]] = []
        meant = find_listed([image.file_name for image in tables.images], self._images, self._narrowed)
        for image, names in zip(tables.images, meant, strict=True):
            named.update(names)
            if len(names) != 1:
                self._left_out.add_image(Reason.DUPLICATE_NAME if names else Reason.NO_IMAGE, image.file_name)
                continue
            waiting.append((names[0], image.entry, tables.objects_of.get(image.key, [])))
        for name, entry, rows in waiting:
            self._read_image(name, entry, rows, tables)
        return named

    def _narrowed(self, listed: str, candidates: list[str]) -> list[str]:
        """The image at that very place; else those of the split, else those that no other split is named for."""
        for place in (listed, f"images/{listed}"):
            if place in candidates:
                return [place]
        own = [name for name in candidates if self._part.split in _splits_of(name)]
        return own or [name for name in candidates if not _splits_of(name) - {self._part.split} or not self._part.split]

    def _read_image(self, name: str, entry: Mapping[str, Any], rows: list[Any], tables: CocoTables) -> None:
        known = self._found.get(name)
        original_hw = known.original_hw if known else usable_hw(self._images[name], name, self._options, self._left_out)
        if original_hw is None:
            return
        frame = frame_of(entry, rows, original_hw)
        if frame in (Frame.OTHER, Frame.BEFORE_TURNING):
            reason = Reason.OTHER_SIZE if frame is Frame.OTHER else Reason.TURNED
            listed = f"{short(entry.get('width'))}x{short(entry.get('height'))}"
            self._left_out.add_image(reason, f"{name} ({listed} in the file, {original_hw[1]}x{original_hw[0]} here)")
            return
        if frame is Frame.UPRIGHT_DESPITE_SIZE:
            self._left_out.remark("image", _UPRIGHT, name)
        objects = [annotation for row in rows for annotation in self._objects(name, row, original_hw, tables)]
        if known is None:
            self._found[name] = _Found(self._images[name], original_hw, bool(rows), objects)
            return
        self._left_out.remark("image", SAME_IMAGE, name)
        have = {(annotation.label, annotation.rle.counts) for annotation in known.objects}
        known.objects += [annotation for annotation in objects if (annotation.label, annotation.rle.counts) not in have]
        known.has_entries |= bool(rows)

    def _objects(
        self, name: str, row: Mapping[str, Any], original_hw: tuple[int, int], tables: CocoTables
    ) -> Iterator[Annotation]:
        where = f"{name}: annotation {short(row.get('id'))}"
        is_used = self._all_are_crowds or self._options.include_crowds or not is_crowd(row)
        if self._all_are_crowds and not self._options.include_crowds:
            self._left_out.remark("object", _ALL_CROWDS, where)
        if not is_used:
            self._left_out.add_object(Reason.CROWD, where)
            self._left_out.remark("object", _CROWD_HINT, where)
        elif not row.get("segmentation"):
            self._left_out.add_object(Reason.UNSUPPORTED_TYPE, where)
        else:
            yield from self._object(where, row, original_hw, tables)

    def _object(
        self, where: str, row: Mapping[str, Any], original_hw: tuple[int, int], tables: CocoTables
    ) -> Iterator[Annotation]:
        try:
            mask = read_segmentation(row["segmentation"], original_hw)
        except DataError as error:
            self._left_out.add_object(Reason.MALFORMED, f"{where}: {error}")
            return
        if isinstance(row["segmentation"], list) and look_like_fractions(read_rings(row["segmentation"])[0]):
            self._left_out.add_object(Reason.FRACTIONS, f"{where}: {short(row['segmentation'])}")
            return
        for _ in range(mask.degenerate_rings):
            self._left_out.remark("ring", _DEGENERATE, where)
        if not mask.rle.area:
            is_outside = _lies_outside(row["segmentation"], original_hw)
            self._left_out.add_object(Reason.OUTSIDE if is_outside else Reason.EMPTY, where)
            return
        label = tables.labels.get(join_key(row.get("category_id")) or "")
        if label is None:
            label = self._options.default_label
            self._left_out.remark("object", _NO_CATEGORY.format(label), where)
        yield Annotation(label, mask.rle, 1.0)


def _splits_of(name: str) -> set[str]:
    """The splits that the folders of an image are named for; a year may follow the word."""
    words = {split_name(folder.rstrip("0123456789")) for folder in PurePosixPath(name).parts[:-1]}
    return words & USUAL_SPLITS


def _lies_outside(segmentation: Any, original_hw: tuple[int, int]) -> bool:
    if not isinstance(segmentation, list):
        return False
    height, width = original_hw
    rings, _ = read_rings(segmentation)
    low = [ring.min(axis=0).tolist() for ring in rings]
    high = [ring.max(axis=0).tolist() for ring in rings]
    return bool(
        min(x for x, _ in low) >= width
        or min(y for _, y in low) >= height
        or max(x for x, _ in high) <= 0
        or max(y for _, y in high) <= 0
    )
