"""The process that holds the model: reads requests, one JSON object per line, and writes answers and news of the same form.

    {"id": 7, "kind": "ask", "tab": "a1", "visit": 3, "image": {...}, "steps": [...]}  ->  {"id": 7, "answer": {"counts": "...", "score": 0.93}}

Clicks are answered in the order in which they came; one for a picture that its tab has left is dropped. Pictures are encoded by a second
thread (`picture_encoder`), so that a click on an encoded picture never waits for another picture. Searches for everything
(`everything_answers`) go on piece by piece while nobody has clicked, and pictures are scored (`scoring`) while nobody asks anything.
It ends when its input does: a server that was killed leaves no model behind.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import traceback
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import PromptError, Sam2AdapterError
from sam2_adapter.images.read import read_image
from sam2_adapter.interactive import Answer, EncodedSources, Session
from sam2_adapter.label.child_process import own_streams
from sam2_adapter.label.everything_answers import EverythingSearches
from sam2_adapter.label.picture_encoder import Json, PictureEncoder, PictureFile, Report
from sam2_adapter.label.questions import point_of, step_of, view_of
from sam2_adapter.label.scoring import Scorer
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import Window

CACHE_BYTES = 512 * 2**20
"""Most memory for encoded pictures."""
MOST_TABS = 32
"""Sessions that are kept; the one used longest ago makes room, and begins again when it is used again."""

# Of these, only the newest of each tab is worth an answer: where the pointer is, and what is looked at.
_ONLY_NEWEST = ("hover", "look")


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
        self._encoder = PictureEncoder(self._sources, report)
        self._searches = EverythingSearches(predictor, report)
        self._scorer = Scorer(predictor, report, self._is_free)
        self._answering = threading.Thread(target=self._answer_all, daemon=True)
        self._answering.start()

    def handle(self, request: Json) -> None:
        """Take a request; its answer is reported later."""
        if request["kind"] == "score":
            self._scorer.ask(request)
            return
        self._scorer.disturb()
        tab = request["tab"]
        self._visits[tab] = max(self._visits.get(tab, 0), request["visit"])
        if request["kind"] == "open":
            self._encoder.want([PictureFile.of(request["image"]), *map(PictureFile.of, request.get("next", []))], tab)
        else:
            if request["kind"] in _ONLY_NEWEST:
                self._newest[tab, request["kind"]] = request["id"]
            self._asked.put(request)

    def close(self) -> None:
        """End both threads when they are done with what they do now."""
        self._asked.put(None)
        self._encoder.close()
        self._scorer.close()
        self._answering.join(timeout=10)

    def _is_free(self) -> bool:
        """Whether nobody waits for anything but scores."""
        return self._asked.empty() and not self._searches.is_busy and self._encoder.is_resting()

    def _answer_all(self) -> None:
        while (request := self._next()) is not None:
            try:
                if request["kind"] == "everything" and not self._is_stale(request):
                    self._searches.ask(request, partial(self._window, request))
                else:
                    self._report({"id": request["id"], "answer": self._answer(request)})
            except Sam2AdapterError as error:
                self._report({"id": request["id"], "error": str(error)})
            except Exception as error:  # this click fails, the next one may not
                traceback.print_exc()
                self._report({"id": request["id"], "error": f"unexpected {type(error).__name__}: {error}"})

    def _next(self) -> Json | None:
        """The next request; while there is none, searches go on. `None` at the end."""
        while True:
            try:
                return self._asked.get(block=not self._searches.is_busy)
            except queue.Empty:
                self._searches.work(self._is_stale)

    def _window(self, request: Json) -> Window:
        """The picture of a request, or the part of it that is looked at."""
        session = self._opened(request)
        if session is None:
            raise PromptError("The picture was left.")
        return session.look(view_of(request))

    def _answer(self, request: Json) -> Json | None:
        """`None` for what nobody waits for any more."""
        kind = request["kind"]
        if kind == "stop":
            self._searches.stop(request["tab"], request["search"])
            return {}
        session = self._opened(request)
        if session is None:
            return None
        if kind == "look":
            view = view_of(request)
            if view is not None:
                session.look(view)
            return {}
        if kind == "hover":
            x, y = point_of(request)
            found = session.preview(x, y, view_xyxy=view_of(request))
            return None if found is None else _as_json(found)
        assert session.original_hw is not None  # it is open
        steps = [step_of(step, session.original_hw) for step in request["steps"]]
        answer = session.go_to(steps)
        if answer is None:
            return None
        if kind == "candidates":
            return {"own": _as_json(answer), "candidates": [_as_json(candidate) for candidate in session.candidates()]}
        return _as_json(answer)

    def _is_stale(self, request: Json) -> bool:
        tab = request["tab"]
        if request["visit"] < self._visits.get(tab, 0):
            return True
        return bool(request["kind"] in _ONLY_NEWEST and request["id"] < self._newest.get((tab, request["kind"]), 0))

    def _opened(self, request: Json) -> Session | None:
        """The session of a tab on the picture of a request, once that is encoded; `None` where nobody waits for it any more."""
        if self._is_stale(request):
            return None
        image = PictureFile.of(request["image"])
        embedding = self._encoder.encoded(image, lambda: self._is_stale(request))
        return None if embedding is None else self._session(request["tab"], image, embedding)

    def _session(self, name: str, image: PictureFile, embedding: ImageEmbedding) -> Session:
        tab = self._tabs.pop(name, None) or _Tab(Session(self._predictor, self._sources))
        self._tabs[name] = tab
        while len(self._tabs) > MOST_TABS:
            self._searches.stop(self._tabs.popitem(last=False)[0])
        if tab.open_image != image.id:
            tab.session.open(embedding, read=lambda: read_image(image.path, name=image.name))
            tab.open_image = image.id
        return tab.session


def _as_json(answer: Answer) -> Json:
    told = {"counts": answer.rle.counts, "score": answer.iou_score}
    return {**told, "cut": True} if answer.is_cut else told


def main() -> None:
    """Load the model that the first line of the input names, and answer what follows."""
    requests, report = own_streams()
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
