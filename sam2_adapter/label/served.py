"""`Served`: what all requests of the page share: the pictures, the work in them, and who hears of changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request

from sam2_adapter.errors import ImageError
from sam2_adapter.label.endpoints import Endpoint
from sam2_adapter.label.page_news import PageNews
from sam2_adapter.label.pictures import Picture, PictureFiles
from sam2_adapter.label.request_values import Json
from sam2_adapter.label.work import Work


class Routes(Protocol):
    """The requests of one part of the page: paths with what answers them."""

    get: Sequence[tuple[str, Endpoint]]
    post: Sequence[tuple[str, Endpoint]]


class Served:
    """One session, as requests see it; belongs to one event loop.

    Attributes:
        pictures: in their order.
        files: their pixels.
        work: what was labelled in them.
        news: tells all pages what changed.
    """

    def __init__(self, pictures: Sequence[Picture], work: Work) -> None:
        """Serve pictures and the work in them."""
        self.pictures = list(pictures)
        self.files = PictureFiles(pictures)
        self.work = work
        self.news = PageNews()
        self._sizes: dict[str, tuple[int, int]] = {}

    def picture(self, request: Request) -> Picture:
        """The picture that a path names by its id.

        Raises:
            ImageError: there is none.
        """
        picture = self.files.by_id.get(request.path_params["id"])
        if picture is None:
            raise ImageError("There is no picture with this id.")
        return picture

    async def size(self, picture: Picture) -> tuple[int, int]:
        """(height, width) of a picture in pixels.

        Raises:
            ImageError: it cannot be read.
        """
        if picture.id not in self._sizes:
            self._sizes[picture.id] = await asyncio.to_thread(self.files.original_hw, picture)
        return self._sizes[picture.id]

    def labels(self) -> Json:
        """The labels as every page hears of them."""
        work = self.work
        renamings = [
            {"id": key, "old": done.old, "new": done.new, "isRestored": done.is_restored}
            for key, done in work.renamings.items()
        ]
        return {
            "labels": work.labels,
            "places": work.label_places,
            "renamings": renamings,
            "number": work.number,
        }
