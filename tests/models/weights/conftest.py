"""A local server of weights for the tests of downloads."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sam2_adapter.download_progress import watch_downloads
from sam2_adapter.models.families.base import Architecture, PublishedWeights
from sam2_adapter.models.weights import download, fetch
from tests.models.seeded_checkpoint import SMALL_2_1, seeded_tensors, write_meta_file, write_transformers_directory
from tests.models.weights.weights_server import Server

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        served.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        served.release.set()
        http.shutdown()
        thread.join()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No proxies, no variables and no files of the machine, no pauses."""
    for name in (
        *PROXIES,
        "HF_HUB_OFFLINE",
        "SAM2_ADAPTER_OFFLINE",
        "SAM2_ADAPTER_WEIGHTS_URL",
        "HF_ENDPOINT",
        "HF_HUB_CACHE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub_home")))
    monkeypatch.setattr(fetch.time, "sleep", lambda _: None)


@pytest.fixture
def told() -> Iterator[list[Any]]:
    """What is told of downloads: name, bytes there and in all; then each piece that arrives; then "end"."""
    events: list[Any] = []

    @contextmanager
    def watch(*begun: object) -> Iterator[Callable[[int], None]]:
        events.append(begun)
        yield events.append
        events.append("end")

    watch_downloads(watch)
    yield events
    watch_downloads(None)


@pytest.fixture(scope="module")
def meta_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "custom.pt"
    write_meta_file(path, seeded_tensors(SMALL_2_1))
    return path.read_bytes()


@pytest.fixture(scope="module")
def hub_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "hub"
    write_transformers_directory(path, seeded_tensors(SMALL_2_1), SMALL_2_1)
    return (path / "model.safetensors").read_bytes()


@pytest.fixture
def published(meta_bytes: bytes) -> Architecture:
    """The small architecture, as if it were an official one."""
    weights = PublishedWeights(
        meta_path="models/custom.pt",
        hub_repo="acme/custom-model",
        num_bytes=len(meta_bytes),
        sha256=hashlib.sha256(meta_bytes).hexdigest(),
        ultralytics_name="custom.pt",
    )
    return replace(SMALL_2_1, weights=weights)


@pytest.fixture
def mirror(server: Server, meta_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server as the only source of Meta's file."""
    monkeypatch.setenv("SAM2_ADAPTER_WEIGHTS_URL", f"{server.url}/")
    server.files["/custom.pt"] = meta_bytes
    return server


@pytest.fixture
def both(server: Server, meta_bytes: bytes, hub_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server as Meta's host and as the hub."""
    monkeypatch.setattr(download, "META_URL", server.url)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.files["/models/custom.pt"] = meta_bytes
    server.files["/acme/custom-model/resolve/main/model.safetensors"] = hub_bytes
    return server
