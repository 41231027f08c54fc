"""`LeftOut`: what a data set holds but training and evaluation do not use, counted by reason, and remarks on how the rest was read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from sam2_adapter.text import cut, plural, printable

# Names kept for each reason; enough to find the cause, few enough to print.
_MOST_EXAMPLES = 5

# Of a name in a table or a remark; names of files are shorter.
_MOST_CHARACTERS = 400


class Reason(StrEnum):
    """Why an image or an object is not used; the value is what users read."""

    BROKEN_IMAGE = "image is broken or too large"
    STAND_IN = "a Git LFS pointer or a saved web page"
    NO_ANNOTATION = "image has no annotation"
    NO_OBJECT_LEFT = "image has no object left"
    NO_IMAGE = "annotated image is not here"
    NO_IMAGE_ENTRY = "image is not listed in the file"
    DUPLICATE_NAME = "name stands for several files"
    NOT_IN_SPLIT = "image is in no split"
    BROKEN_FILE = "annotation file is broken"
    OTHER_SIZE = "annotation and image differ in size"
    TURNED = "size is from before the EXIF orientation is applied"
    EMPTY = "mask is empty"
    TOO_SMALL = "mask is too small"
    OUTSIDE = "lies outside the image"
    FRACTIONS = "coordinates are fractions from 0 to 1, not pixels"
    UNSUPPORTED_TYPE = "neither mask nor polygon"
    MALFORMED = "annotation is malformed"
    CROWD = "marked as a crowd (iscrowd: 1)"
    MODEL_ANNOTATION = "made by a model"


class Kind(StrEnum):
    """What was left out."""

    IMAGE = "image"
    OBJECT = "object"


@dataclass
class _Count:
    number: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.number += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(name)


class LeftOut:
    """Counts of what was left out, with a few names for each reason; filled while a data set is read and used.

    What was used, but not in the plainest way, is a remark: it is counted in the same manner.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[Kind, Reason], _Count] = {}
        self._remarks: dict[tuple[str, str], _Count] = {}

    def add_image(self, reason: Reason, name: str) -> None:
        """Count an image, or an annotation file without its image."""
        self._add(Kind.IMAGE, reason, name)

    def add_object(self, reason: Reason, name: str) -> None:
        """Count an object; `name` says which one of which image."""
        self._add(Kind.OBJECT, reason, name)

    def remark(self, noun: str, text: str, name: str) -> None:
        """Count one more thing that was read in a way that the user should know.

        Args:
            noun: what it is, in the singular.
            text: the rest of the sentence, the same for one and for many.
            name: which one it is.
        """
        self._remarks.setdefault((noun, text), _Count()).add(name)

    @property
    def remarks(self) -> tuple[str, ...]:
        """One sentence per kind of remark, with its number and a few names."""
        return tuple(
            f"{count.number} {noun}{'' if count.number == 1 else 's'} {text} ({_such_as(count)})."
            for (noun, text), count in self._remarks.items()
        )

    def count(self, reason: Reason) -> int:
        """How many images and objects were left out for `reason`."""
        return sum(count.number for (_, other), count in self._counts.items() if other == reason)

    def total(self, kind: Kind) -> int:
        """How many images or objects were left out."""
        return sum(count.number for (other, _), count in self._counts.items() if other == kind)

    def __bool__(self) -> bool:
        """Whether anything was left out."""
        return bool(self._counts)

    def __iter__(self) -> Iterator[dict[str, object]]:
        """Rows of plain data, most frequent first: `kind`, `reason`, `count`, `examples`."""
        ordered = sorted(self._counts.items(), key=lambda item: (item[0][0], -item[1].number, item[0][1]))
        for (kind, reason), count in ordered:
            yield {"kind": str(kind), "reason": str(reason), "count": count.number, "examples": list(count.examples)}

    def __str__(self) -> str:
        """A table for people, its lines indented; one sentence when nothing was left out."""
        if not self:
            return "Nothing was left out."
        rows = [(str(row["count"]), str(row["kind"]), str(row["reason"]), _listed(row)) for row in self]
        header = ("count", "what", "reason", "such as")
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(3)]
        lines = [_line(row, widths) for row in (header, *rows)]
        return "\n".join(lines)

    @property
    def account(self) -> str:
        """The table below a heading of its own, or the one sentence; for the end of a message."""
        return f"Left out:\n{self}" if self else str(self)

    def sentences(self, passing_over: Collection[Reason] = ()) -> tuple[str, ...]:
        """One sentence per reason, with its number and a few names, where a table has no place.

        Args:
            passing_over: reasons that are not told.
        """
        told = (row for row in self if row["reason"] not in passing_over)
        return tuple(
            f"Left out: {plural(int(str(row['count'])), str(row['kind']))}: {row['reason']} ({_listed(row)})."
            for row in told
        )

    def notes_on(self, name: str) -> tuple[str, ...]:
        """One sentence per reason for which something of a file or image of this name was left out, and the remarks."""
        return (*(f"{name}: {row['count']} left out: {row['reason']}." for row in self), *self.remarks)

    def _add(self, kind: Kind, reason: Reason, name: str) -> None:
        self._counts.setdefault((kind, reason), _Count()).add(name)


def _such_as(count: _Count) -> str:
    return f"{'such as ' if count.number > len(count.examples) else ''}{', '.join(cut(name, _MOST_CHARACTERS) for name in count.examples)}"


def _listed(row: dict[str, object]) -> str:
    examples = row["examples"]
    assert isinstance(examples, list)  # rows are made above
    more = ", ..." if int(str(row["count"])) > len(examples) else ""
    return ", ".join(cut(printable(name), _MOST_CHARACTERS) for name in examples) + more


def _line(row: tuple[str, str, str, str], widths: list[int]) -> str:
    count, kind, reason, examples = row
    return f"  {count:>{widths[0]}}  {kind:<{widths[1]}}  {reason:<{widths[2]}}  {examples}".rstrip()
