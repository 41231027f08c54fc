"""Dataloop as a `Format`: exports, item documents, and one item document per image as results."""

from __future__ import annotations

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.files import write_json
from sam2_adapter.formats.base import Format, Writer, WritingTarget, Written
from sam2_adapter.formats.dataloop.dataset import is_dataloop_export, read_dataloop_export
from sam2_adapter.formats.dataloop.objects import image_to_dataloop_item


class DataloopWriter(Writer):
    """Writes `NAME.json` for every image."""

    def __init__(self, target: WritingTarget) -> None:
        self._target = target

    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Write the item document of one image."""
        path = self._target.claimed(f"{stem}.json")
        export = image_to_dataloop_item(image, self._target.model_name, output_type=self._target.output_type)
        export.document["metadata"]["user"] = {"made_by": dict(self._target.made_by)}
        write_json(path, export.document)
        return Written((path,), export.notes)


FORMAT = Format(
    recognise=is_dataloop_export,
    read_dataset=read_dataloop_export,
    open_writer=DataloopWriter,
)
