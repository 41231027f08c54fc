"""labelme as a `Format`: folders of label files, their boxes and points as prompts, and one label file per image as results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.files import write_json
from sam2_adapter.formats.base import Format, ListedPrompts, Writer, WritingTarget, Written
from sam2_adapter.formats.labelme.dataset import is_labelme_data, label_files, name_of_image, read_labelme_data
from sam2_adapter.formats.labelme.objects import image_to_labelme
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.shape_prompts import HintedImage, collect_prompts


class LabelmeWriter(Writer):
    """Writes `NAME.json` for every image, to be put beside the picture."""

    def __init__(self, target: WritingTarget) -> None:
        self._target = target

    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Write the label file of one image."""
        path = self._target.claimed(f"{stem}.json")
        export = image_to_labelme(image, output_type=self._target.output_type)
        write_json(path, {**export.document, "made_by": dict(self._target.made_by)})
        return Written((path,), export.notes)


def read_labelme_prompts(root: Path, image_paths: Sequence[Path] = ()) -> ListedPrompts:
    """The boxes and points of a label file, or of all label files of a folder, by picture.

    Raises:
        PromptError: there is none.
    """
    left_out = LeftOut()
    images = [
        HintedImage(name_of_image(where, found), *found.read_shapes(None, where), found.listed_hw)
        for where, found in label_files(root, left_out)
    ]
    return collect_prompts(images, left_out, root, image_paths)


FORMAT = Format(
    recognise=is_labelme_data,
    read_dataset=read_labelme_data,
    read_prompts=read_labelme_prompts,
    open_writer=LabelmeWriter,
)
