"""The process that holds the model: reads requests, one JSON object per line, and writes answers and news of the same form.

    {"id": 7, "kind": "ask", "tab": "a1", "visit": 3, "image": {...}, "steps": [...]}  ->  {"id": 7, "answer": {"counts": "...", "score": 0.93}}

Clicks are answered in the order in which they came; one for a picture that its tab has left is dropped. Pictures are encoded by a second
thread, those that are open before those that come next, so that a click on an encoded picture never waits for another picture.
It ends when its input does: a server that was killed leaves no model behind.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_adapter.annotations.rle import Rle
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import ImageError, PromptError, Sam2AdapterError
from sam2_adapter.files import reason_of
from sam2_adapter.images.read import read_image
from sam2_adapter.input_files import open_regular
from sam2_adapter.interactive import Answer, EncodedSources, Session, Step
from sam2_adapter.label.child_process import own_streams
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

CACHE_BYTES = 512 * 2**20
"""Most memory for encoded pictures."""
MOST_TABS = 32
"""Sessions that are kept; the one used longest ago makes room, and begins again when it is used again."""

# Of these, only the newest of each tab is worth an answer: where the pointer is, and what is looked at.
_ONLY_NEWEST = ("hover", "look")

# Embeddings at hand beside the cache, which holds the same values: the open pictures of a few tabs, and the next ones.
_KEPT_READY = 12
_MOST_AHEAD = 2

_NO_STEP = "A step is a point, a box or a mask, such as {'point': [420, 310], 'inside': true}."

Json = dict[str, Any]
Report = Callable[[Json], None]


@dataclass(frozen=True)
class _Image:
    id: str
    name: str
    path: Path

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> _Image:
        return cls(value["id"], value["name"], Path(value["path"]))


@dataclass
class _Tab:
    """One page: its session, and the picture that is open in it."""

    session: Session
    open_image: str = ""


class ModelWorker:
    """Answers requests with a predictor; `handle` may be called while others are worked on."""

    def __init__(self, predictor: Predictor, report: Report) -> None:
        """Answer with `predictor`, and give answers and news to `report`, from any thread."""
        self._predictor, self._report = predictor, report
        self._sources = EncodedSources(predictor, ByteBoundedCache(CACHE_BYTES))
        self._tabs: OrderedDict[str, _Tab] = OrderedDict()
        self._visits: dict[str, int] = {}
        self._newest: dict[tuple[str, str], int] = {}
        self._asked: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        self._encoder = _Encoder(self._sources, report)
        self._answering = threading.Thread(target=self._answer_all, daemon=True)
        self._answering.start()

    def handle(self, request: Json) -> None:
        """Take a request; its answer is reported later."""
        tab = request["tab"]
        self._visits[tab] = max(self._visits.get(tab, 0), request["visit"])
        if request["kind"] == "open":
            self._encoder.want([_Image.of(request["image"]), *map(_Image.of, request.get("next", []))], tab)
        else:
            if request["kind"] in _ONLY_NEWEST:
                self._newest[tab, request["kind"]] = request["id"]
            self._asked.put(request)

    def close(self) -> None:
        """End both threads when they are done with what they do now."""
        self._asked.put(None)
        self._encoder.close()
        self._answering.join(timeout=10)

    def _answer_all(self) -> None:
        while (request := self._asked.get()) is not None:
            try:
                self._report({"id": request["id"], "answer": self._answer(request)})
            except Sam2AdapterError as error:
                self._report({"id": request["id"], "error": str(error)})
            except Exception as error:  # this click fails, the next one may not
                traceback.print_exc()
                self._report({"id": request["id"], "error": f"unexpected {type(error).__name__}: {error}"})

    def _answer(self, request: Json) -> Json | None:
        """`None` for what nobody waits for any more."""
        if self._is_stale(request):
            return None
        image = _Image.of(request["image"])
        embedding = self._encoder.encoded(image, lambda: self._is_stale(request))
        if embedding is None:
            return None
        session, kind = self._session(request["tab"], image, embedding), request["kind"]
        if kind == "look":
            view = _view(request)
            if view is not None:
                session.look(view)
            return {}
        if kind == "hover":
            x, y = _point(request)
            found = session.preview(x, y, view_xyxy=_view(request))
            return None if found is None else _as_json(found)
        steps = [_step(step, embedding.original_hw) for step in request["steps"]]
        answer = session.go_to(steps)
        if kind == "candidates":
            return {"candidates": [_as_json(candidate) for candidate in session.candidates()]}
        return None if answer is None else _as_json(answer)

    def _is_stale(self, request: Json) -> bool:
        tab = request["tab"]
        if request["visit"] < self._visits.get(tab, 0):
            return True
        return bool(request["kind"] in _ONLY_NEWEST and request["id"] < self._newest.get((tab, request["kind"]), 0))

    def _session(self, name: str, image: _Image, embedding: ImageEmbedding) -> Session:
        tab = self._tabs.pop(name, None) or _Tab(Session(self._predictor, self._sources))
        self._tabs[name] = tab
        while len(self._tabs) > MOST_TABS:
            self._tabs.popitem(last=False)
        if tab.open_image != image.id:
            tab.session.open(embedding, read=lambda: read_image(image.path, name=image.name))
            tab.open_image = image.id
        return tab.session


class _Encoder:
    """Encodes pictures in a thread of its own: those that a tab looks at, then those that come next."""

    def __init__(self, sources: EncodedSources, report: Report) -> None:
        self._sources, self._report = sources, report
        self._changed = threading.Condition()
        self._wanted: dict[str, list[_Image]] = {}
        self._failed: dict[str, str] = {}
        self._ready: OrderedDict[str, ImageEmbedding] = OrderedDict()
        self._is_closed = False
        threading.Thread(target=self._encode_all, daemon=True).start()

    def want(self, images: list[_Image], tab: str) -> None:
        """The picture that a tab looks at, and those that come next."""
        with self._changed:
            self._wanted[tab] = images
            for image in images:
                self._failed.pop(image.id, None)
            is_ready = images[0].id in self._ready
            self._changed.notify_all()
        if is_ready:
            self._report({"news": "encoded", "image": images[0].id, "seconds": 0.0})

    def encoded(self, image: _Image, is_stale: Callable[[], bool]) -> ImageEmbedding | None:
        """Wait for a picture; `None` where nobody waits for it any more."""
        with self._changed:
            while image.id not in self._ready and not self._is_closed:
                if is_stale():
                    return None
                if image.id in self._failed:
                    raise PromptError(self._failed[image.id])
                if not any(image in images for images in self._wanted.values()):
                    self._wanted["?"] = [image]
                    self._changed.notify_all()
                self._changed.wait(0.5)
            self._ready.move_to_end(image.id)
            return self._ready[image.id]

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _encode_all(self) -> None:
        while (image := self._next()) is not None:
            self._report({"news": "encoding", "image": image.id})
            started = time.monotonic()
            try:
                embedding = self._encode(image)
            except Exception as error:  # this picture fails, the next one may not
                if not isinstance(error, Sam2AdapterError):
                    traceback.print_exc()
                with self._changed:
                    self._failed[image.id] = str(error)
                    self._changed.notify_all()
                self._report({"news": "broken", "image": image.id, "text": str(error)})
                continue
            with self._changed:
                self._ready[image.id] = embedding
                while len(self._ready) > _KEPT_READY:
                    self._ready.popitem(last=False)
                self._changed.notify_all()
            self._report({"news": "encoded", "image": image.id, "seconds": time.monotonic() - started})

    def _encode(self, image: _Image) -> ImageEmbedding:
        try:
            facts = image.path.stat()
            stamp = facts.st_mtime_ns, facts.st_size
        except OSError:
            stamp = None
        return self._sources.encode(image.id, lambda: _content(image), name=image.name, stamp=stamp).embedding

    def _next(self) -> _Image | None:
        """The picture to encode next; waits for one. `None` at the end."""
        with self._changed:
            while not self._is_closed:
                for rank in range(_MOST_AHEAD + 1):
                    for images in self._wanted.values():
                        if rank < len(images) and self._is_missing(images[rank]):
                            return images[rank]
                self._changed.wait()
            return None

    def _is_missing(self, image: _Image) -> bool:
        return image.id not in self._ready and image.id not in self._failed


def _content(image: _Image) -> bytes:
    try:
        with open_regular(image.path) as file:
            return file.read()
    except OSError as error:
        raise ImageError(f"{image.name}: cannot read the file: {reason_of(error)}.") from error


def _step(value: Mapping[str, Any], original_hw: tuple[int, int]) -> Step:
    """A step as the page sends it.

    Raises:
        PromptError: it is none.
    """
    try:
        where: Json = {"choice": value.get("choice"), "view_xyxy": _view(value)}
        if value.get("mask") is not None:
            return Step(mask=Rle(value["mask"], original_hw), **where)
        if value.get("box") is not None:
            return Step(box_xyxy=tuple(float(side) for side in value["box"]), **where)
        return Step(point_xy=_point(value), foreground=bool(value.get("inside", True)), **where)
    except Sam2AdapterError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise PromptError(_NO_STEP) from error


def _point(value: Mapping[str, Any]) -> tuple[float, float]:
    try:
        x, y = value["point"]
        return float(x), float(y)
    except (KeyError, TypeError, ValueError) as error:
        raise PromptError(_NO_STEP) from error


def _view(value: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    view = value.get("view")
    if view is None:
        return None
    try:
        x0, y0, x1, y1 = (int(side) for side in view)
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError("A view is four whole numbers, x0, y0, x1, y1.") from error
    return x0, y0, x1, y1


def _as_json(answer: Answer) -> Json:
    told = {"counts": answer.rle.counts, "score": answer.iou_score}
    return {**told, "cut": True} if answer.is_cut else told


def main() -> None:
    """Load the model that the first line of the input names, and answer what follows."""
    requests, answers = own_streams()
    lock = threading.Lock()

    def report(message: Json) -> None:
        with lock:
            answers.write(json.dumps(message, allow_nan=False).encode() + b"\n")
            answers.flush()

    options = json.loads(requests.readline() or b"{}")
    try:
        from sam2_adapter.predict.load import load_predictor

        predictor = load_predictor(**options)
    except Exception as error:
        if not isinstance(error, Sam2AdapterError):
            traceback.print_exc()
        report({"news": "failed", "text": str(error)})
        return
    info = predictor.info
    report(
        {
            "news": "ready",
            "model": {
                "name": info.name,
                "weights": info.weights_sha256,
                "runtime": info.runtime,
                "device": info.device,
            },
        }
    )
    worker = ModelWorker(predictor, report)
    for line in requests:
        worker.handle(json.loads(line))


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # the server has gone
    os._exit(0)  # threads that are still at work have nobody to tell
