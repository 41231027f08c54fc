"""The values of a prompt: brought to their types from the forms that people write, and checked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_adapter.arguments import is_number
from sam2_adapter.errors import PromptError

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

FOREGROUND = 1
BACKGROUND = 0

# Logits beyond this come from no model, and lead the decoder to numbers that are none.
_MOST_LOGIT = 1e6


def parse_numbers(text: str) -> list[float] | None:
    """The numbers of a text such as "40, 60, 300, 220", "40 60 300 220" or "[40, 60]"; `None` where a part is no number."""
    parts = re.split(r"\s*[,;]\s*|\s+", text.strip().strip("()[]").strip())
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None


def checked_box(box: Any) -> tuple[float, float, float, float] | None:
    """Four numbers; also as a text, or as two corners [[x0, y0], [x1, y1]]."""
    if box is None:
        return None
    values = _as_array("box", _numbers_of_text(box))
    if values.shape == (2, 2):
        values = values.ravel()
    if values.shape != (4,):
        raise PromptError(f"'box' is four numbers x0, y0, x1, y1, but got {short(box)}.")
    x0, y0, x1, y1 = values.tolist()
    if not (x1 > x0 and y1 > y0):
        raise PromptError(
            f"Box {shown_numbers((x0, y0, x1, y1))} is empty: a box is x0, y0, x1, y1 with its top left corner first, so that "
            "x1 must be greater than x0 and y1 greater than y0."
        )
    return x0, y0, x1, y1


def checked_points(coords: Any, labels: Any) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Pairs of numbers and a label for each; see `as_pairs` for the forms of one point."""
    points = _as_array("points", as_pairs(coords))
    points = points.reshape(0, 2) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise PromptError(f"'points' is a list of [x, y] pairs, but got {short(coords)}.")
    values = _as_array("labels", labels)
    if values.shape != (len(points),):
        raise PromptError(f"'labels' needs one value for each of the {len(points)} points, but got {short(labels)}.")
    if not np.isin(values, (BACKGROUND, FOREGROUND)).all():
        raise PromptError(f"'labels' are 1 (foreground) or 0 (background), but got {short(labels)}.")
    with np.errstate(over="ignore"):  # such a point lies outside every image, which is found out later
        return points.astype(np.float32), values.astype(np.int64)


def checked_numbers(key: str, value: Any, count: int) -> tuple[float, ...]:
    """So many finite numbers."""
    array = _as_array(key, value)
    if array.shape != (count,):
        raise PromptError(f"'{key}' is {count} numbers, but got {short(value)}.")
    return tuple(array.tolist())


def as_pairs(points: Any) -> Any:
    """Points as a list of pairs, where one point stands alone: [x, y] or "x, y"."""
    value = _numbers_of_text(points)
    if hasattr(value, "__array__"):
        array = _as_array("points", value)
        return array[None] if array.shape == (2,) else array
    is_one_point = isinstance(value, Sequence) and len(value) == 2 and all(is_number(part) for part in value)
    return [value] if is_one_point else value


def checked_mask_input(mask_input: Any) -> FloatArray | None:
    """Float logits h x w, finite and of a size that models give."""
    if mask_input is None:
        return None
    try:
        logits = np.asarray(mask_input)
    except (TypeError, ValueError, RuntimeError):  # rows of several lengths, tensors on a GPU or with gradients
        raise PromptError(f"Earlier logits are a float array h x w, but got {short(mask_input)}.") from None
    if logits.ndim != 2 or not logits.size or not np.issubdtype(logits.dtype, np.floating):
        raise PromptError(f"Earlier logits are a float array h x w, but got {logits.dtype} of shape {logits.shape}.")
    if not np.isfinite(logits).all():
        raise PromptError("Earlier logits must be finite, but some are NaN or infinite.")
    if np.abs(logits).max() > _MOST_LOGIT:
        raise PromptError(
            f"Earlier logits are those of a prediction, which lie far within {_MOST_LOGIT:g}, but some are larger; give its low_res_logits."
        )
    return logits.astype(np.float32)


def checked_mask(mask: Any) -> BoolArray | None:
    """A bool mask H x W with at least one pixel."""
    if mask is None:
        return None
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
        raise PromptError(f"'mask' is a bool array of the image's height x width, but got {short(mask)}.")
    if not mask.any():
        raise PromptError("The mask of the prompt is empty: no pixel is set.")
    return mask


def _as_array(key: str, value: Any) -> npt.NDArray[np.float64]:
    try:
        array: npt.NDArray[np.float64] = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last: tensors of torch with gradients
        raise PromptError(f"'{key}' holds numbers only, but got {short(value)}.") from None
    if not np.isfinite(array).all():
        raise PromptError(f"'{key}' must be finite numbers, but got {short(value)}.")
    return array


def checked_number(key: str, value: Any) -> float:
    """A finite number."""
    try:
        if is_number(value) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise PromptError(f"'{key}' is a finite number, but got {short(value)}.")


def checked_text(key: str, value: Any) -> str | None:
    """A text or nothing."""
    if value is not None and not isinstance(value, str):
        raise PromptError(f"'{key}' is a text, but got {short(value)}.")
    return value


def checked_attributes(value: Any) -> Mapping[str, Any] | None:
    """Names and values, or nothing."""
    if value is not None and not isinstance(value, Mapping):
        raise PromptError(f"'attributes' is an object of names and values, but got {short(value)}.")
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise PromptError(
            f"'attributes' holds texts, finite numbers, true, false, null, and lists and objects of these, but got {short(value)}."
        ) from None
    return value


def default_labels(points: Any) -> Any:
    """Foreground for every point."""
    return [FOREGROUND] * (len(points) if isinstance(points, Sequence) or np.ndim(points) else 0)


def shown_numbers(values: Sequence[float]) -> str:
    """Numbers for a message."""
    return "(" + ", ".join(f"{v:g}" for v in values) + ")"


def short(value: Any) -> str:
    """A value for a message, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # numbers of thousands of digits, deep nesting
        return "a number that is too long to show" if isinstance(value, int) else "a value that is too long to show"
    return text if len(text) <= 80 else text[:77] + "..."


def _numbers_of_text(value: Any) -> Any:
    """The numbers of a text; the value itself where it is no text or holds something else."""
    numbers = parse_numbers(value) if isinstance(value, str) else None
    return value if numbers is None else numbers
