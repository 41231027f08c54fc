"""COCO as a `Format`: data sets, annotation files, and results of all images in one file."""

from __future__ import annotations

from pathlib import Path

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.formats.base import Format, Writer, WritingTarget, Written
from sam2_adapter.formats.coco.dataset import is_coco_data, listed_labels, read_coco_data
from sam2_adapter.formats.coco.writer import CocoStream


class CocoWriter(Writer):
    """Adds every image to one file, which is complete when it is closed."""

    def __init__(self, target: WritingTarget) -> None:
        self._target = target
        target.claim(target.path)
        self._stream = CocoStream(
            target.path,
            target.model_name,
            target.made_by,
            segmentation="polygon" if target.output_type == "polygon" else "rle",
            labels=tuple(target.labels),
        )

    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Add one image."""
        return Written((), self._stream.add(image))

    def add_done(self, image: AnnotatedImage, stem: str) -> Written:
        """Add an image of an earlier run: the file is written again."""
        return self.add(image, stem)

    def close(self) -> tuple[Path, ...]:
        """Put the file in place, unless somebody has put another one there meanwhile."""
        self._target.claim(self._target.path)
        return (self._stream.close(),)


FORMAT = Format(recognise=is_coco_data, read_dataset=read_coco_data, read_labels=listed_labels, open_writer=CocoWriter)
