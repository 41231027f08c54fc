"""Scores pictures in the model's process while nobody asks it anything: those that nobody looks at, one after another."""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.images.read import read_image
from sam2_adapter.predict.everything.certainty import certainty
from sam2_adapter.predict.predictor import Predictor

REST_S = 0.7
"""For so long nothing was asked before a picture is begun."""
_LOOK_S = 0.1
_NICE = 15

Json = dict[str, Any]


class Scorer:
    """Answers questions of the kind `score`, each when the model has nothing else to do; where it is disturbed, a picture is scored again later, as it was encoded."""

    def __init__(self, predictor: Predictor, report: Callable[[Json], None], is_free: Callable[[], bool]) -> None:
        """Score with `predictor`, and report answers to `report`, while `is_free` says that no picture is being encoded."""
        self._predictor, self._report, self._is_free = predictor, report, is_free
        self._asked: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        self._disturbed_at = 0.0
        self._is_closed = False
        threading.Thread(target=self._score_all, daemon=True).start()

    def ask(self, request: Json) -> None:
        """Take a request; its answer is reported later."""
        self._asked.put(request)

    def disturb(self) -> None:
        """Something else was asked: wait until that is over."""
        self._disturbed_at = time.monotonic()

    def close(self) -> None:
        """End when the picture under way is done."""
        self._is_closed = True
        self._asked.put(None)

    def _score_all(self) -> None:
        with suppress(OSError, AttributeError):  # where threads have no priority of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while (request := self._asked.get()) is not None:
            try:
                self._report({"id": request["id"], "answer": self._answer(request["image"])})
            except Sam2AdapterError as error:
                self._report({"id": request["id"], "error": str(error)})
            except Exception as error:  # this picture fails, the next one may not
                traceback.print_exc()
                self._report({"id": request["id"], "error": f"unexpected {type(error).__name__}: {error}"})

    def _answer(self, image: Mapping[str, Any]) -> Json:
        score = embedding = None
        while score is None and not self._is_closed:
            self._wait_for_rest()
            begun_at = time.monotonic()
            if embedding is None:
                embedding = self._predictor.embed(read_image(Path(image["path"]), name=image["name"]))
            score = certainty(self._predictor, embedding, lambda: self._disturbed_at < begun_at)  # noqa: B023 # used at once
        return {"score": score, "weights": self._predictor.info.weights_sha256}

    def _wait_for_rest(self) -> None:
        while not self._is_closed and (time.monotonic() - self._disturbed_at < REST_S or not self._is_free()):
            time.sleep(_LOOK_S)
