"""The process that teaches: runs `fine_tune` at low priority and tells what goes on, one JSON object per line; or makes a blend.

    {"kind": "teach", "data": "...", "output": "...", "model": "sam2_nano", ...}   ->  {"news": "epoch", "epoch": {...}} ... {"news": "done", ...}
    {"kind": "blend", "base": "...", "tuned": "...", "share": 0.5, "output": "..."}  ->  {"news": "done"}

`{"kind": "stop"}` ends a training in good order. When the input ends, the server has gone: the process ends at once, and the training goes on
from its last whole epoch when somebody resumes it.
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.label.child_process import own_streams
from sam2_adapter.label.teaching_runs import shown_epoch

if TYPE_CHECKING:
    from sam2_adapter.training.events import Event

# Clicks come first: how much this process gives way, and how often it tells of the progress of a part at most.
NICE = 10
_SECONDS_BETWEEN_NEWS = 0.2

Json = dict[str, Any]
Report = Callable[[Json], None]


class EventsAsJson:
    """Turns what a training tells into messages; those on progress are thinned out."""

    def __init__(self, report: Report, now: Callable[[], float] = time.monotonic) -> None:
        """Give messages to `report`."""
        self._report, self._now = report, now
        self._what, self._told_at = "", 0.0

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        from sam2_adapter.training.events import BlendMeasured, DataRead, EpochEnded, GeneralMeasured, Work

        if isinstance(event, Work):
            self._tell_work(event)
        elif isinstance(event, EpochEnded):
            self._report({"news": "epoch", "epoch": shown_epoch(vars(event.record))})
        elif isinstance(event, BlendMeasured):
            self._report({"news": "blend", "point": event.point.to_dict()})
        elif isinstance(event, GeneralMeasured):
            self._report({"news": "general", "isSaved": event.is_saved_model, **vars(event.quality)})
        elif isinstance(event, DataRead):
            left_out = event.dataset.left_out
            self._report({"news": "data", "leftOut": left_out.account if left_out else ""})

    def _tell_work(self, event: Any) -> None:
        now = self._now()
        if event.what == self._what and event.done < event.total and now - self._told_at < _SECONDS_BETWEEN_NEWS:
            return
        self._what, self._told_at = event.what, now
        self._report({"news": "work", "what": event.what, "done": event.done, "total": event.total})


def teach(request: Json, report: Report) -> None:
    """Run, or go on with, a training, and report what it came to."""
    from sam2_adapter.config import Config
    from sam2_adapter.label.teaching_result import result_of
    from sam2_adapter.training.fine_tune import fine_tune

    result = fine_tune(
        request["data"],
        request["output"],
        Config.from_mapping(request["settings"]),
        model=request["model"],
        name=request["name"],
        data_format=request["format"],
        embeddings_dir=request["embeddings"],
        resume=True,
        on_event=EventsAsJson(report).tell,
    )
    report({"news": "done", "result": result_of(result)})


def blend(request: Json, report: Report) -> None:
    """Write a model between the one before and the taught one."""
    from sam2_adapter.training.blend import blend_checkpoints

    blend_checkpoints(request["base"], request["tuned"], request["share"], request["output"], overwrite=True)
    report({"news": "done"})


_stop_was_asked = threading.Event()
_KINDS = {"teach": teach, "blend": blend}


def obey(request: Json, report: Report) -> None:
    """Do what was asked, and report it where it fails or is stopped."""
    try:
        _KINDS[request["kind"]](request, report)
    except KeyboardInterrupt:
        report({"news": "stopped"})
    except Exception as error:
        if _stop_was_asked.is_set():  # modules that it stops while they are imported raise errors of their own
            report({"news": "stopped"})
            return
        if not isinstance(error, Sam2AdapterError):
            traceback.print_exc()
        report({"news": "failed", "text": str(error) or type(error).__name__})


def _listen(requests: Iterable[bytes]) -> None:
    for line in requests:
        if json.loads(line).get("kind") == "stop":
            _stop_was_asked.set()
            _thread.interrupt_main()
    os._exit(0)  # the server has gone


def main() -> None:
    """Obey the first line of the input."""
    requests, report = own_streams()
    request = json.loads(requests.readline() or b"{}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have switched it off
    if hasattr(os, "nice"):
        os.nice(NICE)
    threading.Thread(target=partial(_listen, requests), daemon=True).start()
    obey(request, report)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt, KeyError):
        os._exit(0)  # the server has gone
    os._exit(0)
