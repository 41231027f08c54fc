"""Masks whose edges are soft: smoothed, resized, or saved as JPEG, so that they hold many values along their outlines.

In a label map a number covers an area: most of its pixels have neighbours of the same number. The values of a soft edge form thin lines,
and nearly each of their pixels touches another value that is not the background.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.prompts import BoolArray

Values = npt.NDArray[Any]

# Fewer values than this may be small objects.
_FEWEST_EDGE_VALUES = 4
_TOUCHING_SHARE = 0.8

# Where more values than this touch each other over most of the picture, it is a photograph and no map.
_MOST_VALUES_OF_A_MAP = 30
_TOUCHING_SHARE_OF_A_PHOTOGRAPH = 0.6

# Values of the body of a soft mask lie within this part of the range from background or from full.
_NEAR = 0.3

# Pixels between body and background, as a part of those of the mask, of the softest mask that is one.
_MOST_BETWEEN = 0.7

# Compression leaves values as near as this to background and full, several of each.
_NEAR_OF_NOISE = 0.1


# Channels of one colour, as parts of the largest one, differ by less than this after compression.
_ONE_COLOUR = 0.3


class _Edges(NamedTuple):
    """What the values but 0 of a picture are: those that occur along edges only, those that cover areas, and how much touches."""

    edge_values: list[float]
    body_values: list[float]
    touching_share: float


def has_soft_edges(values: Values) -> bool:
    """Whether the values of a grey picture H x W, 0 for the background, run into one another instead of naming objects."""
    edges = _edges(values)
    found = [*edges.edge_values, *edges.body_values]
    if len(found) > _MOST_VALUES_OF_A_MAP and edges.touching_share > _TOUCHING_SHARE_OF_A_PHOTOGRAPH:
        return True
    top = max(found, default=0.0)
    if sum(value >= (1 - _NEAR_OF_NOISE) * top for value in found) >= _FEWEST_EDGE_VALUES and not any(
        _NEAR_OF_NOISE * top < value < (1 - _NEAR_OF_NOISE) * top for value in found
    ):
        return True
    return len(edges.edge_values) >= _FEWEST_EDGE_VALUES and len(edges.edge_values) > len(edges.body_values)


def brightness(rgb: Values) -> Values | None:
    """The brightness H x W of a picture in one colour that a lossy format has blurred, such as a red mask on black.

    Args:
        rgb: uint8 H x W x 3.

    Returns:
        The largest channel of each pixel; `None` where the pixels that are nearly as bright as the brightest have several colours.
    """
    values: Values = rgb.max(axis=2)
    top = values.max()
    if not top:
        return values
    is_bright = values >= (1 - _NEAR) * top
    low, high = np.percentile(rgb[is_bright] / values[is_bright, None], (5, 95), axis=0)
    return values if np.max(high - low) <= _ONE_COLOUR else None


def harden(values: Values) -> BoolArray | None:
    """The mask of a soft one, the pixels of at least half of the largest value.

    Args:
        values: grey H x W that `has_soft_edges`.

    Returns:
        bool H x W; `None` where the picture has areas of several brightnesses, so that it is no single mask.
    """
    top = float(values.max())
    if any(_NEAR * top < value < (1 - _NEAR) * top for value in _edges(values).body_values):
        return None
    mask: BoolArray = (values >= top / 2) & (values != 0)
    between = np.count_nonzero((values > _NEAR * top) & (values < (1 - _NEAR) * top))
    return mask if between <= _MOST_BETWEEN * np.count_nonzero(mask) else None


def _edges(values: Values) -> _Edges:
    padded = np.pad(values, 1)
    centre = padded[1:-1, 1:-1]
    is_inner = np.ones(values.shape, np.bool_)
    touches_other = np.zeros(values.shape, np.bool_)
    for neighbour in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        is_inner &= neighbour == centre
        touches_other |= (neighbour != centre) & (neighbour != 0)
    is_set = centre != 0
    found, index, counts = np.unique(centre[is_set], return_inverse=True, return_counts=True)
    inner = np.bincount(index, is_inner[is_set], len(found))
    touching = np.bincount(index, touches_other[is_set], len(found))
    is_edge = (inner == 0) & (touching >= _TOUCHING_SHARE * counts)
    share = float(touching.sum() / max(1, counts.sum()))
    return _Edges(found[is_edge].tolist(), found[~is_edge].tolist(), share)
