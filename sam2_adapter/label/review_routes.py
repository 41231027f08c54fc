"""What the page asks for the review: figures by label, the objects in some order, and each of them cut out of its picture."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sam2_adapter.annotations.colors import PALETTE
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import ImageError
from sam2_adapter.label.cutouts import cut_out
from sam2_adapter.label.endpoints import Endpoint
from sam2_adapter.label.pictures import Picture, encoded_jpeg
from sam2_adapter.label.request_values import RequestError
from sam2_adapter.label.review import ORDERS, Accepted, accepted, figures, in_order, is_by_hand, score_of
from sam2_adapter.label.served import Served

PAGE_OBJECTS = 120
"""Objects that are told at once; the page asks for more when somebody scrolls there."""

_CUTOUT_BYTES = 32 * 2**20
_MOST_AT_ONCE = 2
# The address of what is cut out changes with the object.
_KEPT = {"cache-control": "private, max-age=86400, immutable"}


class ReviewRoutes:
    """Requests on the review."""

    def __init__(self, served: Served) -> None:
        """Answer for a session."""
        self._served = served
        self._cutouts = ByteBoundedCache(_CUTOUT_BYTES)
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)
        self.get: Sequence[tuple[str, Endpoint]] = [
            ("/api/review", self._review),
            ("/api/images/{id}/objects/{key}/cutout", self._cutout),
        ]
        self.post: Sequence[tuple[str, Endpoint]] = []

    async def _review(self, request: Request) -> Response:
        asked = request.query_params
        order, start = asked.get("order", ORDERS[0]), asked.get("start", "0")
        if order not in ORDERS:
            raise RequestError(f"Objects are ordered by {', '.join(ORDERS)}, but got {order!r:.40}.")
        if not start.isascii() or not start.isdigit() or len(start) > 9:
            raise RequestError("'start' is a whole number.")
        return JSONResponse(await asyncio.to_thread(self._told, asked.get("label"), order, int(start)))

    def _told(self, label: str | None, order: str, start: int) -> dict[str, Any]:
        work = self._served.work
        objects = accepted(work.snapshot())
        chosen = in_order(objects, label, order)
        ids = {picture.name: picture.id for picture in self._served.pictures}
        return {
            "labels": [asdict(row) for row in figures(objects, work.labels)],
            "total": len(chosen),
            "start": start,
            "objects": [_told(one, ids.get(one.name, "")) for one in chosen[start : start + PAGE_OBJECTS]],
        }

    async def _cutout(self, request: Request) -> Response:
        picture, key = self._served.picture(request), request.path_params["key"]
        async with self._at_once:
            content = await asyncio.to_thread(self._cut_out, picture, key)
        return Response(content, media_type="image/jpeg", headers=_KEPT)

    def _cut_out(self, picture: Picture, key: str) -> bytes:
        work = self._served.work
        entry = work.objects_of(picture.name).get(key)
        if entry is None:
            raise ImageError(f"{picture.name}: there is no such object.")
        color = work.label_colors.get(entry["label"], PALETTE[0])
        cached: bytes | None = self._cutouts.get((picture.id, entry["counts"], color))
        if cached is None:
            pixels = self._served.files.pixels(picture)
            cached = encoded_jpeg(cut_out(pixels, entry, color))
            self._cutouts.put((picture.id, entry["counts"], color), cached, len(cached) + len(entry["counts"]))
        return cached


def _told(one: Accepted, image: str) -> dict[str, Any]:
    """An object for the page; its picture may have gone from the folder, and then has no id."""
    entry = one.entry
    return {
        "image": image,
        "name": one.name,
        "id": one.key,
        "label": entry["label"],
        "score": score_of(entry),
        "area": one.area_px,
        "byHand": is_by_hand(entry),
        "version": one.version,
    }
