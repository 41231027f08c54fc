"""Label maps and their images: which map is whose, what is wrong with it, and its objects. For every format that has pictures of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sam2_adapter.annotations.masks import looks_inverted
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import Rle, mask_to_rle
from sam2_adapter.annotations.separate_parts import count_parts
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.formats.dataset_reader import ReadingOptions, add_sample, usable_hw
from sam2_adapter.formats.label_maps.pairs import pair_masks
from sam2_adapter.formats.label_maps.reading import LabelMap, Numbers, read_label_map
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.images.read import image_size_with_notes

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
_UNPAIRED = "of no image: a mask has the path of its image, with any suffix; p_mask.png, mask_p.png and p.jpg.png are understood for p.jpg"
_ONE_EACH = (
    "called like one of several of an image, as pictures of single objects are, which are not read: put all objects of an image into one "
    "picture, each with a number of its own"
)
_PARTS = (
    "with one number in many separate parts, read as one object: where the parts are objects of their own, "
    "use the setting split_parts=true"
)

# What the name of a mask has behind that of its image, where it is one of several.
_PART_OF = r"([ _.-]+[A-Za-z]*)?[ _.-]*\d+\.\w+|/.*"


# Row and column range of each number but 0.
BoxesOfNumbers = dict[int, tuple[slice, slice]]

# Given an image, its mask (both by their paths below their folders), its numbers without those of no object, and their boxes: number, as a
# text, to label.
LabelsOf = Callable[[str, str, Numbers, BoxesOfNumbers], Mapping[str, Any]]


class PairedMasks:
    """Reads images and the label maps that are called like them."""

    def __init__(
        self,
        images: Mapping[str, Path],
        masks: Mapping[str, Path],
        labels_of: LabelsOf,
        options: ReadingOptions,
        left_out: LeftOut,
        *,
        folder: str,
        numbers_may_be_classes: bool = True,
        read_map: Callable[[Path], LabelMap] = read_label_map,
    ) -> None:
        """Read these images.

        Args:
            images: pictures by their paths below their folder.
            masks: label maps by their paths below theirs.
            labels_of: gives the labels of the numbers of one image.
            options: what is kept.
            left_out: counts the rest.
            folder: name of the folder of the label maps, for what is counted.
            numbers_may_be_classes: whether a number in many parts is worth a remark.
            read_map: reads a label map.
        """
        self._images = images
        self._masks = masks
        self._labels_of = labels_of
        self._options = options
        self._left_out = left_out
        self._folder = folder
        self._numbers_may_be_classes = numbers_may_be_classes
        self._read_map = read_map

    def read(self) -> list[Sample]:
        """All images with their objects; the others are counted."""
        samples: list[Sample] = []
        pairs = pair_masks(self._images, self._masks)
        for mask in pairs.unpaired:
            self._left_out.add_image(Reason.NO_IMAGE, f"{self._folder}/{mask}")
        if not any(pairs.masks_of.values()):
            self._remark_unpaired(pairs.unpaired)
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

    def _remark_unpaired(self, masks: Sequence[str]) -> None:
        """Say how masks are called, where none is called so."""
        stems = {str(PurePosixPath(image).with_suffix("")) for image in self._images}
        for mask in masks:
            parts = ((mask[:end], mask[end:]) for end in range(1, len(mask)))
            is_one_of_many = any(stem in stems and re.fullmatch(_PART_OF, rest) for stem, rest in parts)
            self._left_out.remark("mask", _ONE_EACH if is_one_of_many else _UNPAIRED, f"{self._folder}/{mask}")

    def _read_pair(self, samples: list[Sample], image: str, mask: str) -> None:
        original_hw = usable_hw(self._images[image], image, self._options, self._left_out)
        if original_hw is None:
            return
        try:
            label_map, ignored = self._without_void(self._read_map(self._masks[mask]), mask)
        except (ImageError, DataError) as error:
            self._left_out.add_image(Reason.BROKEN_FILE, str(error))
            return
        for note in image_size_with_notes(self._masks[mask])[1]:
            self._left_out.remark("mask", "with more in the file than is read", f"{mask}: {note}")
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
            boxes = boxes_of_numbers(label_map.numbers)
            labels = self._labels_of(image, mask, label_map.numbers, boxes)
            objects = self._objects(label_map.numbers, boxes, labels, mask)
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

    def _objects(
        self, numbers: Numbers, boxes: BoxesOfNumbers, labels: Mapping[str, Any], name: str
    ) -> Iterator[Annotation]:
        """The objects of a label map in the order of their numbers."""
        mask = np.zeros(numbers.shape, np.bool_)
        most_parts = 0
        for number, (rows, columns) in boxes.items():
            mask[rows, columns] = numbers[rows, columns] == number
            most_parts = max(most_parts, count_parts(mask[rows, columns], self._options.min_area_px))
            yield Annotation.from_mask(mask, self._label(labels, number, name))
            mask[rows, columns] = False
        if most_parts >= _MANY_PARTS and self._numbers_may_be_classes and not self._options.split_parts:
            self._left_out.remark("mask", _PARTS, f"{name}: {most_parts} parts")

    def _label(self, labels: Mapping[str, Any], number: int, name: str) -> str:
        """The label of a number; one without a label among others that have one is remarked."""
        label = labels.get(str(number))
        if isinstance(label, str) and label:
            return label
        if labels:
            self._left_out.remark(
                "object", f"without a label, labelled {self._options.default_label!r}", f"{name}: {number}"
            )
        return self._options.default_label


def _looks_inverted(numbers: Numbers) -> bool:
    """Whether a map of one number has it along the whole border and in most of the picture, but not everywhere."""
    return looks_inverted(numbers > 0) and bool((numbers[numbers > 0] == numbers[0, 0]).all())


def boxes_of_numbers(numbers: Numbers) -> BoxesOfNumbers:
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
