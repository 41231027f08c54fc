"""YOLO segmentation data sets: a `description`, pictures below `images/`, and a text file below `labels/` for each.

A line of a text file is one object: the number of its class, then x y x y ... of one polygon, as fractions of the image's width and height.
Lines of five numbers are boxes, which are no masks; nor are lines of boxes with key points, or of the four corners of turned boxes. Whether four
corners are a turned box or an outline only the description can say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import Polygon, polygons_to_mask
from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import WHOLE, ReadingOptions, Samples, add_sample, child, usable_hw
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.formats.yolo.description import Description, find_description, label_of_class, read_description
from sam2_adapter.formats.yolo.images import images_of_place
from sam2_adapter.formats.yolo.label_files import LabelFiles
from sam2_adapter.formats.yolo.lines import (
    NUMBERS_OF_A_BOX,
    NUMBERS_OF_A_TURNED_BOX,
    is_turned_rectangle,
    outline_of_line,
)

_LIKE_TURNED_BOXES = (
    "of four corners at right angles, as all of the data set are, taken as masks: if these are turned boxes, write 'task: obb' into data.yaml, "
    "which leaves them out here and makes them prompts of predict"
)
_AS_THE_FOLDER_SAYS = ", as the name of the folder says (if it is an outline, write 'task: segment' into data.yaml)"
_NO_CLASS = "of a class without a name, labelled {!r}"


def is_yolo_data(root: Path) -> bool:
    """Whether a folder, or a YAML file, has this layout."""
    return find_description(root) is not None


def read_yolo_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all pictures with their polygons, by split.

    Args:
        root: the folder, or the YAML file in it.
        options: what to keep.
        left_out: counts what is not kept, and takes remarks.

    Raises:
        DataError: the description is malformed, or no folder that it names is there.
    """
    path = find_description(root)
    assert path is not None  # recognised before
    description = read_description(path)
    options.tell_labels(description.labels)
    base = description.bases[0]
    places = description.splits(left_out) or [(WHOLE, child(base, "images") or base)]
    images_of = [(split, images_of_place(description.root, place, left_out)) for split, place in places]
    files = LabelFiles(description.root)
    names_of = files.of({name for _, images in images_of for name in images})
    owners = Counter(name for names in names_of.values() for name in names)
    reader = _Reader(description, files, options, left_out)
    samples: Samples = {}
    for split, images in images_of:
        found = samples.setdefault(split, [])
        for image, image_path in images.items():
            names = names_of[image]
            if len(names) > 1 or any(owners[name] > 1 for name in names):
                left_out.add_image(Reason.DUPLICATE_NAME, f"{image}: {', '.join(names)}")
            else:
                reader.read_image(found, image, image_path, names)
    reader.remark_turned_rectangles()
    for name in files.left_over(owners):
        left_out.add_image(Reason.NO_IMAGE, name)
    return samples


def listed_labels(root: Path) -> list[str]:
    """The names of the classes, in the order of their numbers.

    Raises:
        DataError: the description is malformed.
    """
    path = find_description(root)
    assert path is not None  # recognised before
    return read_description(path).labels


class _Reader:
    """Reads pictures of one data set."""

    def __init__(self, description: Description, files: LabelFiles, options: ReadingOptions, left_out: LeftOut) -> None:
        self._description = description
        self._files = files
        self._options = options
        self._left_out = left_out
        self._turned_rectangles: list[str] = []
        self._has_other_outlines = False

    def remark_turned_rectangles(self) -> None:
        """Say that all objects of the data set look like turned boxes."""
        for where in self._turned_rectangles if not self._has_other_outlines else ():
            self._left_out.remark("object", _LIKE_TURNED_BOXES, where)

    def read_image(self, samples: list[Sample], image: str, path: Path, names: Sequence[str]) -> None:
        """Read one picture, with its text file where it has one."""
        lines = self._files.lines(names[0], self._left_out) if names else []
        if not lines:
            self._left_out.add_image(Reason.NO_ANNOTATION, image)
            return
        original_hw = usable_hw(path, image, self._options, self._left_out)
        if original_hw is None:
            return
        objects = [
            found
            for number, line in lines
            for found in self._objects(line.split(), f"{names[0]}: line {number}", original_hw)
        ]
        add_sample(samples, image, path, original_hw, objects, self._options, self._left_out)

    def _objects(self, words: list[str], where: str, original_hw: tuple[int, int]) -> Iterator[Annotation]:
        if what := self._box_in(words):
            self._left_out.add_object(Reason.UNSUPPORTED_TYPE, f"{where}: {what}")
            return
        try:
            outline = outline_of_line(words, original_hw)
            mask = polygons_to_mask([Polygon(outline)], original_hw)
        except DataError as error:
            self._left_out.add_object(Reason.MALFORMED, f"{where}: {error}")
            return
        if not mask.any():
            self._left_out.add_object(Reason.EMPTY, where)
            return
        if is_turned_rectangle(outline):
            self._turned_rectangles.append(where)
        else:
            self._has_other_outlines = True
        label = label_of_class(words[0], self._description.names)
        if not label:
            label = self._options.default_label
            self._left_out.remark("object", _NO_CLASS.format(label), where)
        yield Annotation.from_mask(mask, label)

    def _box_in(self, words: list[str]) -> str:
        """The kind of box that a line holds; empty for an outline."""
        if len(words) == NUMBERS_OF_A_BOX:
            return "a box"
        if self._description.has_key_points:
            return "a box with key points" if len(words) > NUMBERS_OF_A_BOX else "a box"
        if not self._description.has_turned_boxes or len(words) != NUMBERS_OF_A_TURNED_BOX:
            return ""
        return f"a turned box{_AS_THE_FOLDER_SAYS}" if self._description.folder_tells else "a turned box"
