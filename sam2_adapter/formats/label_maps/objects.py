"""Mask PNGs: a label map of all objects of an image, and one picture per object.

Label maps are plain grey PNGs, 0 for the background and i + 1 for the object at index i. They carry no palette: some
readers would turn its colours back into grey values and lose the numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.errors import ExportError
from sam2_adapter.files import write_file
from sam2_adapter.images.mask_files import png

LabelMap = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_MOST_OBJECTS = 65_535


def image_to_label_map(image: AnnotatedImage) -> LabelMap:
    """Paint all objects of an image, larger ones first, so that smaller ones stay visible on top.

    Returns:
        H x W, 0 background, i + 1 for the object at index i; uint8 up to 255 objects, else uint16.

    Raises:
        ExportError: more objects than a 16-bit picture can number.
    """
    count = len(image.annotations)
    if count > _MOST_OBJECTS:
        raise ExportError(
            f"{image.file_name}: a label map holds up to {_MOST_OBJECTS} objects, but there are {count}; choose another format."
        )
    label_map = np.zeros(image.original_hw, np.uint8 if count <= 255 else np.uint16)
    areas = [annotation.area for annotation in image.annotations]
    for index in sorted(range(count), key=lambda i: -areas[i]):
        annotation = image.annotations[index]
        x0, y0, x1, y1 = annotation.box_xyxy
        label_map[y0:y1, x0:x1][annotation.mask_in_box] = index + 1
    return label_map


def write_label_map(path: str | Path, image: AnnotatedImage) -> tuple[str, ...]:
    """Write the label map of an image as PNG.

    Returns:
        A note for every object that smaller ones cover completely, so that it is not in the picture.

    Raises:
        ExportError: too many objects, or the file cannot be written.
    """
    label_map = image_to_label_map(image)
    content = png(Image.fromarray(label_map))
    write_file(path, lambda file: file.write(content))
    visible = set(np.unique(label_map).tolist())
    return tuple(
        f"{name} lies completely under smaller objects and is not in the label map."
        for number, (name, _) in enumerate(image.named_annotations(), start=1)
        if number not in visible
    )


def write_mask(path: str | Path, mask: BoolArray) -> None:
    """Write a bool H x W mask as a grey PNG, 255 inside and 0 outside; `read_mask` reads it back.

    Raises:
        ExportError: the file cannot be written.
    """
    content = png(Image.fromarray(mask.astype(np.uint8) * np.uint8(255)))
    write_file(path, lambda file: file.write(content))
