"""Boxes and points that people drew in a labelling tool, as prompts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.base import ListedPrompts
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.shapes import Shape, by_group
from sam2_adapter.text import plural

logger = logging.getLogger(__name__)


class HintedImage(NamedTuple):
    """One image and what was drawn on it.

    Attributes:
        name: as prompts files name images.
        shapes: all shapes.
        problems: what is wrong with each shape that cannot be read.
    """

    name: str
    shapes: Sequence[Shape]
    problems: Sequence[str] = ()


def collect_prompts(images: Iterable[HintedImage], left_out: LeftOut, source: Path) -> ListedPrompts:
    """The prompts of all images that have some; says what is none.

    Args:
        images: the images, each name may stand several times.
        left_out: what could not be read before.
        source: the file or folder, for messages.

    Raises:
        PromptError: there is no prompt at all.
    """
    found: ListedPrompts = {}
    passed_over: list[Shape] = []
    for image in images:
        prompts = [*prompts_of_shapes(image.shapes), *map(RefusedPrompt, image.problems)]
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
