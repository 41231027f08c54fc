"""Downloads from a local server that fails in every way that servers fail."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sam2_adapter.errors import ConfigError, WeightsNotFoundError
from sam2_adapter.models.families.architectures import Architecture, PublishedWeights, get_architecture
from sam2_adapter.models.weights import download, fetch
from sam2_adapter.models.weights.checkpoint import load_checkpoint
from sam2_adapter.models.weights.download import (
    default_cache_dir,
    find_or_fetch_weights,
    find_weights,
    is_offline,
    weights_sources,
)
from sam2_adapter.models.weights.fetch import FetchError, fetch_file
from tests.models.seeded_checkpoint import SMALL_2_1, seeded_tensors, write_meta_file, write_transformers_directory

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass
class Server:
    """What the handler serves, and the faults that it makes, one a request, before it behaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    etag: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.path, handler.headers.get("Range")))
        fault = self.faults.pop(0) if self.faults else ""
        content = self.files.get(handler.path)
        if fault.isdigit():
            handler.send_error(int(fault))
        elif content is None:
            handler.send_error(404)
        else:
            self._send(handler, content, fault)

    def _send(self, handler: BaseHTTPRequestHandler, content: bytes, fault: str) -> None:
        etag = self.etag or f'"{hashlib.md5(content).hexdigest()}"'
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = 0
        if wanted and fault != "ignore-range" and handler.headers.get("If-Range") == etag:
            start = int(wanted[1])
        handler.send_response(206 if start else 200)
        if start:
            first = start - 7 if fault == "other-range" else start
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        handler.send_header("ETag", '"another"' if fault == "other-etag" else etag)
        if fault != "endless":
            handler.send_header("Content-Length", str(len(content) - start))
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        with suppress(ConnectionError):  # the client may have had enough
            self._send_body(handler, content[start:], fault)

    def _send_body(self, handler: BaseHTTPRequestHandler, body: bytes, fault: str) -> None:
        half = len(body) // 2
        handler.wfile.write(body[:half])
        if fault == "wait":
            self.release.wait(10)
        if fault == "drip":
            for place in range(half, len(body)):
                handler.wfile.write(body[place : place + 1])
                if self.release.wait(0.02):
                    return
        elif fault != "cut":
            handler.wfile.write(body[half:] + (bytes(10**6) if fault == "endless" else b""))


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

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


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies, no variables of the machine, no pauses."""
    for name in (*PROXIES, "HF_HUB_OFFLINE", "SAM2_ADAPTER_OFFLINE", "SAM2_ADAPTER_WEIGHTS_URL", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetch.time, "sleep", lambda _: None)


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


def visible(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.suffix != ".lock")


class TestFetching:
    def test_file_is_fetched_once(
        self, tmp_path: Path, mirror: Server, published: Architecture, meta_bytes: bytes
    ) -> None:
        path = find_or_fetch_weights(published, cache_dir=tmp_path)
        assert path == tmp_path / "custom.pt"
        assert path.read_bytes() == meta_bytes
        assert find_or_fetch_weights(published, cache_dir=tmp_path) == path
        assert mirror.requests == [("/custom.pt", None)]
        assert visible(tmp_path) == ["custom.pt"]
        load_checkpoint(path, published)

    def test_cut_connection_is_resumed(
        self, tmp_path: Path, mirror: Server, published: Architecture, meta_bytes: bytes
    ) -> None:
        mirror.faults = ["cut", "cut"]
        assert find_or_fetch_weights(published, cache_dir=tmp_path).read_bytes() == meta_bytes
        half = len(meta_bytes) // 2
        rest = half + (len(meta_bytes) - half) // 2
        assert mirror.requests == [
            ("/custom.pt", None),
            ("/custom.pt", f"bytes={half}-"),
            ("/custom.pt", f"bytes={rest}-"),
        ]

    def test_next_run_goes_on_where_the_last_one_stopped(
        self, tmp_path: Path, mirror: Server, published: Architecture, meta_bytes: bytes
    ) -> None:
        mirror.faults = ["cut"] + ["503"] * 3
        with pytest.raises(WeightsNotFoundError, match="HTTP 503"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert find_weights(published, tmp_path) is None
        assert find_or_fetch_weights(published, cache_dir=tmp_path).read_bytes() == meta_bytes
        assert mirror.requests[-1] == ("/custom.pt", f"bytes={len(meta_bytes) // 2}-")

    @pytest.mark.parametrize("change", ["ignore-range", "new version"])
    def test_server_that_starts_over(
        self, tmp_path: Path, mirror: Server, published: Architecture, meta_bytes: bytes, change: str
    ) -> None:
        """A server without ranges, or with another version of the file by now."""
        if change == "new version":
            mirror.files["/custom.pt"] = bytes(len(meta_bytes))
        mirror.faults = ["cut"] + ["503"] * 3
        with pytest.raises(WeightsNotFoundError):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        mirror.files["/custom.pt"] = meta_bytes
        mirror.faults = ["ignore-range"] if change == "ignore-range" else []
        assert find_or_fetch_weights(published, cache_dir=tmp_path).read_bytes() == meta_bytes

    def test_passing_faults_are_retried(
        self, tmp_path: Path, mirror: Server, published: Architecture, meta_bytes: bytes
    ) -> None:
        mirror.faults = ["500", "503", "429"]
        assert find_or_fetch_weights(published, cache_dir=tmp_path).read_bytes() == meta_bytes
        assert len(mirror.requests) == 4

    def test_unsatisfiable_range_starts_over(self, tmp_path: Path, mirror: Server, meta_bytes: bytes) -> None:
        mirror.faults = ["cut", "416"]
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert (tmp_path / "custom.pt").read_bytes() == meta_bytes

    @pytest.mark.parametrize("fault", ["other-etag", "other-range"])
    def test_a_part_of_another_version_or_place_is_not_appended(
        self, tmp_path: Path, mirror: Server, meta_bytes: bytes, fault: str
    ) -> None:
        mirror.faults = ["cut", fault]
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert (tmp_path / "custom.pt").read_bytes() == meta_bytes
        assert [wanted for _, wanted in mirror.requests] == [None, f"bytes={len(meta_bytes) // 2}-", None]

    @pytest.mark.parametrize("etag", ['"caf\xe9"', '"\x01"', 'W/"weak"', "no quotes", '"' + "x" * 5000 + '"'])
    def test_an_etag_of_any_bytes_does_not_block_the_file(
        self, tmp_path: Path, mirror: Server, meta_bytes: bytes, etag: str
    ) -> None:
        mirror.etag = etag
        mirror.faults = ["cut"]
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert (tmp_path / "custom.pt").read_bytes() == meta_bytes
        assert [wanted for _, wanted in mirror.requests] == [None, None], "what cannot be compared is fetched anew"

    def test_a_note_of_an_earlier_version_does_not_block_the_file(
        self, tmp_path: Path, mirror: Server, meta_bytes: bytes
    ) -> None:
        (tmp_path / ".custom.part.pt").write_bytes(meta_bytes[:100])
        for note in ('{"version": "\\ud800\\r\\n"}', '{"version": ["x"]}', "[" * 10**5, ""):
            (tmp_path / ".custom.part.json").write_text(note)
            fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
            assert (tmp_path / "custom.pt").read_bytes() == meta_bytes

    def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
        self, tmp_path: Path, mirror: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(fetch, "_STALLED_AFTER_S", 0.1)
        monkeypatch.setattr(fetch, "_LEAST_BYTES", 10**9)
        mirror.faults = ["drip"] * 4
        with pytest.raises(FetchError, match=r"the server sent only \d+ bytes in 0 seconds"):
            fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert len(mirror.requests) == 4
        assert mirror.requests[-1][1] is not None, "it goes on where it was"
        assert "Fetching custom.pt again: the server sent only" in caplog.text

    def test_many_at_once_fetch_once(self, tmp_path: Path, mirror: Server, published: Architecture) -> None:
        mirror.faults = ["wait"]
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(find_or_fetch_weights, published, cache_dir=tmp_path) for _ in range(4)]
            mirror.release.set()
            assert {one.result() for one in waiting} == {tmp_path / "custom.pt"}
        assert len(mirror.requests) == 1

    def test_progress_bar_on_a_terminal_only(
        self, tmp_path: Path, mirror: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "a.pt")
        assert capsys.readouterr() == ("", "")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "b.pt")
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "b.pt" in shown.err


class TestRefusing:
    def test_wrong_hash(self, tmp_path: Path, mirror: Server, published: Architecture, meta_bytes: bytes) -> None:
        mirror.files["/custom.pt"] = bytes(len(meta_bytes))
        with pytest.raises(WeightsNotFoundError, match=r"its SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert visible(tmp_path) == []
        assert len(mirror.requests) == 1

    @pytest.mark.parametrize("content", [b"<html>Please log in</html>", b""])
    def test_wrong_size(self, tmp_path: Path, mirror: Server, published: Architecture, content: bytes) -> None:
        mirror.files["/custom.pt"] = content
        with pytest.raises(
            WeightsNotFoundError, match=rf"the server's file has {len(content)} bytes, the published one \d+"
        ):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert visible(tmp_path) == []

    def test_a_server_that_sends_more_than_the_known_size_is_stopped(
        self, tmp_path: Path, mirror: Server, published: Architecture, meta_bytes: bytes
    ) -> None:
        mirror.faults = ["endless"]
        with pytest.raises(WeightsNotFoundError, match=f"sent more than the announced {len(meta_bytes)} bytes"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert visible(tmp_path) == []

    def test_a_file_of_unknown_size_has_an_end(
        self, tmp_path: Path, mirror: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetch, "_MOST_BYTES", 1000)
        mirror.faults = ["endless"]
        with pytest.raises(FetchError, match="sent more than the announced 1000 bytes"):
            fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert visible(tmp_path) == []

    def test_not_found(self, tmp_path: Path, mirror: Server, published: Architecture) -> None:
        mirror.files.clear()
        with pytest.raises(WeightsNotFoundError, match="HTTP 404 Not Found"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert len(mirror.requests) == 1

    def test_server_that_never_recovers(self, tmp_path: Path, mirror: Server, published: Architecture) -> None:
        mirror.faults = ["500"] * 9
        with pytest.raises(WeightsNotFoundError, match="HTTP 500"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert len(mirror.requests) == 4

    def test_directory_that_cannot_be_written(self, tmp_path: Path, mirror: Server, published: Architecture) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(WeightsNotFoundError, match=r"cannot write .*file/cache \(Not a directory\)"):
            find_or_fetch_weights(published, cache_dir=tmp_path / "file" / "cache")

    def test_url_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(FetchError):
            fetch_file("ftp://example.invalid/x.pt", tmp_path / "x.pt")


class TestSources:
    def test_hub_is_asked_when_meta_fails(self, tmp_path: Path, both: Server, published: Architecture) -> None:
        del both.files["/models/custom.pt"]
        path = find_or_fetch_weights(published, cache_dir=tmp_path)
        assert path == tmp_path / "custom-model" / "model.safetensors"
        assert find_or_fetch_weights(published, cache_dir=tmp_path, offline=True) == path
        assert load_checkpoint(path, published).video_tensors

    def test_file_of_the_hub_must_be_the_wanted_model(
        self, tmp_path: Path, both: Server, published: Architecture, hub_bytes: bytes
    ) -> None:
        del both.files["/models/custom.pt"]
        both.files["/acme/custom-model/resolve/main/model.safetensors"] = b"garbage" * 1000
        with pytest.raises(WeightsNotFoundError, match="is damaged or not a safetensors file"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert not [name for name in visible(tmp_path) if name.endswith(".safetensors")]

    def test_hash_that_the_hub_announces(self, tmp_path: Path, both: Server, published: Architecture) -> None:
        del both.files["/models/custom.pt"]
        both.headers["X-Linked-Etag"] = f'"{"0" * 64}"'
        with pytest.raises(WeightsNotFoundError, match=f"expected {'0' * 64}"):
            find_or_fetch_weights(published, cache_dir=tmp_path)

    def test_addresses_of_an_official_model(self, tmp_path: Path) -> None:
        meta, hub = weights_sources(get_architecture("sam2.1_hiera_b+"), tmp_path, {})
        assert meta.url == "https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_base_plus.pt"
        assert meta.path == tmp_path / "sam2.1_hiera_base_plus.pt"
        assert hub.url == "https://huggingface.co/facebook/sam2.1-hiera-base-plus/resolve/main/model.safetensors"
        assert hub.path == tmp_path / "sam2.1-hiera-base-plus" / "model.safetensors"
        (mirror,) = weights_sources(
            get_architecture("sam2_hiera_t"), tmp_path, {"SAM2_ADAPTER_WEIGHTS_URL": "http://m/x"}
        )
        assert mirror.url == "http://m/x/sam2_hiera_tiny.pt"

    def test_model_without_published_weights(self) -> None:
        with pytest.raises(ConfigError, match="The weights of sam2_nano are not published"):
            weights_sources(get_architecture("sam2_nano"))


class TestWithoutNetwork:
    def test_one_message_says_what_to_put_where(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "META_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(WeightsNotFoundError) as caught:
            find_or_fetch_weights(get_architecture("sam2_hiera_s"), cache_dir=tmp_path)
        text = str(caught.value)
        assert text.startswith("The weights of sam2_hiera_s are not on this machine and could not be fetched (")
        assert "http://127.0.0.1:9/segment_anything_2/072824/sam2_hiera_small.pt" in text
        assert str(tmp_path / "sam2_hiera_small.pt") in text
        assert "http://127.0.0.1:9/facebook/sam2-hiera-small/resolve/main/model.safetensors" in text
        assert str(tmp_path / "sam2-hiera-small" / "model.safetensors") in text

    @pytest.mark.parametrize("variable", ["SAM2_ADAPTER_OFFLINE", "HF_HUB_OFFLINE"])
    def test_offline_variables(
        self, tmp_path: Path, mirror: Server, published: Architecture, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "1")
        with pytest.raises(WeightsNotFoundError, match="the network is switched off"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert not mirror.requests
        find_or_fetch_weights(published, cache_dir=tmp_path, offline=False)
        assert is_offline({variable: "True"})
        assert not is_offline({variable: "0"})

    @pytest.mark.parametrize("name", ["custom.pt", "custom-model/model.safetensors"])
    def test_file_put_there_by_hand(self, tmp_path: Path, published: Architecture, name: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"looked at when it is loaded")
        assert find_weights(published, tmp_path) == path
        assert find_or_fetch_weights(published, cache_dir=tmp_path, offline=True) == path

    def test_cache_directory(self) -> None:
        assert default_cache_dir({"SAM2_ADAPTER_CACHE": "/w", "XDG_CACHE_HOME": "/x"}) == Path("/w")
        assert default_cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/sam2-adapter")
        assert default_cache_dir({}) == Path.home() / ".cache" / "sam2-adapter"
