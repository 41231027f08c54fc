"""Data sets of `images/` and `masks/`: one label map per image, 0 for the background, every other number one object.

A number that `ignore_label` names is no object: its pixels are the image's ignored region.

`pairs` says which mask is whose. `categories.json` gives labels: `{"1": "cell"}` for all images or `{"image": {"1": "cell"}}`, where an
image is named by its path without suffix. Subfolders `train/images`, `train/masks`, ... are splits. Masks that `predict` wrote are read
as well where they were put beside their images: the pictures of single objects are passed over, and the file that names the numbers gives
the labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import Rle, mask_to_rle
from sam2_adapter.annotations.separate_parts import count_parts
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.files import read_json
from sam2_adapter.formats.dataset_reader import (
    WHOLE,
    ReadingOptions,
    Samples,
    add_sample,
    child,
    images_below,
    split_folders,
    usable_hw,
)
from sam2_adapter.formats.label_maps.pairs import pair_masks
from sam2_adapter.formats.label_maps.reading import LabelMap, Numbers, read_label_map
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.images.read import image_size_with_notes
from sam2_adapter.ownership import results_in

# Numbers by which tools mark pixels of no object, the largest of 8 and of 16 bits.
_USUAL_VOIDS = (255, 65_535)

# From this many separate parts on, a number more likely stands for a class than for one object.
_MANY_PARTS = 3

_VOID = (
    "with the number {} beside small numbers, taken as an object: where it marks a border or pixels of no object, as in VOC and DAVIS, "
    "leave it out with the setting ignore_label={}"
)
_INVERTED = (
    "whose one object covers the whole border of the picture and encloses the rest: if it is the background, invert the mask, so that the "
    "background is 0"
)
_PARTS = (
    "with one number in many separate parts, read as one object: where the parts are objects of their own, "
    "use the setting split_parts=true"
)


def is_label_map_data(root: Path) -> bool:
    """Whether a folder has this layout."""
    return root.is_dir() and any(_is_folder(child(folder, "images")) for folder in _folders(root).values())


def read_label_map_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all images that have a label map, by split.

    Raises:
        DataError: `categories.json` is malformed.
    """
    categories = _read_categories(root / "categories.json")
    return {
        split: _FolderReader(folder, categories, options, left_out).read() for split, folder in _folders(root).items()
    }


def _folders(root: Path) -> dict[str, Path]:
    """The folders with masks, by split; `predict` may have written them beside the images, so that they can be corrected there."""
    if "masks" in results_in(root) and (root / "masks").is_dir():
        return {WHOLE: root}
    return split_folders(root, "masks")


