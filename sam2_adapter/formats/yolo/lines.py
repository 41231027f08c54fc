"""Objects as lines of YOLO's text files: the number of a class, then x y x y ... of one outline, as fractions of width and height.

A line holds one outline. Several parts, and holes, become one outline by lines between them that run to and fro, so that they cover nothing
where an outline is filled by the even-odd rule. Programs that also paint the outline itself paint these lines one pixel wide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import Polygon, Ring
from sam2_adapter.errors import DataError
from sam2_adapter.formats.document import short

NUMBERS_OF_A_BOX, NUMBERS_OF_A_TURNED_BOX = 5, 9
_LEAST_NUMBERS = 7

# Polygons may reach a little over the border; numbers beyond this are pixels.
_LARGEST_FRACTION = 1.5

# Corners of boxes are written with few decimals.
_TOLERANCE_PX = 1.0

# A hundredth of a pixel in images of 10,000 pixels.
_DECIMALS = 6


def outline_of_line(words: Sequence[str], original_hw: tuple[int, int]) -> Ring:
    """The vertices N x 2 of a line in pixels.

    Args:
        words: the line at its spaces; the first one is the class.
        original_hw: (height, width) of the image.

    Raises:
        DataError: the words are no numbers, too few, or no fractions.
    """
    height, width = original_hw
    try:
        numbers = np.array([float(word) for word in words[1:]])
    except ValueError:
        raise DataError(
            f"a line is the number of a class and fractions x y x y ..., but got {short(' '.join(words))}."
        ) from None
    if len(words) < _LEAST_NUMBERS or len(numbers) % 2:
        raise DataError(f"a polygon is a class and at least three pairs x y, but got {len(words)} numbers.")
    check_fractions(numbers)
    return numbers.reshape(-1, 2) * (width, height)


def check_fractions(numbers: npt.NDArray[np.float64]) -> None:
    """Refuse pixels.

    Raises:
        DataError: a number is far beyond what a fraction of an image is.
    """
    if np.abs(numbers).max() > _LARGEST_FRACTION:
        raise DataError(f"coordinates are fractions from 0 to 1, but one of them is {np.abs(numbers).max():g}.")


def is_turned_rectangle(outline: Ring) -> bool:
    """Whether an outline in pixels has four corners at right angles, and sides that are not those of an upright box."""
    if len(outline) != 4:
        return False
    first, second, third, fourth = outline
    is_parallelogram = np.abs(first + third - second - fourth).max() <= _TOLERANCE_PX
    diagonals = np.linalg.norm(third - first), np.linalg.norm(fourth - second)
    is_upright = np.abs(second - first).min() <= _TOLERANCE_PX
    return bool(is_parallelogram and abs(diagonals[0] - diagonals[1]) <= _TOLERANCE_PX and not is_upright)


def annotation_to_line(annotation: Annotation, number: int, tolerance: float = 1.0) -> tuple[str, str]:
    """The line of an object.

    Args:
        annotation: the object.
        number: that of its class.
        tolerance: simplification in pixels, as in `mask_to_polygons`.

    Returns:
        The line, and what it could not hold; empty where it is one part without holes.
    """
    height, width = annotation.original_hw
    parts = annotation.to_polygons(tolerance)
    fractions = one_outline(parts) / (width, height)
    words = (f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".") for value in fractions.ravel().tolist())
    return " ".join((str(number), *words)), _what_is_joined(parts)


def one_outline(parts: Sequence[Polygon]) -> Ring:
    """One outline N x 2 of all parts and holes, which lines between them connect."""
    outline, *others = [ring for part in parts for ring in part.rings]
    for ring in others:
        outline = _connected(outline, ring)
    return outline


def _connected(outline: Ring, ring: Ring) -> Ring:
    """The outline with a detour from one of its vertices to a ring, around it, and back."""
    leaving = _nearest(outline, ring.mean(axis=0))
    arriving = _nearest(ring, outline[leaving])
    detour = np.concatenate([ring[arriving:], ring[: arriving + 1]])
    return np.concatenate([outline[: leaving + 1], detour, outline[leaving:]])


def _nearest(ring: Ring, point: Ring) -> int:
    return int(((ring - point) ** 2).sum(axis=1).argmin())


def _what_is_joined(parts: Sequence[Polygon]) -> str:
    has = [f"{len(parts)} parts"] if len(parts) > 1 else []
    has += ["holes"] if any(part.holes for part in parts) else []
    return " and ".join(has)
