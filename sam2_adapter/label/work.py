"""`Work`: what was labelled so far, picture by picture. Every change goes to the journal first, then into memory.

A change puts an object, whole, in place of what had its id, or removes it. So the same change may come twice, and the journal gives the
same work in whatever state the program was killed. The kinds of lines:

    {"image": "a.jpg", "hw": [480, 640], "changes": {"id": {...}, "id2": null}}     objects put or removed
    {"image": "a.jpg", "hw": [480, 640], "state": "done"}                           how far the picture is; "hw" may be null
    {"labels": ["car"]}   {"remove": "car"}                                         labels that are new, and one that goes
    {"rename": "car", "to": "van", "id": "r1"}   {"restore": "r1"}                  all objects of a label get another one; and back
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sam2_adapter import __version__
from sam2_adapter.annotations.colors import Color
from sam2_adapter.errors import DataError
from sam2_adapter.label import picture_work
from sam2_adapter.label.change_journal import ChangeJournal, read_lines
from sam2_adapter.label.label_list import LabelList
from sam2_adapter.label.objects import Object, checked_label, checked_object, with_masks_once
from sam2_adapter.label.picture_work import DONE, FROM_FILE, IN_PROGRESS, MARKS, NEW, OPEN, SKIPPED, PictureWork
from sam2_adapter.label.renamings import Renaming, Renamings
from sam2_adapter.text import plural

MOST_OBJECTS = 20_000
"""Objects of one picture."""
MOST_LABELS = 1000

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Work:
    """All pictures and labels of a session; safe between threads."""

    def __init__(self, path: Path) -> None:
        """Read the journal at `path` where there is one, and go on with it.

        Raises:
            ExportError: it cannot be read or written.
        """
        self.pictures: dict[str, PictureWork] = {}
        self.is_new = True
        self.number = 0
        """How many changes there were; grows with each."""
        self._labels = LabelList()
        self._renamings = Renamings(self._labels, self.pictures)
        self._marks: dict[str, str] = {}
        self._lock = threading.RLock()
        for line in read_lines(path):
            self.is_new = False
            self._apply(line)
        self._journal = ChangeJournal(path)
        if self.is_new:
            self._journal.append({"sam2-adapter": __version__, "journal": 1})

    @property
    def labels(self) -> list[str]:
        """All labels, in their order."""
        return self._labels.labels

    @property
    def label_places(self) -> list[int]:
        """The places of the labels, from which their colours follow; they keep them when others are removed."""
        return self._labels.places

    @property
    def label_colors(self) -> dict[str, Color]:
        """All labels, in their order, with the colours that the page shows them in."""
        return self._labels.colors

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
            self._write({"image": name, "hw": list(original_hw), "changes": kept})
        return kept

    def mark(self, name: str, original_hw: tuple[int, int] | None, mark: str) -> None:
        """Say how far a picture is; on disk when this returns.

        Args:
            name: of the picture.
            original_hw: its (height, width); `None` where it cannot be read.
            mark: one of `MARKS`.

        Raises:
            DataError: it is none of them, or a picture that cannot be read is to be done.
            ExportError: it cannot be written.
        """
        if mark not in MARKS:
            raise DataError(f"{name}: a picture is marked as {', '.join(MARKS)}, but got {mark!r:.40}.")
        if mark == DONE and original_hw is None:
            raise DataError(f"{name}: a picture that cannot be read cannot be done. Skip it.")
        self._write({"image": name, "hw": original_hw and list(original_hw), "state": mark})

    def rename_label(self, old: str, new: str, key: str) -> Renaming:
        """Give all objects of a label another one, in all pictures; one that is there already takes them over.

        Args:
            old: the label.
            new: its new name.
            key: names this renaming, for `restore_label`; the same one again is done again if it was taken back, else passed over.

        Raises:
            DataError: there is no such label, or the new name cannot be used.
            ExportError: it cannot be written.
        """
        new = checked_label(new, "labels")
        if not _ID.fullmatch(key):
            raise DataError(f"labels: the id of a renaming is up to 64 letters, digits, - and _, but got {key!r:.80}.")
        with self._lock:
            known = self._renamings.by_id.get(key)
            if known is None or known.is_restored:
                if old not in self._labels:
                    raise DataError(f"labels: there is no label {old!r:.80} any more, so it cannot be renamed.")
                if old == new:
                    raise DataError(f"labels: the label is called {old!r:.80} already.")
                self._write({"rename": old, "to": new, "id": key})
            return self._renamings.by_id[key]

    def restore_label(self, key: str) -> Renaming:
        """Take a renaming back: the objects that it changed and that still have the new label get the old one again.

        Raises:
            DataError: there was no such renaming.
            ExportError: it cannot be written.
        """
        with self._lock:
            known = self._renamings.by_id.get(key)
            if known is None:
                raise DataError("labels: there was no such renaming.")
            if not known.is_restored:
                self._write({"restore": key})
            return known

    def remove_label(self, label: str) -> None:
        """Remove a label that no object has.

        Raises:
            DataError: objects have it.
            ExportError: it cannot be written.
        """
        with self._lock:
            num_objects, num_pictures = self.label_uses().get(label, (0, 0))
            if num_objects:
                raise DataError(
                    f"labels: {plural(num_objects, 'object')} in {plural(num_pictures, 'picture')} {'has' if num_objects == 1 else 'have'} "
                    f"the label {label!r:.80}. Give {'it' if num_objects == 1 else 'them'} another label, then remove the label."
                )
            if label in self._labels:
                self._write({"remove": label})

    def label_uses(self) -> dict[str, tuple[int, int]]:
        """Label to how many objects have it, in how many pictures."""
        uses: dict[str, tuple[int, int]] = {}
        with self._lock:
            for known in self.pictures.values():
                here = Counter(entry["label"] for entry in known.objects.values())
                for label, count in here.items():
                    num_objects, num_pictures = uses.get(label, (0, 0))
                    uses[label] = num_objects + count, num_pictures + 1
        return uses

    def pictures_with(self, label: str) -> set[str]:
        """Names of the pictures in which objects have a label."""
        with self._lock:
            return {
                name
                for name, known in self.pictures.items()
                if any(entry["label"] == label for entry in known.objects.values())
            }

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
                if label not in self._labels
            ]
            if len(self._labels) + len(new) > MOST_LABELS:
                raise DataError(f"labels: there are at most {MOST_LABELS:,} labels.")
            if new:
                self._write({"labels": new})
            return self.labels

    def begin_with(self, labels: Iterable[str], used: Collection[str]) -> None:
        """Add the labels of a data set in its order, as they are; of more than there may be those that are used.

        Args:
            labels: in order.
            used: those that objects have.

        Raises:
            ExportError: they cannot be written.
        """
        with self._lock:
            new = [label for label in dict.fromkeys(labels) if label not in self._labels]
            if len(self._labels) + len(new) > MOST_LABELS:
                new = [label for label in new if label in used]
            if new:
                self._write({"labels": new})

    def take_over(self, name: str, original_hw: tuple[int, int], objects: Sequence[Object]) -> None:
        """Put objects that were read from a file, under new ids.

        Raises:
            ExportError: they cannot be written.
        """
        line = {
            "image": name,
            "hw": list(original_hw),
            "changes": {f"{FROM_FILE}{n}": entry for n, entry in enumerate(objects)},
        }
        self._write(line)

    def objects_of(self, name: str) -> dict[str, Object]:
        """The objects of a picture by their ids, in order."""
        with self._lock:
            known = self.pictures.get(name)
            return dict(known.objects) if known else {}

    def counts(self) -> dict[str, int]:
        """How many objects each picture has that was ever worked on, by name."""
        with self._lock:
            return {name: len(known.objects) for name, known in self.pictures.items()}

    def state_of(self, name: str) -> str:
        """How far a picture is, one of `STATES`."""
        with self._lock:
            known = self.pictures.get(name)
            return self._marks.get(name) or (IN_PROGRESS if known is not None and known.is_touched else NEW)

    def snapshot(self) -> dict[str, PictureWork]:
        """What counts as result as it is now: pictures with objects, and those that are done; none that are skipped.

        A picture in progress without an object, such as one where all was undone, says nothing: it may be full of things.
        """
        with self._lock:
            return {
                name: known.copy()
                for name, known in self.pictures.items()
                if (known.objects or self._marks.get(name) == DONE) and self._marks.get(name) != SKIPPED
            }

    def left_out(self) -> list[str]:
        """Sentences on what `snapshot` leaves out although somebody has worked on it."""
        with self._lock:
            return picture_work.told_left_out(self.pictures, self._marks)

    @property
    def renamings(self) -> dict[str, Renaming]:
        """All renamings by their ids, oldest first."""
        return dict(self._renamings.by_id)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            self._journal.append(_with_masks_once(line))
            self._apply(line)

    def _apply(self, line: Mapping[str, Any]) -> None:
        self.number += 1
        name, changes = line.get("image"), line.get("changes")
        if isinstance(name, str):
            original_hw = _size(line.get("hw"))
            if original_hw is not None and isinstance(changes, dict):
                self._apply_changes(name, original_hw, changes)
            elif line.get("state") in MARKS:
                self._apply_mark(name, original_hw, line["state"])
        else:
            self._apply_labels(line)

    def _apply_changes(self, name: str, original_hw: tuple[int, int], changes: Mapping[str, Any]) -> None:
        known = self.pictures.setdefault(name, PictureWork(original_hw))
        known.original_hw = original_hw
        labels = known.change(changes)
        self._labels.add(labels)
        if labels and self._marks.get(name) == SKIPPED:
            del self._marks[name]  # whoever labels something in it does not skip it

    def _apply_mark(self, name: str, original_hw: tuple[int, int] | None, mark: str) -> None:
        if mark == OPEN:
            self._marks.pop(name, None)
        else:
            self._marks[name] = mark
        if mark == DONE and original_hw is not None:
            self.pictures.setdefault(name, PictureWork(original_hw))

    def _apply_labels(self, line: Mapping[str, Any]) -> None:
        labels, key = line.get("labels"), line.get("id")
        if isinstance(labels, list):
            self._labels.add(label for label in labels if isinstance(label, str) and label)
        if isinstance(line.get("remove"), str):
            self._labels.remove(line["remove"])
        if all(isinstance(line.get(part), str) for part in ("rename", "to", "id")):
            self._renamings.rename(str(key), line["rename"], line["to"])
        if isinstance(line.get("restore"), str) and line["restore"] in self._renamings.by_id:
            self._renamings.restore(line["restore"])


def _with_masks_once(line: Mapping[str, Any]) -> Mapping[str, Any]:
    changes = line.get("changes")
    if changes is None:
        return line
    return {**line, "changes": {key: entry and with_masks_once(entry) for key, entry in changes.items()}}


def _size(value: Any) -> tuple[int, int] | None:
    is_size = isinstance(value, list) and len(value) == 2 and all(isinstance(side, int) and side > 0 for side in value)
    return (value[0], value[1]) if is_size else None
