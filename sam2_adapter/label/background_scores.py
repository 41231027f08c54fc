"""`BackgroundScores`: has the pictures scored that nobody looks at, one at a time, once somebody has asked for that order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from sam2_adapter.errors import PromptError
from sam2_adapter.label.model_process import ModelError, ModelProcess
from sam2_adapter.label.picture_scores import PictureScores
from sam2_adapter.label.picture_work import IN_PROGRESS, NEW
from sam2_adapter.label.pictures import Picture
from sam2_adapter.label.work import Work


class BackgroundScores:
    """Scores of the pictures that are not done or skipped, by the model of the page; belongs to one event loop."""

    def __init__(self, model: ModelProcess, work: Work, pictures: Sequence[Picture], kept: PictureScores) -> None:
        """Nothing is scored yet."""
        self._model, self._work, self._pictures, self._kept = model, work, pictures, kept
        self._failed: set[tuple[str, str]] = set()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Score what has no score yet, in a task of its own."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._score_all())

    async def stop(self) -> None:
        """End that."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    def scores(self) -> dict[str, float]:
        """Id of the picture to its score by the model that the page uses."""
        scores = {picture.id: self._kept.get(self._weights, picture) for picture in self._pictures}
        return {key: score for key, score in scores.items() if score is not None}

    def progress(self) -> tuple[int, int]:
        """How many pictures have a score, of how many that are to have one while this goes on."""
        wanted = self._wanted()
        is_running = self._running is not None and not self._running.done()
        missing = sum(map(self._is_missing, wanted)) if is_running else 0
        return len(wanted) - missing, len(wanted)

    @property
    def _weights(self) -> str:
        return str(self._model.model.get("weights") or "")

    def _wanted(self) -> list[Picture]:
        return [picture for picture in self._pictures if self._work.state_of(picture.name) in (NEW, IN_PROGRESS)]

    def _is_missing(self, picture: Picture) -> bool:
        weights = self._weights
        return (weights, picture.id) not in self._failed and self._kept.get(weights, picture) is None

    async def _score_all(self) -> None:
        while (picture := await asyncio.to_thread(self._next, self._model.looked_at())) is not None:
            question = {"kind": "score", "image": picture.told(), "tab": "", "visit": 0}
            weights = self._weights
            try:
                answer = await self._model.ask(question)
            except PromptError:  # the page shows what is wrong with it
                self._failed.add((weights, picture.id))
            except ModelError:  # perhaps because of this picture
                self._failed.add((weights, picture.id))
                if self._model.state == "failed":
                    return
            else:
                await asyncio.to_thread(self._kept.put, answer["weights"], picture, answer["score"])

    def _next(self, looked_at: Collection[str]) -> Picture | None:
        """A picture to score that nobody looks at; asks the disk for each that has a score."""
        wanted = (picture for picture in self._wanted() if picture.id not in looked_at)
        return next(filter(self._is_missing, wanted), None)
