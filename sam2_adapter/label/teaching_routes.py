"""What the page asks for around teaching, over HTTP: thin, each address calls one thing of `Teaching` or `ModelChoice`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sam2_adapter.label.endpoints import Endpoint
from sam2_adapter.label.model_choice import ModelChoice
from sam2_adapter.label.request_values import body_of, number_in, text_in, whole_in
from sam2_adapter.label.teaching import Teaching


class TeachingRoutes:
    """The addresses below `/api/teaching`."""

    def __init__(self, teaching: Teaching, choice: ModelChoice) -> None:
        """Serve a session's teaching."""
        self._teaching, self._choice = teaching, choice
        self.get: Sequence[tuple[str, Endpoint]] = [
            ("/api/teaching", self._shown),
            ("/api/teaching/split", self._split),
        ]
        self.post: Sequence[tuple[str, Endpoint]] = [
            ("/api/teaching/start", self._start),
            ("/api/teaching/resume", self._resume),
            ("/api/teaching/stop", self._stop),
            ("/api/teaching/use", self._use),
        ]

    async def _shown(self, request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self._teaching.shown))

    async def _split(self, request: Request) -> Response:
        is_used = request.query_params.get("from") == "used"
        split = await asyncio.to_thread(self._teaching.split, from_used=is_used)
        return JSONResponse(split.shown())

    async def _start(self, request: Request) -> Response:
        body = await body_of(request)
        num_epochs = whole_in(body, "epochs") if "epochs" in body else None
        await self._teaching.start(num_epochs=num_epochs, from_used=body.get("from") == "used")
        return await self._shown(request)

    async def _resume(self, request: Request) -> Response:
        self._teaching.resume(text_in(await body_of(request), "run"))
        return await self._shown(request)

    async def _stop(self, request: Request) -> Response:
        self._teaching.stop()
        return await self._shown(request)

    async def _use(self, request: Request) -> Response:
        body = await body_of(request)
        name = text_in(body, "run") if body.get("run") is not None else None
        await self._choice.use(name, number_in(body, "share") if name is not None else 1.0)
        return await self._shown(request)
