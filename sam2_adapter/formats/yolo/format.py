"""YOLO segmentation as a `Format`: data sets, and results as one text file per image.

data.yaml               the names of the classes; pictures are looked for in images/, which is yours to fill
labels/NAME.txt         one line per object
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.files import write_file
from sam2_adapter.formats.base import Format, Writer, WritingTarget, Written
from sam2_adapter.formats.result_names import base_of, has_longer_name
from sam2_adapter.formats.yolo.dataset import is_yolo_data, listed_labels, read_yolo_data
from sam2_adapter.formats.yolo.label_files import places_of_labels
from sam2_adapter.formats.yolo.lines import annotation_to_line
from sam2_adapter.formats.yolo.prompts import read_yolo_prompts

_DESCRIPTION_NAME = "data.yaml"

_HEAD = "# Masks made with sam2-adapter. Put the pictures, or a link to their folder, into images/ beside this file.\n"


class YoloWriter(Writer):
    """Writes `labels/NAME.txt` for every image, and the names of the classes when it is closed."""

    def __init__(self, target: WritingTarget) -> None:
        self._target = target
        self._numbers = {label: number for number, label in enumerate(target.labels)}
        self._description = target.claimed(_DESCRIPTION_NAME)

    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Write the text file of one image."""
        path, (content, notes) = self._target.claimed(self._name(stem)), self._content(image, stem)
        write_file(path, lambda file: file.write(content))
        return Written((path,), notes)

    def add_done(self, image: AnnotatedImage, stem: str) -> Written:
        """Write an image of an earlier run again where it changed: the number of a class depends on the images before."""
        content, notes = self._content(image, stem)
        self._target.renew(self._name(stem), content)
        return Written((), notes)

    @staticmethod
    def _name(stem: str) -> str:
        return f"labels/{stem}.txt"

    def _content(self, image: AnnotatedImage, stem: str) -> tuple[bytes, tuple[str, ...]]:
        """The text file of one image, and what it cannot hold."""
        lines, notes = [], []
        for name, annotation in image.named_annotations():
            number = self._numbers.setdefault(annotation.label, len(self._numbers))
            line, joined = annotation_to_line(annotation, number)
            lines.append(f"{line}\n")
            if joined:
                notes.append(
                    f"{name} has {joined}, but a line of YOLO holds one outline: they were connected by lines, which some programs paint one pixel wide."
                )
        if has_longer_name(stem, image.file_name):
            notes.append(
                f"{image.file_name}: YOLO finds labels by the name of the picture without suffix, which another picture has too; its labels are "
                f"in labels/{stem}.txt: call the picture {base_of(stem)} and its suffix."
            )
        looked_for, *others = places_of_labels(f"images/{image.file_name}")
        if others:
            notes.append(
                f"{image.file_name}: its folder is called images, too, so that programs of YOLO look for its labels in "
                f"{PurePosixPath(looked_for).parent}, not in {PurePosixPath(self._name(stem)).parent}: call that folder otherwise."
            )
        return "".join(lines).encode(), tuple(notes)

    def close(self) -> tuple[Path, ...]:
        """Write `data.yaml`, unless somebody has put another one there meanwhile."""
        self._target.claim(self._description)
        description: dict[str, Any] = {
            # Ultralytics asks for both; we, and people, choose a validation split.
            "train": "images",
            "val": "images",
            "names": {number: label for label, number in self._numbers.items()},
            "made_by": dict(self._target.made_by),
        }
        content = _HEAD + yaml.safe_dump(description, allow_unicode=True, sort_keys=False)
        write_file(self._description, lambda file: file.write(content.encode()))
        return (self._description,)


FORMAT = Format(
    recognise=is_yolo_data,
    read_dataset=read_yolo_data,
    read_labels=listed_labels,
    read_prompts=read_yolo_prompts,
    open_writer=YoloWriter,
)
