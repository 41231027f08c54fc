"""CVAT for images 1.1 as a `Format`: data sets, boxes and points as prompts, and results of all images in one file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sam2_adapter.annotations.colors import Color, hex_of_color
from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import ExportError
from sam2_adapter.files import append_whole, reason_of, write_file
from sam2_adapter.formats.base import Format, ListedPrompts, Writer, WritingTarget, Written
from sam2_adapter.formats.cvat.dataset import cvat_files, is_cvat_data, listed_labels, read_cvat_data
from sam2_adapter.formats.cvat.document import read_document
from sam2_adapter.formats.cvat.objects import image_to_element, read_shapes
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.shape_prompts import HintedImage, collect_prompts
from sam2_adapter.formats.xml_files import text_element


class CvatWriter(Writer):
    """Adds every image to one file, which is complete when it is closed; until then the images lie on disk."""

    def __init__(self, target: WritingTarget) -> None:
        target.claim(target.path)
        self._target = target
        self._labels = dict(target.labels)
        self._num_images = 0
        try:
            target.path.parent.mkdir(parents=True, exist_ok=True)
            # Beside the target: a system's temporary folder may be kept in memory.
            self._images = tempfile.TemporaryFile(buffering=0, dir=target.path.parent)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise ExportError(
                f"{target.path}: cannot write here: {reason_of(error)}. Choose another folder."
            ) from error

    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Add one image."""
        element, notes = image_to_element(image, self._num_images, output_type=self._target.output_type)
        try:
            append_whole(self._images, element.encode())
        except OSError as error:
            raise ExportError(
                f"{self._target.path}: cannot write here: {reason_of(error)}. Make room on the disk, or choose another folder."
            ) from error
        self._num_images += 1
        for annotation in image.annotations:
            self._labels.setdefault(annotation.label, None)
        return Written((), notes)

    def add_done(self, image: AnnotatedImage, stem: str) -> Written:
        """Add an image of an earlier run: the file is written again."""
        return self.add(image, stem)

    def close(self) -> tuple[Path, ...]:
        """Put the file in place, unless somebody has put another one there meanwhile."""
        self._target.claim(self._target.path)
        with self._images:
            write_file(self._target.path, self._compose)
        return (self._target.path,)

    def _compose(self, file: IO[bytes]) -> None:
        labels = "".join(_label(label, color) for label, color in self._labels.items())
        task = (
            text_element("name", "Masks made with sam2-adapter")
            + text_element("size", str(self._num_images))
            + text_element("mode", "annotation")
            + f"<labels>{labels}</labels>"
        )
        head = (
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
            f"  <meta><task>{task}</task>{_made_by(self._target.made_by)}</meta>\n"
        )
        file.write(head.encode())
        self._images.seek(0)
        shutil.copyfileobj(self._images, file)
        file.write(b"</annotations>\n")


def _label(label: str, color: Color | None) -> str:
    shown = "" if color is None else text_element("color", hex_of_color(color))
    return f"<label>{text_element('name', label)}{shown}</label>"


def _made_by(facts: Mapping[str, Any]) -> str:
    return text_element("made_by", ", ".join(f"{name} {value}" for name, value in facts.items()))


def read_cvat_prompts(root: Path, image_paths: Sequence[Path] = ()) -> ListedPrompts:
    """The boxes and points of a file, or of those of a folder, by picture.

    Raises:
        DataError: a file is not of this format.
        PromptError: there is none.
    """
    images = [
        HintedImage(image.name, *read_shapes(image, None), image.listed_hw)
        for path in cvat_files(root)
        for image in read_document(path).images
    ]
    return collect_prompts(images, LeftOut(), root, image_paths)


FORMAT = Format(
    recognise=is_cvat_data,
    read_dataset=read_cvat_data,
    read_labels=listed_labels,
    read_prompts=read_cvat_prompts,
    open_writer=CvatWriter,
)
