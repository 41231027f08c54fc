"""The page in a real browser: the server as people start it, and a person's hands and eyes."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import sam2_adapter
from sam2_adapter.label.change_journal import read_lines
from sam2_adapter.label.objects import with_whole_steps
from tests.browser import SCHEMES

DEMO = Path(sam2_adapter.__file__).parent / "assets" / "demo"
HOSTILE = "<img src=x onerror=alert(1)>"
TOKEN = "tokenOfTheTests"
_WAIT_S = 120.0


class Server:
    """`sam2-adapter label`, in a process of its own."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [
            sys.executable,
            "-m",
            "sam2_adapter",
            "label",
            *map(str, arguments),
            "--no-browser",
            "--token",
            TOKEN,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        self.complaints: list[str] = []
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.said, lines.put)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.complaints, lambda _: None)),
        ]
        for reader in self._readers:
            reader.start()
        try:
            self.url = lines.get(timeout=_WAIT_S).strip()
        except queue.Empty:
            self.kill()
            raise AssertionError(f"no page: {self.complaints}") from None

    @staticmethod
    def _read(stream: Any, kept: list[str], tell: Any) -> None:
        for line in stream:
            kept.append(line)
            tell(line)
        tell("")

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    def stop(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self._ended()

    def kill(self) -> None:
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        status = self.process.wait(timeout=_WAIT_S)
        for reader in self._readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return status


@contextmanager
def serving(*arguments: str | Path) -> Iterator[Server]:
    """A server that has ended afterwards."""
    server = Server(*arguments)
    try:
        yield server
    finally:
        server.kill()


class Page:
    """A page that is open, used by a person with a mouse and a keyboard."""

    def __init__(self, window: Any) -> None:
        self.window = window

    def js(self, expression: str, argument: Any = None) -> Any:
        return self.window.evaluate(expression if "=>" in expression else f"() => {expression}", argument)

    def until(self, condition: str, argument: Any = None) -> Any:
        """Wait until an expression is true; the page's own rules forbid the browser driver's way of waiting."""
        end = time.monotonic() + _WAIT_S
        if "=>" not in condition:
            condition = f"() => Boolean({condition})"  # pictures and the like cannot be handed out
        while not (found := self.js(condition, argument)):
            assert time.monotonic() < end, f"waited in vain for {condition}: {self.js('document.body.innerText')}"
            time.sleep(0.02)
        return found

    def ready(self) -> None:
        """Wait until the open picture can be clicked on."""
        self.until(
            "window.label && label.store.state.image && label.stage.picture.overview && label.store.state.pictures[label.store.state.image.id] === 'ready'"
        )

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture is on the screen."""
        return tuple(
            self.js(
                "([x, y]) => { const { left, top } = document.getElementById('canvas').getBoundingClientRect();"
                " const [a, b] = label.stage.view.toScreen(x, y); return [a + left, b + top]; }",
                [x, y],
            )
        )

    def under(self, x: float, y: float) -> list[float]:
        """The point of the picture at a place on the screen."""
        return self.js(
            "([x, y]) => { const { left, top } = document.getElementById('canvas').getBoundingClientRect();"
            " return label.stage.view.toImage(x - left, y - top); }",
            [x, y],
        )

    def point(self, x: float, y: float, *, button: str = "left", modifiers: Sequence[str] = ()) -> None:
        """Click at a point of the picture and wait for the answer."""
        for key in modifiers:
            self.window.keyboard.down(key)
        self.window.mouse.click(*self.place(x, y), button=button)
        for key in modifiers:
            self.window.keyboard.up(key)
        self.answered()

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, button: str = "left") -> None:
        """Press at one point of the picture and let go at another one."""
        first, last = self.place(*start), self.place(*end)
        self.window.mouse.move(*first)
        self.window.mouse.down(button=button)
        self.window.mouse.move(*last, steps=4)
        self.window.mouse.up(button=button)

    def answered(self) -> None:
        """Wait until nothing is asked any more."""
        self.until("() => { const { draft } = label.store.state.desk; return !draft || label.own(); }")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.window.keyboard.press(key)

    def saved(self) -> None:
        """Wait until the page says that all is saved."""
        self.until("!label.store.state.outbox.length && document.getElementById('saved').textContent === 'Saved'")

    @property
    def draft(self) -> Any:
        return self.js("label.store.state.desk.draft")

    @property
    def shown(self) -> Any:
        """The mask under way: {counts, score}."""
        return self.js("label.own() ?? null")

    @property
    def objects(self) -> list[Any]:
        return self.js("Object.values(label.store.state.objects)")

    @property
    def labels(self) -> list[str]:
        return [entry["label"] for entry in self.objects]


@contextmanager
def opened_page(
    browser: Any, url: str, width: int = 1440, height: int = 900, scheme: str = "light", **options: Any
) -> Iterator[Page]:
    """The page in a window of its own, as a new person sees it; whatever it complains about is an error."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
    complaints: list[str] = []
    try:
        window = context.new_page()
        window.on("pageerror", lambda error: complaints.append(str(error)))
        window.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
        window.goto(url)
        page = Page(window)
        page.complaints = complaints
        yield page
        if complaints:
            raise AssertionError(f"the page complains: {complaints}")
    finally:
        context.close()


def _is_complaint(message: Any) -> bool:
    # The browser itself notes that a broken picture could not be loaded.
    return message.type == "error" and "status of 404" not in message.text and "ERR_CONNECTION" not in message.text


class Fingers:
    """Fingers, by their numbers; places are those of the screen."""

    def __init__(self, page: Page) -> None:
        self._client = page.window.context.new_cdp_session(page.window)
        self._there: dict[int, tuple[float, float]] = {}

    def down(self, *fingers: tuple[int, tuple[float, float]]) -> None:
        self._there.update(fingers)
        self._send("touchStart")

    def move(self, *fingers: tuple[int, tuple[float, float]]) -> None:
        self._there.update(fingers)
        self._send("touchMove")

    def up(self) -> None:
        self._there.clear()
        self._send("touchEnd")

    def _send(self, kind: str) -> None:
        points: list[dict[str, Any]] = [{"x": x, "y": y, "id": number} for number, (x, y) in self._there.items()]
        self._client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def looks(page: Page, name: str, widths: Mapping[int, int], settled: str) -> Iterator[tuple[int, str]]:
    """The page in windows of these widths (and their heights), light and dark, one after the other, each once `settled` is true.

    With SAM2_ADAPTER_SCREENS=FOLDER a picture of each is kept there.
    """
    folder = os.environ.get("SAM2_ADAPTER_SCREENS")
    for width, height in widths.items():
        page.window.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.window.emulate_media(color_scheme=scheme)
            page.until(settled)
            if folder:
                page.window.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png")
            yield width, scheme


def photos(folder: Path, names: Iterable[str]) -> Path:
    """A new folder with some of the demo's pictures."""
    folder.mkdir()
    for name in names:
        shutil.copy(DEMO / name, folder / name)
    return folder


def saved_objects(folder: Path) -> list[Any]:
    """What the journal of a folder of pictures says there is."""
    objects: dict[str, Any] = {}
    for line in read_lines(folder / "labels" / "journal.jsonl"):
        for key, value in line.get("changes", {}).items():
            objects.pop(key, None)
            if value is not None:
                objects[key] = with_whole_steps(value)
    return list(objects.values())


def same(shown: Any, answer: Any) -> bool:
    """Whether the page shows what the engine answers."""
    return (shown["counts"], shown["score"]) == (answer.rle.counts, pytest.approx(answer.iou_score, abs=1e-6))


def engine(folder: Path, name: str) -> Any:
    """A session of the engine itself on one of the pictures, with the model of the page."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from sam2_adapter.interactive import Session
    from sam2_adapter.predict.load import load_predictor

    session = Session(_predictors.setdefault("nano", None) or load_predictor("sam2_nano", device="cpu"))
    _predictors["nano"] = session._predictor
    session.open(folder / name)
    return session


_predictors: dict[str, Any] = {}
