"""What the page asks for, over HTTP: thin, each address calls one thing that does the work.

The model is in another process (`model_process`), files are read and written in threads, so that the event loop only passes things on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sam2_adapter.annotations.colors import PALETTE, hex_of_color
from sam2_adapter.files import encodable
from sam2_adapter.formats.base import OutputType
from sam2_adapter.label.background_scores import BackgroundScores
from sam2_adapter.label.endpoints import Endpoint, answering, refused
from sam2_adapter.label.export import Exporter
from sam2_adapter.label.label_routes import LabelRoutes
from sam2_adapter.label.model_choice import ModelChoice
from sam2_adapter.label.picture_scores import PictureScores
from sam2_adapter.label.pictures import TILE_PX, Picture, Sent
from sam2_adapter.label.queue_routes import QueueRoutes
from sam2_adapter.label.request_values import Json, RequestError, body_of, list_in, text_in, whole_in
from sam2_adapter.label.review_routes import ReviewRoutes
from sam2_adapter.label.served import Routes, Served
from sam2_adapter.label.teaching import Teaching
from sam2_adapter.label.teaching_routes import TeachingRoutes
from sam2_adapter.label.teaching_runs import FOLDER, Runs
from sam2_adapter.label.work import Work

_MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# Pictures do not change while they are labelled; a page that is opened later asks again.
_KEPT = {"cache-control": "private, max-age=600"}
# Requests that read or scale pictures at the same time.
_AT_ONCE = 3


class LabelServer:
    """One labelling session over HTTP.

    Attributes:
        app: the ASGI application, without `Guard`.
    """

    def __init__(
        self,
        title: str,
        pictures: Sequence[Picture],
        work: Work,
        exporter: Exporter,
        model_options: Json,
        notes: Sequence[str] = (),
        teaching_settings: Json | None = None,
        scores: PictureScores | None = None,
    ) -> None:
        """Serve a session.

        Args:
            title: what the page is called, such as the name of the folder.
            pictures: in their order.
            work: what was labelled so far.
            exporter: writes files.
            model_options: arguments of `load_predictor`.
            notes: sentences for the page, such as what was left out of the annotations that were found.
            teaching_settings: of the configuration, for teaching.
            scores: of pictures, from earlier sessions; `None` keeps those of this one in memory alone.

        Raises:
            ConfigError: one of these settings cannot be used.
            ExportError: there is a link in the place of the folder for teaching.
        """
        self._title, self._notes = title, list(notes)
        self._served = Served(pictures, work)
        self._files, self._news = self._served.files, self._served.news
        self._work, self._exporter = work, exporter
        runs = Runs(exporter.directory / FOLDER)
        choice = ModelChoice(runs, model_options, self._news.tell, self._tell_teaching)
        self.model = choice.process
        device = {"device": model_options["device"]} if "device" in model_options else {}
        settings = {**device, **(teaching_settings or {})}
        self._teaching = Teaching(runs, work, pictures, choice, settings, self._news.tell)
        self._scores = BackgroundScores(self.model, work, pictures, scores or PictureScores())
        self._parts: list[Routes] = [
            LabelRoutes(self._served),
            QueueRoutes(self._served, self._scores),
            ReviewRoutes(self._served),
            TeachingRoutes(self._teaching, choice),
        ]
        self._reading, self._reading_small = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(1)
        self._assets = _assets()
        self.app = Starlette(routes=self._routes(), lifespan=self._lifespan)

    def close_streams(self) -> None:
        """End the streams of events, which would keep the server from ending."""
        self._news.close()

    def _routes(self) -> list[Route]:
        image = "/api/images/{id}"
        get: list[tuple[str, Endpoint]] = [
            ("/", self._page),
            ("/page/{name}", self._page),
            ("/api/session", self._session),
            ("/api/events", self._event_stream),
            (image, self._image),
            (f"{image}/overview", self._overview),
            (f"{image}/thumbnail", self._thumbnail),
            (f"{image}/tiles/{{column:int}}/{{row:int}}", self._tile),
        ]
        post: list[tuple[str, Endpoint]] = [
            (f"{image}/open", self._open),
            (f"{image}/ask", self._ask),
            (f"{image}/changes", self._changes),
            ("/api/export", self._export),
        ]
        for part in self._parts:
            get += part.get
            post += part.post
        return [
            *(Route(path, answering(endpoint), methods=["GET"]) for path, endpoint in get),
            *(Route(path, answering(endpoint), methods=["POST"]) for path, endpoint in post),
        ]

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.model.start()
        try:
            yield
        finally:
            self._news.close()
            await self._teaching.close()
            await self._scores.stop()
            await self.model.stop()

    def _tell_teaching(self) -> None:
        self._news.tell({"news": "teaching", "teaching": self._teaching.shown()})

    async def _page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in self._assets:
            return refused(404, "There is no such file.")
        return Response(self._assets[name], media_type=_MEDIA_TYPES[Path(name).suffix])

    async def _session(self, request: Request) -> Response:
        counts = self._work.counts()
        images = [
            {
                "id": picture.id,
                "name": picture.name,
                "count": counts.get(picture.name),
                "state": self._work.state_of(picture.name),
            }
            for picture in self._served.pictures
        ]
        return JSONResponse(
            {
                "title": encodable(self._title),
                "images": images,
                **self._served.labels(),
                "model": self.model.shown(),
                "formats": self._exporter.offered(),
                "output": encodable(str(self._exporter.directory)),
                "tile": TILE_PX,
                "palette": [hex_of_color(color) for color in PALETTE],
                "notes": self._notes,
            }
        )

    async def _event_stream(self, request: Request) -> Response:
        tab = request.query_params.get("tab", "")

        async def body() -> AsyncIterator[str]:
            try:
                async for text in self._news.stream(self._hello):
                    yield text
            finally:
                self.model.forget(tab)

        return StreamingResponse(body(), media_type="text/event-stream")

    def _hello(self) -> Json:
        pictures = list(self.model.pictures.values())
        return {
            "news": "hello",
            "number": self._work.number,
            "model": self.model.shown(),
            "pictures": pictures,
            "teaching": self._teaching.shown(),
        }

    async def _image(self, request: Request) -> Response:
        picture = self._served.picture(request)
        height, width = await self._served.size(picture)
        objects = self._work.objects_of(picture.name)
        return JSONResponse({"width": width, "height": height, "objects": objects, "number": self._work.number})

    async def _overview(self, request: Request) -> Response:
        return await self._sent(self._files.overview, self._served.picture(request))

    async def _thumbnail(self, request: Request) -> Response:
        async with self._reading_small:  # one after the other: what somebody looks at does not wait for them
            return await self._sent(self._files.thumbnail, self._served.picture(request))

    async def _tile(self, request: Request) -> Response:
        place = request.path_params
        return await self._sent(self._files.tile, self._served.picture(request), place["column"], place["row"])

    async def _sent(self, make: Callable[..., Sent], picture: Picture, *place: int) -> Response:
        async with self._reading:
            sent = await asyncio.to_thread(make, picture, *place)
        return Response(sent.content, media_type=sent.media_type, headers=_KEPT)

    async def _open(self, request: Request) -> Response:
        picture, body = self._served.picture(request), await body_of(request)
        following = [self._files.by_id[key] for key in list_in(body, "next") if key in self._files.by_id]
        self.model.open(
            text_in(body, "tab"),
            {"visit": whole_in(body, "visit"), "image": picture.told(), "next": [one.told() for one in following[:2]]},
        )
        return JSONResponse({})

    async def _ask(self, request: Request) -> Response:
        picture, body = self._served.picture(request), await body_of(request)
        kind = text_in(body, "kind")
        if kind not in _ASKED:
            raise RequestError(f"The kind of a question is {', '.join(_ASKED)}, but got {kind!r:.40}.")
        question = {
            "kind": kind,
            "tab": text_in(body, "tab"),
            "visit": whole_in(body, "visit"),
            "image": picture.told(),
            **{key: checked(body, key) for key, checked in _ASKED[kind].items()},
        }
        return JSONResponse({"answer": await self.model.ask(question)})

    async def _changes(self, request: Request) -> Response:
        picture, body = self._served.picture(request), await body_of(request)
        changes = body.get("changes")
        if not isinstance(changes, dict):
            raise RequestError("'changes' are ids with an object or null each.")
        size = await self._served.size(picture)
        num_labels = len(self._work.labels)
        kept = await asyncio.to_thread(self._work.change, picture.name, size, changes)
        labels = self._served.labels()
        told: Json = {
            **labels,
            "count": len(self._work.objects_of(picture.name)),
            "state": self._work.state_of(picture.name),
        }
        facts = {key: told[key] for key in ("number", "count", "state")}
        self._news.tell({"news": "changes", "tab": text_in(body, "tab"), "image": picture.id, "changes": kept, **facts})
        if len(labels["labels"]) != num_labels:
            self._news.tell({"news": "labels", "tab": "", **labels})
        return JSONResponse(told)

    async def _export(self, request: Request) -> Response:
        body = await body_of(request)
        output_type = body.get("output_type", "mask")
        if output_type not in get_args(OutputType):
            raise RequestError(
                f"Masks are written as {' or '.join(get_args(OutputType))}, but got {output_type!r:.40}."
            )
        names = list_in(body, "formats")
        write = partial(self._exporter.write, labels=self._work.label_colors)
        done = await asyncio.to_thread(write, self._work.snapshot(), names, self.model.model, output_type)
        paths = [{"format": name, "path": encodable(str(path))} for name, path in done.paths.items()]
        return JSONResponse(
            {
                "paths": paths,
                "images": done.num_images,
                "objects": done.num_objects,
                "notes": [*done.notes, *self._work.left_out()],
            }
        )


def _assets() -> dict[str, bytes]:
    """The files of the page by name, read once: no request reads a path.

    The page names its modules at the start, so that the browser fetches them together and not one after the other as they import each other.
    """
    folder = resources.files("sam2_adapter.label").joinpath("page")
    found = {file.name: file.read_bytes() for file in folder.iterdir() if Path(file.name).suffix in _MEDIA_TYPES}
    modules = sorted(name for name in found if name.endswith(".js"))
    ahead = "".join(f'  <link rel="modulepreload" href="/page/{name}">\n' for name in modules)
    found["index.html"] = found["index.html"].replace(b"</head>", ahead.encode() + b"</head>", 1)
    return found


def _view(body: Json, key: str) -> list[Any] | None:
    return None if body.get(key) is None else list_in(body, key)


# What the questions to the model are made of, by their kind.
_ASKED: dict[str, dict[str, Callable[[Json, str], Any]]] = {
    "click": {"steps": list_in},
    "candidates": {"steps": list_in},
    "hover": {"point": list_in, "view": _view},
    "look": {"view": _view},
    "everything": {"search": whole_in, "after": whole_in, "view": _view},
    "stop": {"search": whole_in},
}
