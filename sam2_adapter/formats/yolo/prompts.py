"""The boxes of YOLO's text files as prompts: lines of five numbers, as data sets for finding objects have them, and turned boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.errors import DataError, ImageError, PromptError
from sam2_adapter.formats.base import ListedPrompts
from sam2_adapter.formats.document import short
from sam2_adapter.formats.image_names import find_listed
from sam2_adapter.formats.shapes import turned_box
from sam2_adapter.formats.yolo.description import Description, find_description, label_of_class, read_description
from sam2_adapter.formats.yolo.label_files import FOLDER, lines_of
from sam2_adapter.formats.yolo.lines import NUMBERS_OF_A_BOX, NUMBERS_OF_A_TURNED_BOX, check_fractions, outline_of_line
from sam2_adapter.images.find import files_below
from sam2_adapter.images.read import image_size


def read_yolo_prompts(root: Path, image_paths: Sequence[Path]) -> ListedPrompts:
    """The boxes of all text files below `labels/`, for the images that are called like them.

    Args:
        root: the folder of `data.yaml`, which names the classes, or that file.
        image_paths: the images, whose sizes turn the fractions into pixels.

    Raises:
        DataError: `data.yaml` is malformed.
        PromptError: there is no box for any of the images.
    """
    path = find_description(root)
    assert path is not None  # recognised before
    root, description = path.parent, read_description(path)
    files = {name: path for path in sorted(files_below(root)) if (name := _name_of_image(path.relative_to(root)))}
    found: ListedPrompts = {}
    images = [path.as_posix() for path in image_paths]
    for path, fitting in zip(files.values(), find_listed(list(files), images), strict=True):
        prompts = (
            _prompts_of(path, path.relative_to(root).as_posix(), Path(fitting[0]), description)
            if len(fitting) == 1
            else []
        )
        if prompts:
            found.setdefault(fitting[0], []).extend(prompts)
    if not found:
        raise PromptError(
            f"{root}: there is no box for any of the images in {FOLDER}/, as lines of five numbers; or of nine, the corners of turned boxes, "
            "where data.yaml says 'task: obb'."
        )
    return found


def _name_of_image(path: Path) -> str:
    """The path of the picture below the folder of pictures, without suffix; empty for other files."""
    folders = [part.lower() for part in path.parts[:-1]]
    if path.suffix.lower() != ".txt" or FOLDER not in folders:
        return ""
    return str(PurePosixPath(*path.with_suffix("").parts[folders.index(FOLDER) + 1 :]))


def _prompts_of(path: Path, where: str, image: Path, description: Description) -> list[Prompt | RefusedPrompt]:
    try:
        original_hw = image_size(image)
    except ImageError:  # told when the image is read
        return []
    prompts: list[Prompt | RefusedPrompt] = []
    try:
        lines = lines_of(path)
    except DataError as error:
        return [RefusedPrompt(str(error))]
    for number, line in lines:
        words = line.split()
        is_turned = description.has_turned_boxes and len(words) == NUMBERS_OF_A_TURNED_BOX
        if is_turned or len(words) == NUMBERS_OF_A_BOX:
            prompts.append(_prompt(words, f"{where}: line {number}", original_hw, description.names))
    return prompts


def _prompt(
    words: Sequence[str], where: str, original_hw: tuple[int, int], names: Mapping[int, str]
) -> Prompt | RefusedPrompt:
    height, width = original_hw
    label = label_of_class(words[0], names)
    try:
        if len(words) == NUMBERS_OF_A_TURNED_BOX:
            box, angle = turned_box(outline_of_line(words, original_hw))
            return Prompt(box_xyxy=box, box_angle=angle, label=label)
        x, y, w, h = (float(word) for word in words[1:])
        check_fractions(np.array([x, y, w, h]))
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        return Prompt(box_xyxy=box, label=label)
    except (PromptError, DataError) as error:
        return RefusedPrompt(f"{where}: {error}")
    except ValueError:
        return RefusedPrompt(
            f"{where}: a box is the number of a class and fractions x y width height, but got {short(' '.join(words))}."
        )
