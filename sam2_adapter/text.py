"""Words for people: names made visible, counts with their nouns, and the name that was probably meant.

File names and labels come from outside and may hold anything. Whatever shows them on a terminal passes them through `printable`; files and
machine-readable output keep them as they are.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Collection, Iterable

# Control characters, line and paragraph separators, characters that reverse the direction of what follows, and bytes that are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

# Of a list of names longer than this, only the nearest one is shown where there is one.
_MOST_SHOWN = 20

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 2
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 4


def printable(text: object) -> str:
    r"""A text on one line, in which everything that a terminal would obey is visible as an escape.

    >>> printable("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    return _UNPRINTABLE.sub(lambda found: _escape(found[0]), str(text))


def cut(text: str, most: int = 80) -> str:
    """A text with its middle left out where it is longer than `most` characters.

    >>> cut("a" * 50 + "b" * 50, 21)
    'aaaaaaaaa...bbbbbbbbb'
    """
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """A count and its noun.

    Args:
        number: how many.
        noun: for one of them.
        nouns: for any other number; by default with an `s`.

    >>> plural(1, "image"), plural(0, "image"), plural(2, "box", "boxes")
    ('1 image', '0 images', '2 boxes')
    """
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"


def shown_change(before: float, after: float, digits: int = 3) -> str:
    """The difference of two figures as it follows from the figures as they are shown, rounded.

    Args:
        before: the figure that is shown first.
        after: the other one.
        digits: decimals of all three.

    >>> shown_change(0.7674, 0.7896)
    '+0.023'
    """
    return f"{round(after, digits) - round(before, digits):+.{digits}f}"


def told_change(before: float, after: float, form: str = "{:.3f}", *, arrow: str = "") -> str:
    """How a figure changed, in words that fit the figures as they are shown.

    Args:
        before: the figure that is shown first.
        after: the other one.
        form: how figures are shown, with `str.format`.
        arrow: stands between them in place of words, in tables and lists of several figures.

    >>> told_change(0.7674, 0.7896), told_change(0.7391, 0.7394)
    ('rose from 0.767 to 0.790', 'did not change (0.739)')
    >>> told_change(0.7674, 0.7896, arrow="->"), told_change(0.7391, 0.7394, arrow="->")
    ('0.767 -> 0.790', '0.739 as before')
    """
    first, last = form.format(before), form.format(after)
    if first == last:
        return f"{last} as before" if arrow else f"did not change ({last})"
    word = "rose" if after > before else "fell" if after < before else "went"  # one of them is NaN
    return f"{first} {arrow} {last}" if arrow else f"{word} from {first} to {last}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, whatever its case; `None` where none is near.

    >>> closest("paitence", ["patience", "seed"])
    'patience'
    """
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[matches[0]] if matches else None


def meant_hint(name: object, known: Iterable[str]) -> str:
    """` Did you mean '...'?`, or nothing where no known name is near.

    >>> meant_hint("paitence", ["patience", "seed"])
    " Did you mean 'patience'?"
    """
    meant = closest(name, known) if isinstance(name, str) else None
    return f" Did you mean {meant!r}?" if meant else ""


def unknown_name(what: str, name: object, known: Collection[str], meant: str | None = None) -> str:
    """What is said, wherever one of several names is expected, about one that is none of them.

    Args:
        what: what the names are of, such as "format".
        name: what was given.
        known: the names. A very long list of them is only shown where none of them is near.
        meant: the name that was probably meant; by default the nearest one.

    >>> unknown_name("format", "coko", ["coco", "yolo"])
    "Unknown format 'coko'. Did you mean 'coco'? The choices are coco, yolo."
    """
    hint = f" Did you mean {meant!r}?" if meant else meant_hint(name, known)
    choices = "" if hint and len(known) > _MOST_SHOWN else f" The choices are {', '.join(known)}."
    return f"Unknown {what} {shown(name)}.{hint}{choices}"


def shown(value: object) -> str:
    """A value as Python writes it, cut where it is long or nested deeply."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # a number of more digits than Python writes
        return f"a number of {type(value).__name__} with very many digits"


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
