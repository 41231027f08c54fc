"""Labels on pictures, in any script: one font that comes with the package, shaped, and right to left where that is due.

Shaping and direction are HarfBuzz's and FriBidi's, through Pillow. FriBidi is a library of the system, and where it is missing
two small packages join Arabic letters and order what is written from right to left; other scripts are then drawn letter by
letter. A character that the font lacks is drawn as its code point, such as U+13000, not as an empty box.
"""

from __future__ import annotations

import logging
import unicodedata
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from PIL import ImageDraw, ImageFont, features

logger = logging.getLogger(__name__)

_FONT = Path(__file__).with_name("fonts") / "labels.ttf"

_LONGEST_LABEL = 32

# No font has it.
_NONCHARACTER = "\ufffe"

# What only says how the characters beside it are shown.
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"


# Scripts of India, Sri Lanka, Tibet, Myanmar and Cambodia, whose letters join and change places.
_SHAPED = (("\u0900", "\u0dff"), ("\u0f00", "\u109f"), ("\u1780", "\u17ff"))


@cache
def _say_that_letters_are_not_joined() -> None:
    logger.warning(
        "Labels in scripts such as Devanagari are drawn letter by letter, since the library FriBidi is not here. Install it, for example "
        "with `apt install libfribidi0` or `brew install fribidi`."
    )


class Extent(NamedTuple):
    """The room of a line: width, and how far it reaches above and below its baseline, in pixels."""

    width: float
    above: float
    below: float


class LabelFont:
    """The font of labels in one size. Not to be shared between threads."""

    def __init__(self, size: float, *, is_shaped: bool | None = None) -> None:
        """Open the font.

        Args:
            size: in pixels.
            is_shaped: whether HarfBuzz and FriBidi shape the text; `None` uses them where they are there.
        """
        self._is_shaped = features.check("raqm") if is_shaped is None else is_shaped
        layout = ImageFont.Layout.RAQM if self._is_shaped else ImageFont.Layout.BASIC
        self._font = ImageFont.truetype(_FONT, size, layout_engine=layout)

    def line(self, text: str) -> str:
        """A text as it is drawn: on one line, not too long, of characters that the font has."""
        line = _shortened(" ".join(text.encode("utf-8", "replace").decode("utf-8").split()))
        if not self._is_shaped:
            if any(first <= character <= last for character in line for first, last in _SHAPED):
                _say_that_letters_are_not_joined()
            line = _ordered(line)
        return "".join(map(self._drawable, line))

    def extent(self, line: str) -> Extent:
        """The room of a line that `line` returned, at least that of ordinary letters above and below."""
        (_, latin_top, _, latin_bottom), (left, top, right, bottom) = (
            self._font.getbbox(text, anchor="ls") for text in ("Agjp|", line)
        )
        return Extent(right - min(left, 0), -min(latin_top, top), max(latin_bottom, bottom))

    def draw(
        self, draw: ImageDraw.ImageDraw, start: tuple[float, float], line: str, color: tuple[int, int, int]
    ) -> None:
        """Draw a line that `line` returned, from the left end of its baseline."""
        draw.text(start, line, font=self._font, fill=color, anchor="ls")

    @cached_property
    def _missing(self) -> bytes:
        return self._picture(_NONCHARACTER)

    def _picture(self, character: str) -> bytes:
        return bytes(self._font.getmask(character))

    def _drawable(self, character: str) -> str:
        if character.isascii() or character in _JOINERS:
            return character
        return f"U+{ord(character):04X}" if self._picture(character) == self._missing else character


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_LABEL:
        return text
    kept = _LONGEST_LABEL - 1
    while kept and (unicodedata.category(text[kept])[0] == "M" or text[kept] in _JOINERS or text[kept - 1] == "\u200d"):
        kept -= 1  # a letter is not parted from its marks, nor a picture from what it is joined to
    return text[:kept] + "\u2026"


def _ordered(text: str) -> str:
    """A text in the order in which it is drawn from left to right, its Arabic letters joined."""
    if not any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        return text
    import arabic_reshaper
    from bidi import get_display

    return str(get_display(arabic_reshaper.reshape(text)))
