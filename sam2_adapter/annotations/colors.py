"""Colours that are told apart easily, always the same for the same label."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

Color = tuple[int, int, int]

# Vivid on photographs, neighbours far apart in hue.
PALETTE: Sequence[Color] = (
    (255, 66, 79),
    (44, 160, 255),
    (255, 196, 0),
    (38, 194, 96),
    (196, 84, 255),
    (255, 128, 26),
    (0, 206, 209),
    (255, 92, 176),
    (154, 215, 40),
    (98, 104, 255),
    (214, 154, 98),
    (0, 158, 128),
    (255, 150, 140),
    (128, 196, 255),
    (190, 150, 255),
    (240, 228, 92),
)


def color_of_index(index: int) -> Color:
    """The colour (red, green, blue in 0..255) of the object at `index`; repeats after the last one."""
    return PALETTE[index % len(PALETTE)]


def hex_of_color(color: Color) -> str:
    """A colour as web pages write it.

    >>> hex_of_color((255, 150, 140))
    '#ff968c'
    """
    return "#{:02x}{:02x}{:02x}".format(*color)


def color_of_label(label: str) -> Color:
    """The colour (red, green, blue in 0..255) of a label, the same on every machine; two labels may share one."""
    return color_of_index(zlib.crc32(label.encode("utf-8", "surrogatepass")))


def colors_of_labels(labels: Iterable[str]) -> dict[str, Color]:
    """One colour per label: its own, or the next free one; shared only when there are more labels than colours."""
    taken: dict[str, Color] = {}
    for label in sorted(set(labels)):
        start = PALETTE.index(color_of_label(label))
        candidates = [color_of_index(start + step) for step in range(len(PALETTE))]
        taken[label] = next((color for color in candidates if color not in taken.values()), candidates[0])
    return taken
