"""Pascal VOC as a `Format`: data sets, and results as pictures with VOC's palette.

SegmentationObject/NAME.png           numbers of the objects, smaller ones on top
SegmentationClass/NAME.png            numbers of their classes
Annotations/NAME.xml                  names and boxes, in the order of the numbers
ImageSets/Segmentation/trainval.txt   the names of all pictures
labelmap.txt                          names and colours of the classes; pictures are looked for in JPEGImages/, which is yours to fill
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import ExportError
from sam2_adapter.files import encodable, write_file
from sam2_adapter.formats.base import Format, Writer, WritingTarget, Written
from sam2_adapter.formats.label_maps.objects import image_to_label_map
from sam2_adapter.formats.result_names import base_of, has_longer_name
from sam2_adapter.formats.voc.boxes import image_to_xml
from sam2_adapter.formats.voc.classes import LABEL_MAP, VOID, labelmap_lines, line_name, listed_labels, palette
from sam2_adapter.formats.voc.dataset import BOXES, CLASSES, OBJECTS, SPLITS, is_voc_data, read_voc_data
from sam2_adapter.images.mask_files import png

_LIST = "/".join((*SPLITS, "trainval.txt"))
_MOST_NUMBERS = VOID - 1


class VocWriter(Writer):
    """Writes three files for every image, and the names of classes and pictures when it is closed."""

    def __init__(self, target: WritingTarget) -> None:
        self._target = target
        # More names than there are numbers may be listed where few of them are used.
        listed = target.labels if len(target.labels) <= _MOST_NUMBERS else ()
        self._numbers = {label: number for number, label in enumerate(listed, start=1)}
        self._unused = list(self._numbers)
        self._stems: list[str] = []
        self._of_all = tuple(target.claimed(name) for name in (LABEL_MAP, _LIST))

    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Write the files of one image."""
        contents, notes = self._contents(image, stem)
        files = tuple(self._target.claimed(name) for name in contents)
        for path, content in zip(files, contents.values(), strict=True):
            _write(path, content)
        return Written(files, notes)

    def add_done(self, image: AnnotatedImage, stem: str) -> Written:
        """Write files of an earlier run again where they changed: the number of a class depends on the images before."""
        contents, notes = self._contents(image, stem)
        for name, content in contents.items():
            self._target.renew(name, content)
        return Written((), notes)

    def close(self) -> tuple[Path, ...]:
        """Write the names of the classes and of the pictures, unless somebody has put other files there meanwhile."""
        contents = (labelmap_lines(self._numbers), "".join(f"{stem}\n" for stem in self._stems))
        for path, text in zip(self._of_all, contents, strict=True):
            self._target.claim(path)
            _write(path, encodable(text).encode())
        return self._of_all

    def _contents(self, image: AnnotatedImage, stem: str) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """The files of one image by name, and what they cannot hold."""
        labels = [annotation.label for annotation in image.annotations]
        self._check(image, labels)
        self._number(labels)
        objects = image_to_label_map(image).astype(np.uint8)
        classes = np.array([0, *(self._numbers[label] for label in labels)], np.uint8)[objects]
        self._stems.append(stem)
        contents = {
            f"{OBJECTS}/{stem}.png": _with_palette(objects),
            f"{CLASSES}/{stem}.png": _with_palette(classes),
            f"{BOXES}/{stem}.xml": encodable(image_to_xml(image)).encode(),
        }
        return contents, (*_covered(image, objects), *_renamed(image, labels), *_other_name(image, stem))

    def _check(self, image: AnnotatedImage, labels: list[str]) -> None:
        if len(labels) > _MOST_NUMBERS:
            raise ExportError(
                f"{image.file_name}: a picture of Pascal VOC numbers up to {_MOST_NUMBERS} objects, but there are {len(labels)}; choose another format."
            )
        count = len((self._numbers.keys() - self._unused) | set(labels))
        if count > _MOST_NUMBERS:
            raise ExportError(
                f"{image.file_name}: pictures of Pascal VOC number up to {_MOST_NUMBERS} classes, but with this picture there are {count}; "
                "choose another format."
            )

    def _number(self, labels: list[str]) -> None:
        """Give every label a number; where none is left, that of the last listed label that no object has had so far."""
        self._unused = [label for label in self._unused if label not in labels]
        for label in labels:
            if label not in self._numbers and len(self._numbers) == _MOST_NUMBERS:
                self._numbers = {name if name != self._unused[-1] else label: at for name, at in self._numbers.items()}
                self._unused.pop()
            self._numbers.setdefault(label, len(self._numbers) + 1)


def _covered(image: AnnotatedImage, objects: npt.NDArray[np.uint8]) -> list[str]:
    """Notes on the objects that smaller ones cover, since a pixel has one number."""
    left = np.bincount(objects.ravel(), minlength=len(image.annotations) + 1)[1:].tolist()
    return [
        f"{name} lost {annotation.area - seen} of {annotation.area} pixels, which smaller objects cover: a pixel of Pascal VOC belongs to one "
        "object."
        for (name, annotation), seen in zip(image.named_annotations(), left, strict=True)
        if seen < annotation.area
    ]


def _renamed(image: AnnotatedImage, labels: list[str]) -> list[str]:
    return [
        f"{image.file_name}: {LABEL_MAP} cannot hold the label {label!r}; it is called {line_name(label)!r} there."
        for label in dict.fromkeys(labels)
        if line_name(label) != label
    ]


def _other_name(image: AnnotatedImage, stem: str) -> list[str]:
    if not has_longer_name(stem, image.file_name):
        return []
    return [
        f"{image.file_name}: Pascal VOC finds masks by the name of the picture without suffix, which another picture has too; its masks are called "
        f"{stem}.png: call the picture {base_of(stem)} and its suffix."
    ]


def _with_palette(numbers: npt.NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(numbers)
    picture.putpalette([value for color in palette() for value in color])
    return png(picture)


def _write(path: Path, content: bytes) -> None:
    write_file(path, lambda file: file.write(content))


FORMAT = Format(recognise=is_voc_data, read_dataset=read_voc_data, read_labels=listed_labels, open_writer=VocWriter)
