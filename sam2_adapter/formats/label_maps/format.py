"""Label maps as a `Format`: data sets of `images/` and `masks/`, and results as pictures.

NAME.png                 label map, 0 background, 1, 2, ... the objects
NAME/NAME_001.png, ...   one picture per object, 255 inside
NAME.json                label and score of every number
"""

from __future__ import annotations

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.files import write_json
from sam2_adapter.formats.base import Format, Writer, WritingTarget, Written
from sam2_adapter.formats.label_maps.dataset import is_label_map_data, listed_labels, read_label_map_data
from sam2_adapter.formats.label_maps.objects import write_label_map, write_mask
from sam2_adapter.formats.result_names import base_of, stem_of

# Of the number of an object in the name of its picture.
_LEAST_DIGITS = 3


class LabelMapWriter(Writer):
    """Writes a label map, the pictures of its objects, and what the numbers mean."""

    def __init__(self, target: WritingTarget) -> None:
        self._target = target

    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Write the pictures of one image."""
        label_map, legend = (self._target.claimed(f"{stem}{suffix}") for suffix in (".png", ".json"))
        folder, base = base_of(stem), base_of(stem_of(image.file_name))
        notes = write_label_map(label_map, image)
        digits = max(_LEAST_DIGITS, len(str(len(image.annotations))))
        pictures, objects = [], []
        for number, entry in enumerate(image.annotations, start=1):
            name = f"{base}_{number:0{digits}}.png"
            pictures.append(self._target.claimed(f"{stem}/{name}"))
            write_mask(pictures[-1], entry.mask)
            described = {"label": entry.label, "iou_score": entry.iou_score, **entry.found}
            objects.append({"number": number, "file": f"{folder}/{name}", **described})
        made_by = dict(self._target.made_by)
        write_json(legend, {"file_name": image.file_name, "objects": objects, "made_by": made_by})
        return Written((label_map, *pictures, legend), notes)


FORMAT = Format(
    recognise=is_label_map_data,
    read_dataset=read_label_map_data,
    read_labels=listed_labels,
    open_writer=LabelMapWriter,
)
