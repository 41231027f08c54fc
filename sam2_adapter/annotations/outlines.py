"""Tracing the pixel edges around a mask, as closed rings of corners.

A corner is a point of the pixel lattice where the outline turns. In every lattice row the corners pair up, first with
second, third with fourth, into the horizontal edges of the outline; in every column into the vertical ones. Following
the pairs gives the rings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.prompts import BoolArray

Ring = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# The four pixels around a lattice point as bits: above left, above right, below left, below right.
_ABOVE_LEFT, _ABOVE_RIGHT, _BELOW_LEFT, _BELOW_RIGHT = 1, 2, 4, 8
_FALLING_SADDLE = _ABOVE_LEFT | _BELOW_RIGHT
_RISING_SADDLE = _ABOVE_RIGHT | _BELOW_LEFT

# Which of the 16 patterns are corners, and at which of them the outline goes on horizontally, with the object on its
# right hand.
_IS_CORNER = np.isin(np.arange(16), [1, 2, 4, 8, 7, 11, 13, 14, _FALLING_SADDLE, _RISING_SADDLE])
_LEAVES_HORIZONTALLY = np.isin(np.arange(16), [1, 8, 11, 13, _FALLING_SADDLE])


def trace_rings(mask: BoolArray) -> list[Ring]:
    """Trace the outline of all parts and holes of a mask.

    Args:
        mask: bool H x W.

    Returns:
        Float64 N x 2 rings of (x, y) corners, the object on the right hand: exteriors run clockwise on screen, holes
        counter-clockwise. Where two pixels touch only at a corner the outline turns towards the same pixel (4-connected
        parts); no ring passes a point twice.
    """
    x, y, code = _find_corners(mask)
    successor = _successors(x, y, code)
    rings = []
    for members in _cycles(successor):
        corners = np.stack([x[members], y[members]], axis=1)
        is_simple = not np.isin(code[members], (_FALLING_SADDLE, _RISING_SADDLE)).any()
        rings += [corners] if is_simple else _split_where_touching(corners)
    return [ring.astype(np.float64) for ring in rings]


def _find_corners(mask: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Lattice coordinates and pattern of all corners, row by row; a saddle, where two corners meet, is listed twice."""
    padded = np.pad(mask, 1).view(np.uint8)
    code = padded[:-1, :-1] | padded[:-1, 1:] << 1 | padded[1:, :-1] << 2 | padded[1:, 1:] << 3
    flat = np.flatnonzero(_IS_CORNER[code])
    patterns = code.reshape(-1)[flat].astype(np.int64)
    copies = np.where((patterns == _FALLING_SADDLE) | (patterns == _RISING_SADDLE), 2, 1)
    flat, patterns = np.repeat(flat, copies), np.repeat(patterns, copies)
    y, x = np.divmod(flat, code.shape[1])
    return x, y, patterns


def _successors(x: IntArray, y: IntArray, code: IntArray) -> IntArray:
    """The index of the next corner along the outline."""
    index = np.arange(len(x))
    # Of the two corners of a saddle the first one has its horizontal edge to the left. Its vertical edge then goes up
    # at a falling saddle and down at a rising one.
    is_second = np.zeros(len(x), np.int64)
    is_second[1:] = (x[1:] == x[:-1]) & (y[1:] == y[:-1])
    goes_down = np.where(code == _RISING_SADDLE, 1 - is_second, is_second)
    down_the_columns = np.lexsort((goes_down, y, x))
    vertical = np.empty_like(index)
    vertical[down_the_columns] = down_the_columns[index ^ 1]
    return np.where(_LEAVES_HORIZONTALLY[code], index ^ 1, vertical)


def _cycles(successor: IntArray) -> list[list[int]]:
    following = successor.tolist()
    is_visited = bytearray(len(following))
    cycles = []
    for start in range(len(following)):
        cycle = []
        index = start
        while not is_visited[index]:
            is_visited[index] = 1
            cycle.append(index)
            index = following[index]
        if cycle:
            cycles.append(cycle)
    return cycles


def _split_where_touching(corners: IntArray) -> list[IntArray]:
    """Cut a ring that passes a point twice into rings that touch there."""
    rings = []
    path: list[tuple[int, int]] = []
    position: dict[tuple[int, int], int] = {}
    for x, y in corners.tolist():
        corner = (x, y)
        if corner in position:
            loop = path[position[corner] :]
            rings.append(loop)
            del path[position[corner] + 1 :]
            for passed in loop[1:]:
                del position[passed]
        else:
            position[corner] = len(path)
            path.append(corner)
    return [np.array(ring, np.int64) for ring in (*rings, path)]
