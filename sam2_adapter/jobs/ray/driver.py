"""The process that talks to Ray.

It is a child of the command, which so keeps its own signals, stdout and stderr: Ray takes SIGTERM over, prints to stdout
about workers that died, and crashes when Ctrl-C comes while it starts.

On stdin it is given a pickled `Request` and the pickled chunks, and it ends when stdin does; on stdout it gives one JSON object
a line: `{"index": 3}` when a part is written, `{"error": "..."}` at last when the work cannot be done.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import IO, Any

import ray
import ray.data
from ray.exceptions import RayError

from sam2_adapter.errors import ConfigError, Sam2AdapterError
from sam2_adapter.jobs.ray.plan import Ledger, Machine, Request, Share, share_of

_SHUTDOWN_SECONDS = 20


def main() -> None:
    """Do what stdin asks for."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray prints
    request: Request = pickle.load(sys.stdin.buffer)
    chunks = [pickle.load(sys.stdin.buffer) for _ in range(request.num_chunks)]
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    status = 0
    try:
        _join(request.address, debug=request.debug)
        for index in _work(request, chunks):
            print(json.dumps({"index": index}), file=answers, flush=True)
    except Sam2AdapterError as error:
        print(json.dumps({"error": str(error)}), file=answers, flush=True)
    except Exception:
        traceback.print_exc()
        status = 1
    finally:
        ray.shutdown()
        sys.stderr.flush()
        # Ray's threads crash a Python that tidies up.
        os._exit(status)


class SharedLedger:
    """The same `Ledger` in every process of a cluster that this object is sent to."""

    def __init__(self) -> None:
        """Start the process that keeps it; it ends with the last of these objects."""
        remote: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Ledger)
        self._actor = remote.remote()

    def begin(self, work: str) -> dict[int, int]:
        """As in `Ledger`."""
        return ray.get(self._actor.begin.remote(work))  # type: ignore[no-any-return]

    def reach(self, work: str, step: int) -> None:
        """As in `Ledger`; waits, so that it is noted before the step can kill this process."""
        ray.get(self._actor.reach.remote(work, step))

    def end(self, work: str) -> None:
        """As in `Ledger`."""
        ray.get(self._actor.end.remote(work))


class _Worker:
    """A `ChunkWorker` in a process of its own, which Ray starts again where it dies."""

    def __init__(self, job: bytes, cores: int, ledger: SharedLedger) -> None:
        # Only here: it brings torch and transformers.
        from sam2_adapter.jobs.ray.worker import ChunkWorker

        self._worker = ChunkWorker(pickle.loads(job), cores, ledger, str(ray.get_runtime_context().get_actor_id()))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return self._worker(batch)


def _work(request: Request, chunks: list[bytes]) -> Iterator[int]:
    """Let the workers do the chunks; yields the index of each when its part is written."""
    share = share_of(_machines(), request.workers, use_gpus=request.use_gpus)
    data = ray.data.from_items([{"chunk": chunk} for chunk in chunks], override_num_blocks=len(chunks))
    done = data.map_batches(
        _Worker,
        batch_size=1,
        fn_constructor_args=(request.job, share.cores, SharedLedger()),
        **_as_ray_says(share, len(chunks)),
    )
    chunks.clear()  # Ray has them
    try:
        for row in done.iter_rows():
            if row["error"]:
                print(row["traceback"], file=sys.stderr)
                raise Sam2AdapterError(str(row["error"]))
            yield int(row["index"])
    except RayError as error:
        raise Sam2AdapterError(
            f"the Ray cluster could not do the work: {_cause(error)}. sam2-adapter[ray] must be installed on all of its "
            "machines, in the same version."
        ) from error


def _as_ray_says(share: Share, num_chunks: int) -> dict[str, Any]:
    # No chunk waits at a worker while another is idle.
    pool = ray.data.ActorPoolStrategy(size=min(share.workers, num_chunks), max_tasks_in_flight_per_actor=1)
    gpus = {"num_gpus": share.gpus} if share.gpus else {}
    return {"compute": pool, "num_cpus": share.cores, **gpus}


def _machines() -> list[Machine]:
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [Machine(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in resources]


def _join(address: str, *, debug: bool) -> None:
    """Join a cluster, or start one here.

    Raises:
        ConfigError: there is no cluster at this address, or none can be started.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.data.DataContext.get_current().enable_progress_bars = False
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    level = logging.INFO if debug else logging.WARNING
    try:
        ray.init(address, logging_level=level, log_to_driver=debug, **options)
    except Exception as error:
        called = "A Ray cluster on this machine" if address == "local" else f"The Ray cluster {address}"
        # Of a refused token only the cause tells.
        reason = f"{error}: {_cause(error.__cause__)}" if error.__cause__ else str(error)
        raise ConfigError(f"{called} cannot be used: {reason}") from error


def _cause(error: BaseException) -> str:
    """The last line of Ray's report of an error, which says what it was."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip().rstrip(".")


def _end_with(stream: IO[bytes]) -> None:
    """End this process, and with it the cluster that it has started, when the command is gone or wants no more."""
    stream.read()
    signal.raise_signal(signal.SIGTERM)
    time.sleep(_SHUTDOWN_SECONDS)
    os._exit(1)
