"""`Renamings`: objects of a label that got another one, in all pictures, and how that is taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sam2_adapter.label.label_list import LabelList
from sam2_adapter.label.picture_work import PictureWork


@dataclass
class Renaming:
    """One renaming.

    Attributes:
        old: the label that the objects had.
        new: the label that they got.
        moved: name of the picture to the ids of the objects.
        place: of the label that they had.
        is_merge: whether there was a label of the new name before.
        is_restored: whether it was taken back.
    """

    old: str
    new: str
    moved: Mapping[str, Collection[str]]
    place: int | None
    is_merge: bool
    is_restored: bool = False


class Renamings:
    """All renamings of a session by their ids, and what they do to labels and objects."""

    def __init__(self, labels: LabelList, pictures: Mapping[str, PictureWork]) -> None:
        """Rename among `labels` and in `pictures`, which are changed in place."""
        self._labels, self._pictures = labels, pictures
        self.by_id: dict[str, Renaming] = {}

    def rename(self, key: str, old: str, new: str) -> None:
        """Give the objects of `old` the label `new`."""
        place, is_merge = self._labels.place_of(old), new in self._labels
        self._labels.rename(old, new)
        self.by_id[key] = Renaming(old, new, self._relabel(old, new), place, is_merge)

    def restore(self, key: str) -> None:
        """Take a renaming back: what it changed and still has the new label gets the old one again."""
        done = self.by_id[key]
        done.is_restored = True
        self._relabel(done.new, done.old, done.moved)
        if done.is_merge or done.old in self._labels or self._is_used(done.new):
            self._labels.put_back(done.old, done.place)
        else:
            self._labels.rename(done.new, done.old)

    def _relabel(
        self, old: str, new: str, only: Mapping[str, Collection[str]] | None = None
    ) -> dict[str, frozenset[str]]:
        moved: dict[str, frozenset[str]] = {}
        for name, work in self._pictures.items():
            allowed: Collection[str] = work.objects.keys() if only is None else only.get(name, ())
            keys = [key for key, entry in work.objects.items() if entry["label"] == old and key in allowed]
            for key in keys:
                work.objects[key] = {**work.objects[key], "label": new}
            if keys:
                moved[name] = frozenset(keys)
        return moved

    def _is_used(self, label: str) -> bool:
        return any(entry["label"] == label for work in self._pictures.values() for entry in work.objects.values())
