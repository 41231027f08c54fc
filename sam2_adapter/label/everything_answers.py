"""`EverythingSearches`: all objects of a picture for the pages that ask, found in small pieces of work between clicks.

A page asks again and again, and each answer holds what is new since the one before:

    {"kind": "everything", "search": 3, "after": 0, "view": null, ...}
        ->  {"begins": true, "is_done": false, "done": 32, "total": 1024, "least": 0.8, "added": [{"id": 0, "counts": "...", ...}], "gone": []}
    {"kind": "everything", "search": 3, "after": 1, ...}
        ->  {"begins": false, ..., "added": [...], "gone": [0]}

Nothing is computed while nobody asks: a page that was left or closed costs nothing more. An answer that `begins` has nothing before it, also where
the page has had answers of this search, as when the model's process was started again.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.predict.everything.find import EverythingStep, find_everything
from sam2_adapter.predict.everything.finish import Found
from sam2_adapter.predict.everything.thresholds import Thresholds
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.window import Window

POINTS_PER_CALL = 16
"""So few points are looked at between two clicks."""

# Seconds between two answers, and how much of the time may be spent on answers.
_ANSWER_S = 0.5
_MOST_SHARE = 0.25

# A person who accepts all proposals wants each thing once: no parts of it, and no second mask that is nearly the same.
PROPOSED = EverythingSettings(drop_contained=True, mask_nms_thresh=0.5)

Json = dict[str, Any]


class EverythingSearches:
    """One search for each tab; used by one thread."""

    def __init__(
        self, predictor: Predictor, report: Callable[[Json], None], settings: EverythingSettings | None = None
    ) -> None:
        """Find with `predictor` and give answers to `report`."""
        self._predictor, self._report = predictor, report
        self._settings = settings or PROPOSED
        self._searches: dict[str, _Search] = {}

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return any(search.asked is not None for search in self._searches.values())

    def ask(self, request: Json, window: Callable[[], Window]) -> None:
        """Take a question; `work` answers it.

        Args:
            request: as at the top of this module.
            window: gives the encoded picture, or the part of it to look in; called where a search begins.
        """
        tab = request["tab"]
        search = self._searches.get(tab)
        is_known = search is not None and (search.number, search.answers) == (request["search"], request["after"])
        if not is_known:
            self.stop(tab)
            search = _Search(self._predictor, self._settings, request["search"], window)
        assert search is not None
        self._answer_nothing(search)
        search.asked = request
        self._searches[tab] = search

    def work(self, is_stale: Callable[[Json], bool]) -> None:
        """Do a piece of the search that has waited longest; where it has something to tell, it is told."""
        for tab, search in list(self._searches.items()):
            if search.asked is None:
                continue
            if is_stale(search.asked):
                self.stop(tab)
                continue
            self._searches[tab] = self._searches.pop(tab)  # the others come first next time
            self._work_on(tab, search, search.asked["id"])
            return

    def stop(self, tab: str, number: int | None = None) -> None:
        """Give up the search of a tab, where there is one; only that of this number, where there is a number."""
        search = self._searches.get(tab)
        if search is not None and number in (None, search.number):
            del self._searches[tab]
            self._answer_nothing(search)
            search.pieces.close()

    def _work_on(self, tab: str, search: _Search, number: int) -> None:
        try:
            answer = next(search.pieces)
        except Exception as error:  # this search fails, the next one may not
            text = str(error)
            if not isinstance(error, Sam2AdapterError):
                traceback.print_exc()
                text = f"unexpected {type(error).__name__}: {error}"
            search.asked = None
            self.stop(tab)
            self._report({"id": number, "error": text})
            return
        if answer is not None:
            search.asked = None
            search.answers += 1
            self._report({"id": number, "answer": answer})
            if answer["is_done"]:
                self.stop(tab)

    def _answer_nothing(self, search: _Search) -> None:
        if search.asked is not None:
            self._report({"id": search.asked["id"], "answer": None})
            search.asked = None


class _Search:
    """One search, piece by piece.

    Attributes:
        number: of the search, as the page counts them.
        answers: how many there were.
        asked: the question that waits for an answer.
        pieces: does a piece of work each time; gives an answer, or `None` where there is none yet.
    """

    def __init__(
        self, predictor: Predictor, settings: EverythingSettings, number: int, window: Callable[[], Window]
    ) -> None:
        self.number, self.answers = number, 0
        self.asked: Json | None = None
        self.pieces = self._pieces(predictor, settings, window)
        self._numbers: dict[Found, int] = {}
        self._told: set[Found] = set()
        self._least = Thresholds.of(settings, predictor.info.everything, predictor.info.architecture).iou
        self._next_answer, self._began = 0.0, time.monotonic()

    def _pieces(
        self, predictor: Predictor, settings: EverythingSettings, window: Callable[[], Window]
    ) -> Generator[Json | None, None, None]:
        place = window()
        yield None
        for step in find_everything(predictor, None, place, settings, points_per_call=POINTS_PER_CALL):
            yield None
            is_due = time.monotonic() >= self._next_answer
            if is_due or step.done == step.total:
                started = time.monotonic()
                for _ in step.preparing():
                    yield None
                if is_due and step.done < step.total:
                    yield from self._answered(step, started)
        yield self._answer(step, is_done=True)

    def _answered(self, step: EverythingStep, started: float) -> Iterator[Json]:
        answer, now = self._answer(step), time.monotonic()
        if self.answers or answer["added"] or now >= self._began + _ANSWER_S:  # the first objects are told at once
            self._next_answer = now + max(_ANSWER_S, (now - started) / _MOST_SHARE)
            yield answer

    def _answer(self, step: EverythingStep, *, is_done: bool = False) -> Json:
        objects = step.finished().objects
        added = [found for found in objects if found not in self._told]
        gone = self._told.difference(objects)
        self._told = set(objects)
        return {
            "begins": self.answers == 0,
            "is_done": is_done,
            "done": step.done,
            "total": step.total,
            "least": self._least,
            "added": self._as_json(added),
            "gone": [self._numbers[found] for found in gone],
        }

    def _as_json(self, added: Sequence[Found]) -> list[Json]:
        for found in added:
            self._numbers.setdefault(found, len(self._numbers))
        return [
            {
                "id": self._numbers[found],
                "counts": found.rle.counts,
                "score": found.iou_score,
                "point": list(found.point_xy),
                "choice": found.choice,
            }
            for found in added
        ]
