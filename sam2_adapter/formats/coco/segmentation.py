"""The `segmentation` of a COCO object: polygons or runs, in the forms that tools write, as one mask."""

from __future__ import annotations

import ast
import json
import warnings
from typing import Any, NamedTuple

import numpy as np

from sam2_adapter.annotations.polygons import Polygon, Ring, polygons_to_mask
from sam2_adapter.annotations.rle import Rle, mask_to_rle, runs_to_rle
from sam2_adapter.errors import DataError
from sam2_adapter.formats.document import field, short

_FORM = "a list of polygons [[x, y, x, y, ...], ...] or an object with 'size' and 'counts'"


# Of a text in Python's form, which takes much more time and memory to parse than JSON; and how such a text begins.
_MOST_CHARACTERS = 200_000
_OPENING = ("{", "[", "(")


class CocoMask(NamedTuple):
    """A mask and what was passed over to make it.

    Attributes:
        rle: the mask.
        degenerate_rings: number of rings of fewer than three points, which cover nothing.
    """

    rle: Rle
    degenerate_rings: int = 0


def from_text(segmentation: Any) -> Any:
    """What a text in the place of a `segmentation` holds, as JSON or as Python writes it: so do programs that keep objects in tables.

    Anything else is given back.
    """
    if not isinstance(segmentation, str):
        return segmentation
    text = segmentation.strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _plain(_python_value(text)) if text[:1] in _OPENING and len(text) <= _MOST_CHARACTERS else segmentation


def read_segmentation(segmentation: Any, original_hw: tuple[int, int]) -> CocoMask:
    """Read a `segmentation`.

    Args:
        segmentation: polygons, one flat polygon, or runs as a list or in COCO's compressed text; see `from_text` for a text that holds one of these.
        original_hw: (height, width) of the image.

    Raises:
        DataError: it has none of these forms, or no polygon has three points; the text begins with the key.
    """
    if isinstance(segmentation, list):
        rings, degenerate = read_rings(segmentation)
        return CocoMask(mask_to_rle(polygons_to_mask([Polygon(ring) for ring in rings], original_hw)), degenerate)
    if not isinstance(segmentation, dict):
        raise DataError(f"'segmentation' is {_FORM}, but got {short(segmentation)}.")
    return CocoMask(_read_runs(segmentation, original_hw))


def read_rings(segmentation: list[Any]) -> tuple[list[Ring], int]:
    """The rings of a list of polygons, N x 2 each, and the number of degenerate ones that were passed over.

    Raises:
        DataError: no polygon has three points, or one is malformed.
    """
    rings = [_read_ring(numbers) for numbers in _as_list_of_rings(segmentation)]
    good = [ring for ring in rings if len(ring) >= 3]
    if not good:
        raise DataError(f"'segmentation' needs a polygon of at least three points, but got {short(segmentation)}.")
    return good, len(rings) - len(good)


def _as_list_of_rings(segmentation: list[Any]) -> list[Any]:
    """One polygon that stands without the outer list, flat or as pairs, is one polygon."""
    is_flat = all(not isinstance(part, list) for part in segmentation)
    is_pairs = len(segmentation) >= 3 and all(_is_pair(part) for part in segmentation)
    return [segmentation] if is_flat or is_pairs else segmentation


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and not any(isinstance(number, list) for number in value)


def _read_ring(numbers: Any) -> Ring:
    form = f"a polygon in 'segmentation' is a list of numbers x, y, x, y, ..., but got {short(numbers)}."
    if not isinstance(numbers, list):
        raise DataError(form)
    try:
        values = np.array(numbers, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(form) from None
    if values.ndim == 2 and values.shape[1] == 2:
        return values
    if values.ndim != 1:
        raise DataError(form)
    if len(values) % 2 and len(values) > 6:
        raise DataError(f"a polygon in 'segmentation' has {len(values)} numbers; expected pairs x, y.")
    return values[: len(values) // 2 * 2].reshape(-1, 2)


def _read_runs(segmentation: dict[str, Any], original_hw: tuple[int, int]) -> Rle:
    size = _whole_numbers(field(segmentation, "size", list, "'segmentation'"))
    if size != list(original_hw):
        raise DataError(
            f"'segmentation' has the 'size' {short(segmentation['size'])} (height, width), "
            f"but the image {list(original_hw)}."
        )
    counts = segmentation.get("counts")
    if isinstance(counts, list):
        runs = _whole_numbers(counts)
        if runs is None or not all(0 <= run < 2**32 for run in runs):
            raise DataError(f"'counts' in 'segmentation' are whole numbers from 0, but got {short(counts)}.")
        return runs_to_rle(np.array(runs, dtype=np.int64), original_hw)
    return Rle(_plain_text(field(segmentation, "counts", str, "'segmentation'")), original_hw)


def _whole_numbers(values: list[Any]) -> list[int] | None:
    """The values as whole numbers, which some tools write as texts or with a point; `None` where one is none."""
    try:
        numbers = [int(value) for value in values]
        is_whole = all(
            not isinstance(value, float) or value == number for value, number in zip(values, numbers, strict=True)
        )
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if is_whole else None


def _plain_text(counts: str) -> str:
    """Counts without the mark of Python's bytes, which some tools write along."""
    if counts[:2] not in ("b'", 'b"'):
        return counts
    value = _python_value(counts)
    return value.decode("latin-1") if isinstance(value, bytes) else counts


def _plain(value: Any) -> Any:
    """A value of Python as JSON would have it: with lists in the place of tuples, and texts in that of bytes."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _python_value(text: str) -> Any:
    """The value that a text is in Python; the text itself where it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # counts have backslashes, which not all tools write twice
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
