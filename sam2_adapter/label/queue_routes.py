"""What the page asks of the queue: how far a picture is, and which pictures to show in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sam2_adapter.errors import ImageError
from sam2_adapter.label.background_scores import BackgroundScores
from sam2_adapter.label.endpoints import Endpoint
from sam2_adapter.label.picture_work import STATES
from sam2_adapter.label.pictures import Picture
from sam2_adapter.label.request_values import Json, RequestError, body_of, text_in
from sam2_adapter.label.served import Served

ALL, WITH_LABEL = "all", "label"
BY_NAME, BY_SCORE = "name", "score"

_UNKNOWN = 2.0  # above all scores


class QueueRoutes:
    """Requests on the queue of pictures."""

    def __init__(self, served: Served, scores: BackgroundScores) -> None:
        """Answer for a session."""
        self._served, self._scores = served, scores
        self.get: Sequence[tuple[str, Endpoint]] = [
            ("/api/queue", self._queue),
            ("/api/queue/scores", self._progress),
        ]
        self.post: Sequence[tuple[str, Endpoint]] = [("/api/images/{id}/mark", self._mark)]

    async def _mark(self, request: Request) -> Response:
        served = self._served
        picture, body = served.picture(request), await body_of(request)
        mark, tab = text_in(body, "mark"), text_in(body, "tab")
        await asyncio.to_thread(served.work.mark, picture.name, await self._size(picture), mark)
        told: Json = {
            "number": served.work.number,
            "state": served.work.state_of(picture.name),
            "count": served.work.counts().get(picture.name),
        }
        served.news.tell({"news": "marked", "tab": tab, "image": picture.id, **told})
        return JSONResponse(told)

    async def _size(self, picture: Picture) -> tuple[int, int] | None:
        try:
            return await self._served.size(picture)
        except ImageError:
            return None

    async def _queue(self, request: Request) -> Response:
        """The pictures that a list shows, in its order; `None` for all of them as they are."""
        asked = request.query_params
        chosen, label = asked.get("filter", ALL), asked.get("label", "")
        if chosen not in (ALL, WITH_LABEL, *STATES):
            raise RequestError(
                f"Pictures are chosen by {', '.join((ALL, WITH_LABEL, *STATES))}, but got {chosen!r:.40}."
            )
        order = asked.get("order", BY_NAME)
        if order not in (BY_NAME, BY_SCORE):
            raise RequestError(f"The order of pictures is {BY_NAME} or {BY_SCORE}, but got {order!r:.40}.")
        if order == BY_SCORE:
            self._scores.start()
            return JSONResponse(await asyncio.to_thread(self._by_score, chosen, label))
        return JSONResponse({"ids": None if chosen == ALL else await asyncio.to_thread(self._chosen, chosen, label)})

    async def _progress(self, request: Request) -> Response:
        scored, total = await asyncio.to_thread(self._scores.progress)
        return JSONResponse({"scored": scored, "total": total})

    def _by_score(self, chosen: str, label: str) -> Json:
        """Those that the model is least sure of first, then those that it has not looked at."""
        scores = self._scores.scores()
        scored, total = self._scores.progress()
        ids = sorted(self._chosen(chosen, label), key=lambda key: scores.get(key, _UNKNOWN))
        return {"ids": ids, "scores": scores, "scored": scored, "total": total}

    def _chosen(self, chosen: str, label: str) -> list[str]:
        work, pictures = self._served.work, self._served.pictures
        names = work.pictures_with(label) if chosen == WITH_LABEL else set()
        return [
            picture.id
            for picture in pictures
            if chosen == ALL
            or (picture.name in names if chosen == WITH_LABEL else work.state_of(picture.name) == chosen)
        ]