class _FolderReader:
    """Reads one folder of `images/` and `masks/`."""

    def __init__(self, folder: Path, categories: Mapping[str, Any], options: ReadingOptions, left_out: LeftOut) -> None:
        self._images = images_below(child(folder, "images") or folder / "images")
        self._mask_folder = child(folder, "masks") or folder / "masks"
        masks = images_below(self._mask_folder)
        self._masks = {name: path for name, path in masks.items() if not _is_picture_of_one_object(name, path, masks)}
        self._categories = categories
        self._options = options
        self._left_out = left_out

    def read(self) -> list[Sample]:
        """All images with their objects; the others are counted."""
        if self._mask_folder.name in results_in(self._mask_folder.parent):
            self._left_out.remark("folder", "of masks that predict made, taken as true masks", self._mask_folder.name)
        samples: list[Sample] = []
        pairs = pair_masks(self._images, self._masks)
        for mask in pairs.unpaired:
            self._left_out.add_image(Reason.NO_IMAGE, f"{self._mask_folder.name}/{mask}")
        seen: set[str] = set()
        for image, masks in pairs.masks_of.items():
            rivals = pairs.rivals_of[image]
            if not masks:
                self._left_out.add_image(Reason.NO_ANNOTATION, image)
            elif len(rivals) == 1 and len(masks) == 1:
                self._read_pair(samples, image, masks[0])
            elif image not in seen:
                seen.update(rivals)
                names = [PurePosixPath(name).name for name in (*rivals, *masks)]
                self._left_out.add_image(Reason.DUPLICATE_NAME, ", ".join(names))
        return samples

    def _read_pair(self, samples: list[Sample], image: str, mask: str) -> None:
        original_hw = usable_hw(self._images[image], image, self._options, self._left_out)
        if original_hw is None:
            return
        try:
            label_map, ignored = self._without_void(read_label_map(self._masks[mask]), mask)
        except (ImageError, DataError) as error:
            self._left_out.add_image(Reason.BROKEN_FILE, str(error))
            return
        if label_map.numbers.shape != original_hw:
            height, width = label_map.numbers.shape
            sizes = f"the mask is {width}x{height}, the upright image {original_hw[1]}x{original_hw[0]}"
            self._left_out.add_image(Reason.OTHER_SIZE, f"{image} ({sizes})")
        elif not label_map.numbers.any():
            self._left_out.add_image(Reason.NO_ANNOTATION, image)
        else:
            for remark in (label_map.remark, _INVERTED if _looks_inverted(label_map.numbers) else ""):
                if remark:
                    self._left_out.remark("mask", remark, mask)
            for note in image_size_with_notes(self._masks[mask])[1]:
                self._left_out.remark("mask", "with more in the file than is read", f"{mask}: {note}")
            objects = self._objects(label_map.numbers, self._labels_of(image, mask), mask)
            path = self._images[image]
            add_sample(samples, image, path, original_hw, objects, self._options, self._left_out, ignored)

    def _without_void(self, label_map: LabelMap, mask: str) -> tuple[LabelMap, Rle | None]:
        """The map without the number of pixels that do not count, and those pixels; a number that looks so is remarked."""
        numbers = label_map.numbers
        if self._options.ignore_label is not None:
            is_void = numbers == self._options.ignore_label
            if not is_void.any():
                return label_map, None
            return label_map._replace(numbers=np.where(is_void, 0, numbers)), mask_to_rle(is_void)
        found = np.unique(numbers[numbers > 0]).tolist()
        for void in _USUAL_VOIDS:
            if void in found and len(found) > 1 and max(number for number in found if number != void) < void - 1:
                self._left_out.remark("mask", _VOID.format(void, void), mask)
        return label_map, None

    def _objects(self, numbers: Numbers, labels: Mapping[str, Any], name: str) -> Iterator[Annotation]:
        """The objects of a label map in the order of their numbers."""
        mask = np.zeros(numbers.shape, np.bool_)
        most_parts = 0
        for number, (rows, columns) in _boxes(numbers).items():
            mask[rows, columns] = numbers[rows, columns] == number
            label = labels.get(str(number))
            most_parts = max(most_parts, count_parts(mask[rows, columns], self._options.min_area_px))
            yield Annotation.from_mask(mask, label if isinstance(label, str) and label else self._options.default_label)
            mask[rows, columns] = False
        if most_parts >= _MANY_PARTS and not self._options.split_parts:
            self._left_out.remark("mask", _PARTS, f"{name}: {most_parts} parts")

    def _labels_of(self, image: str, mask: str) -> Mapping[str, Any]:
        own = self._categories.get(str(PurePosixPath(image).with_suffix("")))
        if isinstance(own, dict):
            return own
        if self._categories:
            return {key: value for key, value in self._categories.items() if isinstance(value, str)}
        return _legend_labels(self._masks[mask].with_suffix(".json"))


def _looks_inverted(numbers: Numbers) -> bool:
    """Whether a map of one number has it along the whole border and in most of the picture, but not everywhere."""
    border = np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])
    is_enclosing = border.all() and (numbers == 0).any() and np.count_nonzero(numbers) * 2 > numbers.size
    return bool(is_enclosing) and bool((numbers[numbers > 0] == border[0]).all())


def _is_folder(path: Path | None) -> bool:
    return path is not None and path.is_dir()


def _is_picture_of_one_object(name: str, path: Path, masks: Mapping[str, Path]) -> bool:
    """Whether `p/p_001.png` is one of the pictures that `predict` writes beside the label map `p.png` and its legend `p.json`."""
    folder = PurePosixPath(name).parent
    stem, _, digits = PurePosixPath(name).stem.rpartition("_")
    is_numbered = stem == PurePosixPath(folder.name).stem and digits.isdigit() and len(digits) >= 3
    return is_numbered and f"{folder}.png" in masks and path.parent.with_name(f"{path.parent.name}.json").is_file()


def _legend_labels(path: Path) -> dict[str, Any]:
    """Number to label from the file that `predict` writes beside a label map; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        document = read_json(path)
    except DataError:
        return {}
    objects = document.get("objects") if isinstance(document, dict) else None
    rows = [row for row in objects if isinstance(row, dict)] if isinstance(objects, list) else []
    return {str(row.get("number")): row.get("label") for row in rows}


def _boxes(numbers: Numbers) -> dict[int, tuple[slice, slice]]:
    """Row and column range of every number but 0, in one pass over the pixels that are not background."""
    rows, columns = np.nonzero(numbers)
    found, inverse = np.unique(numbers[rows, columns], return_inverse=True)
    low = np.full((len(found), 2), np.iinfo(np.int64).max)
    high = np.full((len(found), 2), -1)
    for axis, positions in enumerate((rows, columns)):
        np.minimum.at(low[:, axis], inverse, positions)
        np.maximum.at(high[:, axis], inverse, positions)
    return {
        int(number): (slice(top, bottom + 1), slice(left, right + 1))
        for number, (top, left), (bottom, right) in zip(found, low.tolist(), high.tolist(), strict=True)
    }


def _read_categories(path: Path) -> Mapping[str, Any]:
    categories = read_json(path) if path.exists() else {}
    if not isinstance(categories, dict) or not all(isinstance(value, (str, dict)) for value in categories.values()):
        raise DataError(f'{path}: expected {{"1": "label"}} or {{"image": {{"1": "label"}}}}, but got something else.')
    return categories
