"""One file from a server that fails in every way that servers fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sam2_adapter.download_progress import watch_downloads
from sam2_adapter.errors import WeightsNotFoundError
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.weights import fetch
from sam2_adapter.models.weights.checkpoint import load_checkpoint
from sam2_adapter.models.weights.download import (
    find_or_fetch_weights,
    find_weights,
)
from sam2_adapter.models.weights.fetch import FetchError, fetch_file
from tests.models.weights.weights_server import Server, visible
from tests.small_disk import files_of_at_most

pytestmark = pytest.mark.usefixtures("environment")


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
        assert [wanted for _, wanted in mirror.requests] == [None, None], "what cannot be compared is fetched again"

    def test_a_note_of_an_earlier_version_does_not_block_the_file(
        self, tmp_path: Path, mirror: Server, meta_bytes: bytes
    ) -> None:
        (tmp_path / ".custom.part.pt").write_bytes(meta_bytes[:100])
        for note in ('{"version": "\\ud800\\r\\n"}', '{"version": ["x"]}', "[" * 10**5, ""):
            (tmp_path / ".custom.part.json").write_text(note)
            fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
            assert (tmp_path / "custom.pt").read_bytes() == meta_bytes

    @pytest.mark.slow
    def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
        self, tmp_path: Path, mirror: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(fetch, "_STALLED_AFTER_S", 0.4)
        monkeypatch.setattr(fetch, "_LEAST_BYTES", 10**9)
        mirror.faults = ["drip"] * 4
        with pytest.raises(FetchError, match=r"the server sent only \d+ bytes in 0\.4 seconds"):
            fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert len(mirror.requests) == 4
        assert mirror.requests[-1][1] is not None, "it goes on where it was"
        assert "Fetching custom.pt again: the server sent only" in caplog.text

    @pytest.mark.slow
    def test_a_server_that_drips_headers_is_given_up(
        self, tmp_path: Path, mirror: Server, meta_bytes: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetch, "_ANSWER_AFTER_S", 0.4)
        mirror.faults = ["drip-headers"] * 4
        with pytest.raises(FetchError, match=r"^the server did not answer in 0\.4 seconds$"):
            fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert (len(mirror.requests), visible(tmp_path)) == (4, [])
        monkeypatch.setattr(fetch, "_ANSWER_AFTER_S", 30.0)
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert (tmp_path / "custom.pt").read_bytes() == meta_bytes

    def test_a_full_disk_is_named_and_the_next_call_goes_on(
        self, tmp_path: Path, mirror: Server, meta_bytes: bytes
    ) -> None:
        with files_of_at_most(1000), pytest.raises(FetchError, match=r"^cannot write to .*: File too large; make room"):
            fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert len(mirror.requests) == 1, "it does not become better by itself"
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "custom.pt")
        assert (tmp_path / "custom.pt").read_bytes() == meta_bytes

    def test_many_at_once_fetch_once(self, tmp_path: Path, mirror: Server, published: Architecture) -> None:
        mirror.faults = ["wait"]
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(find_or_fetch_weights, published, cache_dir=tmp_path) for _ in range(4)]
            mirror.release.set()
            assert {one.result() for one in waiting} == {tmp_path / "custom.pt"}
        assert len(mirror.requests) == 1

    def test_progress_is_told_and_never_shown(
        self, tmp_path: Path, mirror: Server, meta_bytes: bytes, told: list[Any], capfd: pytest.CaptureFixture[str]
    ) -> None:
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "a.pt")
        assert told[0] == ("a.pt", 0, len(meta_bytes))
        assert sum(told[1:-1]) == len(meta_bytes)
        assert told[-1] == "end"
        watch_downloads(None)
        fetch_file(f"{mirror.url}/custom.pt", tmp_path / "b.pt")
        assert capfd.readouterr() == ("", "")


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
