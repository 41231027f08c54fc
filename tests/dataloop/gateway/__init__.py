"""An emulator of the platform's gateway: the real client talks to it over HTTP, its state is in memory.

Use it through the fixtures of `tests/dataloop/conftest.py`:

    def test_something(gateway, platform):
        dataset = platform.dataset(labels=["cat"])            # a real entity of the client
        item = platform.item(dataset, image, "/train/a.png")  # numpy array, PIL image or bytes; written into the state directly
        platform.annotate(item, platform.dl.Box(10, 10, 90, 90, "cat"))
        model = platform.model(dataset, output_type="binary", configuration={...}, artifacts={"weights.pt": b"..."})
        with gateway.counting() as requests:
            adapter.predict_items([item])
        assert requests.by_item()[item.id] <= 4
        assert not gateway.requests.unknown

- `gateway.store` is the state; `gateway.requests` the log (`total`, `by_route()`, `by_item()`, `of("GET /items/{item_id}/stream")`, `unknown`).
- `gateway.latency = 0.05` makes every request take that many seconds more.
- `gateway.faults.add(status(503), route="/items/{item_id}/stream", occurrences={1, 2})` makes requests go wrong (see `faults`);
  `gateway.faults.injected` says which did. The client's waits between retries are shortened by the fixture `platform`
  (see `tests/dataloop/client.py`); the numbers of tries are its own.
- `gateway.crashes` are errors of the emulator itself. The fixture fails a test that leaves some.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.dataloop.gateway import annotations, apps, datasets, exports, features, items, models
from tests.dataloop.gateway.faults import Faults
from tests.dataloop.gateway.requests import Request, Requests
from tests.dataloop.gateway.server import API, Server
from tests.dataloop.gateway.store import Store

ROUTES = [
    *datasets.routes,
    *items.routes,
    *annotations.routes,
    *exports.routes,
    *models.routes,
    *features.routes,
    *apps.routes,
]


class Gateway:
    """A running server with its state, its log and its faults."""

    def __init__(self) -> None:
        self.store = Store()
        self.faults = Faults()
        self.requests = Requests()
        self.crashes: list[Exception] = []
        self.latency = 0.0
        """Seconds that every request takes longer."""
        self._server = Server(self, ROUTES)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What the client takes as its environment: it ends in `/api/v1`."""
        return f"http://127.0.0.1:{self._server.server_port}{API}"

    def record(self, request: Request) -> None:
        """Add to the log."""
        self.requests.append(request)

    @contextmanager
    def counting(self) -> Iterator[Requests]:
        """A log of its own that holds the requests of the `with` block once the block has ended."""
        start, counted = len(self.requests), Requests()
        yield counted
        counted.extend(self.requests[start:])

    def reset(self) -> None:
        """As after the start: no state, no log, no faults, no latency."""
        self.store.clear()
        self.faults.clear()
        self.requests.clear()
        self.crashes.clear()
        self.latency = 0.0

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
