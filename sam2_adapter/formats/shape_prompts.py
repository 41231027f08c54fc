"""Boxes and points that people drew in a labelling tool, as prompts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.errors import ImageError, PromptError
from sam2_adapter.formats.base import ListedPrompts
from sam2_adapter.formats.dataset_reader import fits_listed
from sam2_adapter.formats.image_names import find_listed, is_foreign
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.shapes import Shape, by_group
from sam2_adapter.images.read import image_size
from sam2_adapter.text import plural

logger = logging.getLogger(__name__)


class HintedImage(NamedTuple):
    """One image and what was drawn on it.

    Attributes:
        name: as prompts files name images.
        shapes: all shapes.
        problems: what is wrong with each shape that cannot be read.
        listed_hw: (height, width) of the image that it was drawn on, as far as the file says so.
    """

    name: str
    shapes: Sequence[Shape]
    problems: Sequence[str] = ()
    listed_hw: tuple[int | None, int | None] = (None, None)


def collect_prompts(
    images: Sequence[HintedImage], left_out: LeftOut, source: Path, image_paths: Sequence[Path] = ()
) -> ListedPrompts:
    """The prompts of all images that have some; says what is none.

    Args:
        images: the images, each name may stand several times.
        left_out: what could not be read before.
        source: the file or folder, for messages.
        image_paths: the images that the prompts may be for; what was drawn on an image of another size is refused.

    Raises:
        PromptError: there is no prompt at all.
    """
    found: ListedPrompts = {}
    passed_over: list[Shape] = []
    for image, problem in zip(images, _problems_of_size(images, image_paths), strict=True):
        prompts = [*prompts_of_shapes(image.shapes), *map(RefusedPrompt, image.problems)]
        prompts = [RefusedPrompt(problem)] * len(prompts) if problem else prompts
        if prompts:
            found.setdefault(image.name, []).extend(prompts)
        passed_over += [shape for shape in image.shapes if not _is_hint(shape)]
    if left_out:
        logger.warning("%s: %s", source, left_out.account)
    if not found:
        raise PromptError(
            f"{source}: there is no box and no point in it, which could be prompts. {left_out.account if left_out else ''}".strip()
        )
    if passed_over:
        told = plural(len(passed_over), "shape is", "shapes are")
        logger.warning("%s: %s neither box nor point and no prompt, such as %s.", source, told, passed_over[0].where)
    return found


def prompts_of_shapes(shapes: Iterable[Shape]) -> list[Prompt | RefusedPrompt]:
    """The prompts of one image, one per object: a box and points of one group and label belong together, other shapes stand alone."""
    return [_prompt(parts) for parts in by_group(shape for shape in shapes if _is_hint(shape))]


def _problems_of_size(images: Sequence[HintedImage], image_paths: Sequence[Path]) -> Iterator[str]:
    """What is wrong with the size of each image; empty where it fits, or is not known."""
    names = find_listed(
        [image.name for image in images], [path.as_posix() for path in image_paths], may_shorten=is_foreign
    )
    for image, found in zip(images, names, strict=True):
        try:
            height, width = image_size(Path(found[0])) if len(found) == 1 else image.listed_hw
        except ImageError:  # told when the image is read
            height, width = image.listed_hw
        if fits_listed(image.listed_hw, (height, width)):
            yield ""
            continue
        listed_height, listed_width = image.listed_hw
        yield (
            f"{image.name}: this was drawn on an image of {listed_width}x{listed_height} pixels, but the image has {width}x{height}. "
            "Give the image that was drawn on."
        )


def _is_hint(shape: Shape) -> bool:
    return shape.box_xyxy is not None or shape.points is not None


def _prompt(parts: Sequence[Shape]) -> Prompt | RefusedPrompt:
    boxes = [part for part in parts if part.box_xyxy is not None]
    points = [part.points for part in parts if part.points is not None]
    first = parts[0]
    if len(boxes) > 1:
        return RefusedPrompt(
            f"{boxes[1].where}: a second box in group {first.group}, but an object has one box. Take one of the two out of the group."
        )
    coords: Any = np.concatenate(points) if points else ()
    try:
        return Prompt(
            box_xyxy=boxes[0].box_xyxy if boxes else None,
            box_angle=boxes[0].angle if boxes else 0.0,
            point_coords=coords,
            point_labels=np.ones(len(coords), np.int64),
            label=first.label or None,
            attributes=first.attributes or None,
            object_id=first.object_id,
            parent_id=first.parent_id,
        )
    except PromptError as error:
        return RefusedPrompt(f"{first.where}: {error}")
