"""`Work`: what was labelled so far, picture by picture. Every change goes to the journal first, then into memory.

A change puts an object, whole, in place of what had its id, or removes it. So the same change may come twice, and the journal gives the
same work in whatever state the program was killed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam2_adapter import __version__
from sam2_adapter.errors import DataError
from sam2_adapter.label.change_journal import ChangeJournal, read_lines
from sam2_adapter.label.objects import Object, checked_label, checked_object

MOST_OBJECTS = 20_000
"""Objects of one picture."""
MOST_LABELS = 1000

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass
class PictureWork:
    """What was labelled in one picture.

    Attributes:
        original_hw: (height, width) of the upright picture in pixels.
        objects: by their ids, in the order in which they were made.
    """

    original_hw: tuple[int, int]
    objects: dict[str, Object] = field(default_factory=dict)


class Work:
    """All pictures and labels of a session; safe between threads."""

    def __init__(self, path: Path) -> None:
        """Read the journal at `path` where there is one, and go on with it.

        Raises:
            ExportError: it cannot be read or written.
        """
        self.pictures: dict[str, PictureWork] = {}
        self.labels: list[str] = []
        self.is_new = True
        self.number = 0
        """How many changes there were; grows with each."""
        self._lock = threading.Lock()
        for line in read_lines(path):
            self.is_new = False
            self._apply(line)
        self._journal = ChangeJournal(path)
        if self.is_new:
            self._journal.append({"sam2-adapter": __version__, "journal": 1})

    def change(
        self, name: str, original_hw: tuple[int, int], changes: Mapping[str, Any]
    ) -> Mapping[str, Object | None]:
        """Put or remove objects of one picture, all of them or none; on disk when this returns.

        Args:
            name: of the picture.
            original_hw: its (height, width).
            changes: id to object as the page sends it, or `None` to remove it.

        Returns:
            The changes as they were kept.

        Raises:
            DataError: one of them cannot be used.
            ExportError: they cannot be written.
        """
        kept: dict[str, Object | None] = {}
        for key, value in changes.items():
            if not isinstance(key, str) or not _ID.fullmatch(key):
                raise DataError(
                    f"{name}: the id of an object is up to 64 letters, digits, - and _, but got {key!r:.80}."
                )
            kept[key] = None if value is None else checked_object(value, original_hw, f"{name}: {key}")
        with self._lock:
            known = self.pictures.get(name)
            if len((known.objects.keys() if known else set()) | kept.keys()) > MOST_OBJECTS:
                raise DataError(f"{name}: a picture has at most {MOST_OBJECTS:,} objects.")
            line = {"image": name, "hw": list(original_hw), "changes": kept}
            self._journal.append(line)
            self._apply(line)
        return kept

    def add_labels(self, labels: Iterable[str]) -> list[str]:
        """Add labels that are new, which keep their place, and so their colour; returns all of them.

        Raises:
            DataError: one of them cannot be used, or there are too many.
            ExportError: they cannot be written.
        """
        with self._lock:
            new = [
                label
                for label in dict.fromkeys(checked_label(label, "labels") for label in labels)
                if label not in self.labels
            ]
            if len(self.labels) + len(new) > MOST_LABELS:
                raise DataError(f"labels: there are at most {MOST_LABELS:,} labels.")
            if new:
                self._journal.append({"labels": new})
                self._apply({"labels": new})
            return list(self.labels)

    def take_over(self, name: str, original_hw: tuple[int, int], objects: Sequence[Object]) -> None:
        """Put objects that were read from a file, under new ids.

        Raises:
            ExportError: they cannot be written.
        """
        line = {
            "image": name,
            "hw": list(original_hw),
            "changes": {f"file-{n}": entry for n, entry in enumerate(objects)},
        }
        with self._lock:
            self._journal.append(line)
            self._apply(line)

    def objects_of(self, name: str) -> dict[str, Object]:
        """The objects of a picture by their ids, in order."""
        with self._lock:
            known = self.pictures.get(name)
            return dict(known.objects) if known else {}

    def counts(self) -> dict[str, int]:
        """How many objects each picture has that was ever worked on, by name."""
        with self._lock:
            return {name: len(known.objects) for name, known in self.pictures.items()}

    def snapshot(self) -> dict[str, PictureWork]:
        """Everything as it is now."""
        with self._lock:
            return {name: PictureWork(known.original_hw, dict(known.objects)) for name, known in self.pictures.items()}

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _apply(self, line: Mapping[str, Any]) -> None:
        self.number += 1
        labels = line.get("labels")
        if isinstance(labels, list):
            self._learn(label for label in labels if isinstance(label, str) and label)
        name, size, changes = line.get("image"), line.get("hw"), line.get("changes")
        if isinstance(name, str) and isinstance(changes, dict) and (original_hw := _size(size)) is not None:
            self._apply_changes(name, original_hw, changes)

    def _apply_changes(self, name: str, original_hw: tuple[int, int], changes: Mapping[str, Any]) -> None:
        known = self.pictures.setdefault(name, PictureWork(original_hw))
        known.original_hw = original_hw
        for key, value in changes.items():
            if value is None:
                known.objects.pop(key, None)
            elif (
                isinstance(value, dict) and isinstance(value.get("label"), str) and isinstance(value.get("counts"), str)
            ):
                value.setdefault("score", 1.0)
                known.objects[key] = value
                self._learn([value["label"]])

    def _learn(self, labels: Iterable[str]) -> None:
        self.labels += [label for label in labels if label not in self.labels]


def _size(value: Any) -> tuple[int, int] | None:
    is_size = isinstance(value, list) and len(value) == 2 and all(isinstance(side, int) and side > 0 for side in value)
    return (value[0], value[1]) if is_size else None
