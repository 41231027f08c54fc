"""Data sets of Pascal VOC, and of tools that export this layout.

JPEGImages/                pictures
SegmentationObject/        for each picture a PNG of the same name: 0 background, every other number one object, 255 pixels that do not count
SegmentationClass/         the same with numbers of classes; `classes` says what they are called
Annotations/               for each picture an XML file with names and boxes, for objects without a class in the picture of classes
ImageSets/Segmentation/    a text file with the names of the pictures of each split

JPEGImages and one of the next two have to be there. Where SegmentationObject is missing, the setting `split_parts` turns every separate part of
a class into an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.files import read_text
from sam2_adapter.formats.dataset_reader import (
    USUAL_SPLITS,
    WHOLE,
    ReadingOptions,
    Samples,
    child,
    images_below,
    is_folder,
    split_name,
)
from sam2_adapter.formats.image_names import PathsByName
from sam2_adapter.formats.label_maps.paired import BoxesOfNumbers, PairedMasks
from sam2_adapter.formats.label_maps.reading import Numbers
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.sample import Sample
from sam2_adapter.formats.splits import apply_splits
from sam2_adapter.formats.voc.boxes import NamedBox, box_iou, read_boxes
from sam2_adapter.formats.voc.classes import (
    VOID,
    Classes,
    ClassMap,
    listed_labels,
    read_class_map,
    read_classes,
    read_object_map,
)

IMAGES = "JPEGImages"
OBJECTS = "SegmentationObject"
CLASSES = "SegmentationClass"
BOXES = "Annotations"
SPLITS = ("ImageSets", "Segmentation")

# Old labelme calls them so, and keeps arrays in the folders without PNG.
_PNG = "PNG"

_LEAST_BOX_IOU = 0.5
_UNREAD = "of classes or boxes that cannot be read; labels come from elsewhere"


def is_voc_data(root: Path) -> bool:
    """Whether a folder has this layout."""
    return is_folder(child(root, IMAGES)) and any(_folder(root, name) is not None for name in (OBJECTS, CLASSES))


def read_voc_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all pictures that have a picture of objects, by split.

    Raises:
        DataError: there is none, the names of classes or a split cannot be read, or a picture is in two splits.
    """
    folder = _folder(root, OBJECTS) or (_folder(root, CLASSES) if options.split_parts else None)
    if folder is None:
        raise DataError(
            f"{root}: {CLASSES}/ says which pixels are of which class, but not where one object ends and the next begins, and there is no "
            f"{OBJECTS}/. To take every separate part of a class as an object, set split_parts=true."
        )
    if options.ignore_label is None:
        options = replace(options, ignore_label=VOID)
    masks = images_below(folder)
    options.tell_labels(listed_labels(root))
    labels = _Labels(root, masks, options.default_label, left_out)
    images = images_below(child(root, IMAGES) or root / IMAGES)
    reader = PairedMasks(
        images,
        masks,
        labels.of,
        options,
        left_out,
        folder=folder.name,
        numbers_may_be_classes=False,
        read_map=read_object_map,
    )
    return _by_split(reader.read(), root, left_out)


def _folder(root: Path, name: str) -> Path | None:
    """The folder of pictures of this name."""
    found = (child(root, name + _PNG), child(root, name))
    return next((path for path in found if path is not None and path.is_dir()), None)


class _Labels:
    """What the numbers of a picture are called: by the picture of classes, else by the box that fits best."""

    def __init__(self, root: Path, masks: Mapping[str, Path], default_label: str, left_out: LeftOut) -> None:
        self._names = read_classes(root)
        class_folder, boxes = _folder(root, CLASSES), child(root, BOXES)
        class_maps = images_below(class_folder) if class_folder else {}
        self._class_maps = _by_stem(class_maps)
        self._boxes = _by_stem(
            {path.relative_to(boxes).as_posix(): path for path in boxes.rglob("*") if _is_xml(path)}
            if is_folder(boxes) and boxes
            else {}
        )
        self._masks = masks
        self._default_label = default_label
        self._left_out = left_out

    def of(self, image: str, mask: str, numbers: Numbers, places: BoxesOfNumbers) -> Mapping[str, str]:
        """Number of an object, as a text, to its label."""
        class_map, boxes = self._class_map(mask, numbers.shape), None
        labels: dict[str, str] = {}
        for number, (rows, columns) in places.items():
            is_object = numbers[rows, columns] == number
            label = _most_frequent_class(class_map, rows, columns, is_object, self._names) if class_map else None
            if label is None:
                boxes = self._boxes_of(image) if boxes is None else boxes
                label = _fitting_name(boxes, (columns.start, rows.start, columns.stop, rows.stop))
            if not label and (self._class_maps or self._boxes):
                self._left_out.remark(
                    "object", f"without a known class, labelled {self._default_label!r}", f"{mask}: {number}"
                )
            labels[str(number)] = label or self._default_label
        return labels

    def _class_map(self, mask: str, hw: tuple[int, ...]) -> ClassMap | None:
        path = self._class_maps.get(_stem(mask))
        if path is None:
            return None
        try:
            return read_class_map(path, (hw[0], hw[1]))
        except (ImageError, DataError) as error:
            self._left_out.remark("file", _UNREAD, str(error))
            return None

    def _boxes_of(self, image: str) -> list[NamedBox]:
        """The boxes of a picture, of a file that is called like it; none where there is no such file."""
        path = self._boxes.get(_stem(image))
        if path is None:
            return []
        try:
            return read_boxes(path)
        except DataError as error:
            self._left_out.remark("file", _UNREAD, str(error))
            return []


def _by_stem(paths: Mapping[str, Path]) -> PathsByName:
    return PathsByName({_stem(name): path for name, path in paths.items()})


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _is_xml(path: Path) -> bool:
    return path.suffix.lower() == ".xml" and path.is_file()


def _most_frequent_class(
    class_map: ClassMap, rows: slice, columns: slice, is_object: BoolArray, classes: Classes
) -> str | None:
    """The name of the class of most pixels of an object; `None` where that has no name, such as the background."""
    found, counts = np.unique(class_map.numbers[rows, columns][is_object], return_counts=True)
    return class_map.names(classes).get(int(found[counts.argmax()]))


def _fitting_name(boxes: Iterable[NamedBox], box_xyxy: tuple[int, int, int, int]) -> str | None:
    """The name of the box that fits best, where one fits well."""
    rated = [(box_iou(box.box_xyxy, box_xyxy), box.name) for box in boxes]
    best, name = max(rated, key=lambda pair: pair[0], default=(0.0, ""))
    return name if best >= _LEAST_BOX_IOU else None


def _by_split(samples: list[Sample], root: Path, left_out: LeftOut) -> Samples:
    """Distribute samples by the lists of `ImageSets/Segmentation/`; `trainval` and other lists count only where no usual split is there."""
    lists = {path: split_name(path.stem.casefold()) for path in _lists_below(root)}
    usual = {path: split for path, split in lists.items() if split in USUAL_SPLITS}
    splits: dict[str, list[str]] = {}
    for path, split in (usual or dict.fromkeys(lists, WHOLE)).items():
        names = (line.strip() for line in read_text(path).splitlines())
        splits.setdefault(split, []).extend(name for name in names if name)
    unique = {split: list(dict.fromkeys(names)) for split, names in splits.items()}
    return apply_splits(samples, unique, root.joinpath(*SPLITS), left_out) if unique else {WHOLE: samples}


def _lists_below(root: Path) -> Iterator[Path]:
    folder: Path | None = root
    for name in SPLITS:
        folder = child(folder, name) if folder is not None else None
    if folder is not None and folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt" and path.is_file())
