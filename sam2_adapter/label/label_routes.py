"""What the page asks of labels: new ones, other names, and that one goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sam2_adapter.label.endpoints import Endpoint
from sam2_adapter.label.request_values import RequestError, body_of, list_in, text_in
from sam2_adapter.label.served import Served

_KINDS = ("add", "rename", "restore", "remove")


class LabelRoutes:
    """Requests on labels."""

    def __init__(self, served: Served) -> None:
        """Answer for a session."""
        self._served = served
        self.get: Sequence[tuple[str, Endpoint]] = [("/api/labels", self._uses)]
        self.post: Sequence[tuple[str, Endpoint]] = [("/api/labels", self._add), ("/api/labels/change", self._change)]

    async def _uses(self, request: Request) -> Response:
        uses = await asyncio.to_thread(self._served.work.label_uses)
        return JSONResponse(
            {"uses": [{"label": label, "objects": num, "pictures": where} for label, (num, where) in uses.items()]}
        )

    async def _add(self, request: Request) -> Response:
        body = await body_of(request)
        await asyncio.to_thread(self._served.work.add_labels, list_in(body, "labels"))
        return self._told("labels")

    async def _change(self, request: Request) -> Response:
        body = await body_of(request)
        kind, work = text_in(body, "kind"), self._served.work
        if kind not in _KINDS:
            raise RequestError(f"Labels are changed by {', '.join(_KINDS)}, but got {kind!r:.40}.")
        if kind == "rename":
            await asyncio.to_thread(work.rename_label, _label(body, "label"), _label(body, "to"), text_in(body, "id"))
        elif kind == "restore":
            await asyncio.to_thread(work.restore_label, text_in(body, "id"))
        elif kind == "remove":
            await asyncio.to_thread(work.remove_label, _label(body, "label"))
        else:
            await asyncio.to_thread(work.add_labels, [_label(body, "label")])
        return self._told("relabelled" if kind in ("rename", "restore") else "labels", text_in(body, "tab"))

    def _told(self, news: str, tab: str = "") -> Response:
        """Tell all pages, and answer the one that asked."""
        labels = self._served.labels()
        self._served.news.tell({"news": news, "tab": tab, **labels})
        return JSONResponse(labels)


def _label(body: dict[str, object], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise RequestError(f"{key!r} is a label.")
    return value
