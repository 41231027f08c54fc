"""`LabelList`: the labels of a session in their order. Each keeps its place, from which its colour follows, when others are renamed or removed."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_adapter.annotations.colors import Color, color_of_index


class LabelList:
    """Labels by their places; the place of one that was removed stays free for it."""

    def __init__(self) -> None:
        """There is none yet."""
        self._by_place: list[str | None] = []
        self._former: dict[str, int] = {}

    @property
    def labels(self) -> list[str]:
        """All labels, in order."""
        return [label for label in self._by_place if label is not None]

    @property
    def places(self) -> list[int]:
        """The places of the labels, in the same order."""
        return [place for place, label in enumerate(self._by_place) if label is not None]

    @property
    def colors(self) -> dict[str, Color]:
        """All labels, in order, with their colours."""
        return {label: color_of_index(place) for place, label in enumerate(self._by_place) if label is not None}

    def __contains__(self, label: object) -> bool:
        """Whether there is this label."""
        return isinstance(label, str) and label in self._by_place

    def __len__(self) -> int:
        """How many labels there are."""
        return len(self._by_place) - self._by_place.count(None)

    def add(self, labels: Iterable[str]) -> None:
        """Add those that are new: where they have been before if that place is free, else at the end."""
        for label in labels:
            if label not in self:
                place = self._former.get(label)
                if place is None or self._by_place[place] is not None:
                    place = len(self._by_place)
                    self._by_place.append(None)
                self._put(label, place)

    def place_of(self, label: str) -> int | None:
        """The place of a label; `None` where there is no such label."""
        return self._by_place.index(label) if label in self else None

    def put_back(self, label: str, place: int | None) -> None:
        """Add a label at the place that it had, if that is free, else at the end."""
        if place is not None:
            self._former[label] = place
        self.add([label])

    def remove(self, label: str) -> None:
        """Remove a label where there is one; its place stays free."""
        if label in self:
            self._by_place[self._by_place.index(label)] = None

    def rename(self, old: str, new: str) -> None:
        """Put a new name in the place of an old one; where there is a label of the new name, the old one goes."""
        if old == new:
            return
        if old not in self:
            self.add([new])
        elif new in self:
            self.remove(old)
        else:
            self._put(new, self._by_place.index(old))

    def _put(self, label: str, place: int) -> None:
        self._by_place[place] = label
        self._former[label] = place
