"""`PictureWork`: what was labelled in one picture, and the words for how far a picture is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sam2_adapter.label.objects import Object, with_whole_steps
from sam2_adapter.text import plural

DONE, SKIPPED, OPEN = "done", "skipped", "open"
MARKS = (DONE, SKIPPED, OPEN)
"""What a person says of a picture; open takes the other two back."""
NEW, IN_PROGRESS = "new", "progress"
STATES = (NEW, IN_PROGRESS, DONE, SKIPPED)
"""How far a picture is; those that are not marked follow from whether somebody has changed something in it."""

FROM_FILE = "file-"
"""Ids of objects that were read from files begin with it."""


@dataclass
class PictureWork:
    """What was labelled in one picture.

    Attributes:
        original_hw: (height, width) of the upright picture in pixels.
        objects: by their ids, in the order in which they were made.
        is_touched: whether somebody has changed something; what was read from files does not count.
    """

    original_hw: tuple[int, int]
    objects: dict[str, Object] = field(default_factory=dict)
    is_touched: bool = False

    def change(self, changes: Mapping[str, Any]) -> list[str]:
        """Put or remove objects, as a line of the journal says; returns the labels of those that were put."""
        self.is_touched |= not self._is_from_file(changes)
        labels = []
        for key, value in changes.items():
            if value is None:
                self.objects.pop(key, None)
            elif _is_object(value):
                value.setdefault("score", 1.0)
                self.objects[key] = with_whole_steps(value)
                labels.append(value["label"])
        return labels

    def copy(self) -> PictureWork:
        """The same, which does not change with this one."""
        return PictureWork(self.original_hw, dict(self.objects), self.is_touched)

    def _is_from_file(self, changes: Mapping[str, Any]) -> bool:
        return all(
            key.startswith(FROM_FILE) and value is not None and key not in self.objects
            for key, value in changes.items()
        )


def told_left_out(pictures: Mapping[str, PictureWork], marks: Mapping[str, str]) -> list[str]:
    """Sentences on what is in no result although somebody has worked on it.

    Args:
        pictures: by their names.
        marks: those that are done or skipped, by name.
    """
    skipped = [known for name, known in pictures.items() if known.objects and marks.get(name) == SKIPPED]
    empty = [known for name, known in pictures.items() if known.is_touched and not known.objects and name not in marks]
    told = []
    if skipped:
        count = sum(len(known.objects) for known in skipped)
        told.append(f"Left out: {plural(count, 'object')} in {plural(len(skipped), 'skipped picture')}.")
    if empty:
        told.append(
            f"Left out: {plural(len(empty), 'picture')} in progress without an object. Say Done (F) where there is nothing to label."
        )
    return told


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("label"), str) and isinstance(value.get("counts"), str)
