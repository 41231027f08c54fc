"""The server's side of the process that holds the model: starts it, passes requests on, and starts it again when it ends."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sam2_adapter.errors import PromptError, Sam2AdapterError
from sam2_adapter.label.child_process import ChildProcess, Json

_MOST_RESTARTS = 3

_WORKER = "sam2_adapter.label.model_worker"


class ModelError(Sam2AdapterError):
    """The model could not be loaded, or its process ended."""


class ModelProcess:
    """Requests to the model's process; belongs to one event loop.

    Attributes:
        state: `loading`, `ready` or `failed`.
        text: what went wrong, where it failed.
        model: name and weights of the model, when it is ready.
        pictures: id of a picture to the newest news of it, for pages that were not there to hear them.
    """

    def __init__(self, options: Mapping[str, Any], tell: Callable[[Json], None]) -> None:
        """Nothing is started yet.

        Args:
            options: arguments of `load_predictor`, plain JSON types.
            tell: gets the news: states of the model and of pictures.
        """
        self.state, self.text = "loading", ""
        self.model: Json = {}
        self.pictures: dict[str, Json] = {}
        self._options, self._tell = dict(options), tell
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._opened: dict[str, Json] = {}
        self._process: ChildProcess | None = None
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    def start(self) -> None:
        """Start the process, in a task of its own."""
        self._running = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """End the process."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        if self._process is not None:
            await self._process.end()

    async def use(self, options: Mapping[str, Any]) -> None:
        """Go on with another model, whose process takes the place of the one that runs; the pages ask again what was under way."""
        await self.stop()
        self._options = dict(options)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ModelError("Another model was chosen. The click is answered when it is loaded."))
        self._set_state("loading")
        self.start()

    def open(self, tab: str, request: Json) -> None:
        """Say which picture a tab looks at; repeated to a process that is started again."""
        self._opened[tab] = {**request, "kind": "open", "tab": tab}
        self._send(self._opened[tab])

    def looked_at(self) -> set[str]:
        """Ids of the pictures that tabs look at."""
        return {request["image"]["id"] for request in self._opened.values()}

    def forget(self, tab: str) -> None:
        """A tab was closed."""
        self._opened.pop(tab, None)

    async def ask(self, request: Json) -> Any:
        """The answer to a request; `None` where nobody waits for it any more.

        Raises:
            PromptError: the request cannot be used.
            ModelError: there is no model, or its process ended meanwhile.
        """
        await self._ready.wait()
        if self.state == "failed":
            raise ModelError(self.text)
        number = next(self._ids)
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send({**request, "id": number})
            return await future
        finally:
            self._waiting.pop(number, None)

    def _send(self, message: Json) -> None:
        if self._process is not None and self.state == "ready":
            self._process.send(message)

    async def _keep_running(self) -> None:
        for _ in range(_MOST_RESTARTS + 1):
            ended = await self._run_once()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ModelError(f"{ended} The click is answered when the model is back."))
            if self.state == "failed":
                return
            self._set_state("loading", ended)
        self._set_state(
            "failed", "The model's process ended several times. Look at the terminal for the reason, and start again."
        )

    async def _run_once(self) -> str:
        """One life of the process; returns how it ended."""
        self._process = ChildProcess(_WORKER)
        return f"The model's process ended ({await self._process.run(self._options, self._take)})."

    def _take(self, message: Json) -> None:
        news = message.get("news")
        if news == "ready":
            self.model = message["model"]
            self._set_state("ready")
            for request in self._opened.values():
                self._send(request)
        elif news == "failed":
            self._set_state("failed", message["text"])
        elif news:
            self.pictures[message["image"]] = message
            self._tell(message)
        else:
            future = self._waiting.get(message["id"])
            if future is not None and not future.done():
                if "error" in message:
                    future.set_exception(PromptError(message["error"]))
                else:
                    future.set_result(message["answer"])

    def _set_state(self, state: str, text: str = "") -> None:
        self.state, self.text = state, text
        if state != "ready":
            self.pictures.clear()
        (self._ready.clear if state == "loading" else self._ready.set)()
        self._tell({"news": "model", **self.shown()})

    def shown(self) -> Json:
        """The state for the page."""
        return {"state": self.state, "text": self.text, "model": self.model}
