"""Fetching one file over HTTP: resumed where it was interrupted, verified, and complete or not there."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from sam2_adapter.download_progress import watched
from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.files import file_sha256, reason_of
from sam2_adapter.models.weights.watchdog import Watchdog

logger = logging.getLogger(__name__)

_ATTEMPTS = 4
# A machine without a network should not wait long for its error.
_CONNECT_ATTEMPTS = 2
_FIRST_PAUSE_S = 0.5
_TIMEOUT_S = httpx2.Timeout(30.0, connect=10.0)

# A connection that carries less than this in this time is given up, and so is one without an answer: a byte now and then would keep it alive for ever.
_ANSWER_AFTER_S = 30.0
_STALLED_AFTER_S = 30.0
_LEAST_BYTES = 16 * 1024

# Of a file of unknown size; the largest published one has less than 1 GiB.
_MOST_BYTES = 8 * 2**30

# What may be sent back to a server as the mark of a version: a strong ETag or a date (RFC 9110, 8.8.3 and 13.1.5).
_VERSION = re.compile(r'"[\x21\x23-\x7e]{1,500}"|[A-Z][\x20-\x7e]{1,60} GMT')

# The server may do better later: timeout, too many requests, and its own faults.
_WORTH_RETRYING = (408, 429, 500, 502, 503, 504)


class FetchError(Sam2AdapterError):
    """A file could not be fetched; the text says why."""


class _TryAgainError(Exception):
    """A fault that may pass."""


class _TooLongError(Exception):
    """The server sends without end."""


def fetch_file(
    url: str,
    path: Path,
    num_bytes: int | None = None,
    sha256: str | None = None,
    check: Callable[[Path], None] = lambda _: None,
) -> None:
    """Fetch a file; it appears at `path` complete and verified, or not at all.

    What was received stays in a hidden file beside `path` with the server's mark of the version, and the next call goes on from there. A
    connection that carries less than 16 KiB in 30 seconds, or no complete headers of an answer, is given up; after four of them the call fails.

    Args:
        url: the file; redirects are followed, proxies of the environment used.
        path: where it is put.
        num_bytes: its size where known, else what the server announces.
        sha256: its SHA-256 where known, else what the Hugging Face hub announces, if anything.
        check: raises if the complete file, still under another name with the same ending, is not what was wanted.

    Raises:
        FetchError: no connection, an HTTP error, no room, or the content is not what was published.
    """
    partial = _Partial(path)
    try:
        _retrying(path.name)(_receive_verified, url, partial, num_bytes, sha256)
    except OSError as error:
        raise FetchError(
            f"cannot write to {path.parent}: {reason_of(error)}; make room there, or let SAM2_ADAPTER_CACHE name another folder"
        ) from error
    except _TooLongError as error:
        partial.discard()
        raise FetchError(str(error)) from error
    except (_TryAgainError, httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        raise FetchError(_reason(error)) from error
    try:
        check(partial.data)
    except Sam2AdapterError:
        partial.discard()
        raise
    partial.data.replace(path)
    partial.discard()


def _retrying(name: str) -> Retrying:
    def stop(state: RetryCallState) -> bool:
        is_unreachable = isinstance(_error_of(state), httpx2.ConnectError)
        return state.attempt_number >= (_CONNECT_ATTEMPTS if is_unreachable else _ATTEMPTS)

    return Retrying(
        retry=retry_if_exception_type((_TryAgainError, httpx2.TransportError)),
        stop=stop,
        wait=wait_exponential(multiplier=_FIRST_PAUSE_S),
        sleep=lambda seconds: time.sleep(seconds),
        before_sleep=lambda state: logger.warning("Fetching %s again: %s.", name, _reason(_error_of(state))),
        reraise=True,
    )


def _error_of(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome is not None else None
    assert error is not None  # asked only where a try failed
    return error


def _receive_verified(url: str, partial: _Partial, num_bytes: int | None, sha256: str | None) -> None:
    announced = _receive(url, partial, num_bytes)
    _verify(partial, announced.num_bytes, sha256 or announced.sha256)


class _Announced:
    """What the server says about the file."""

    def __init__(self, response: httpx2.Response) -> None:
        self.version = _as_version(response.headers.get("etag") or response.headers.get("last-modified"))
        self.num_bytes = _total_bytes(response)
        self.sha256 = next((found for hop in (*response.history, response) if (found := _linked_sha256(hop))), None)


class _Partial:
    """The part of a file that has arrived, and the version that it is a part of."""

    def __init__(self, path: Path) -> None:
        # The ending stays: it tells the formats apart.
        self.data = path.with_name(f".{path.stem}.part{path.suffix}")
        self._note = path.with_name(f".{path.stem}.part.json")

    @property
    def num_bytes(self) -> int:
        return self.data.stat().st_size if self.data.exists() else 0

    @property
    def version(self) -> str:
        try:
            return _as_version(json.loads(self._note.read_text("utf-8"))["version"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""

    def remember(self, version: str) -> None:
        self._note.write_text(json.dumps({"version": version}), "utf-8")

    def discard(self) -> None:
        self.data.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Wanted:
    """What is asked of the server.

    Attributes:
        url: the file.
        start: where to go on.
        version: of what is there already.
        num_bytes: size of the whole file where known.
    """

    url: str
    start: int
    version: str
    num_bytes: int | None

    @property
    def headers(self) -> dict[str, str]:
        plain = {"Accept-Encoding": "identity"}
        return plain | ({"Range": f"bytes={self.start}-", "If-Range": self.version} if self.start else {})


def _receive(url: str, partial: _Partial, num_bytes: int | None) -> _Announced:
    version = partial.version
    start = partial.num_bytes if version else 0
    wanted = _Wanted(url, 0 if num_bytes is not None and start >= num_bytes else start, version, num_bytes)
    watchdog = Watchdog(_ANSWER_AFTER_S, _STALLED_AFTER_S, _LEAST_BYTES)
    try:
        announced = _receive_watched(wanted, partial, watchdog)
    except httpx2.TransportError as error:
        raise (_TryAgainError(watchdog.told) if watchdog.told else error) from error
    if watchdog.told:  # an answer of unknown length, which looks complete
        raise _TryAgainError(watchdog.told)
    return announced


def _receive_watched(wanted: _Wanted, partial: _Partial, watchdog: Watchdog) -> _Announced:
    with (
        httpx2.Client(follow_redirects=True, timeout=_TIMEOUT_S) as client,
        watchdog.watching(),
        client.stream("GET", wanted.url, headers=wanted.headers, extensions={"trace": watchdog.trace}) as response,
    ):
        watchdog.feed(0)
        if response.status_code == 416:
            partial.discard()
            raise _TryAgainError("the server did not accept where to go on")
        _raise_for_status(response)
        announced = _Announced(response)
        is_part = response.status_code == 206
        start = wanted.start if is_part else 0
        if is_part and (_starts_at(response) != start or (start and announced.version != wanted.version)):
            partial.discard()
            raise _TryAgainError("the server went on with another part or another version of the file")
        if wanted.num_bytes is not None and announced.num_bytes not in (None, wanted.num_bytes):
            raise FetchError(f"the server's file has {announced.num_bytes} bytes, the published one {wanted.num_bytes}")
        announced.num_bytes = wanted.num_bytes or announced.num_bytes
        _store(response, partial, start, announced, watchdog)
    return announced


def _store(response: httpx2.Response, partial: _Partial, start: int, announced: _Announced, watchdog: Watchdog) -> None:
    partial.remember(announced.version)
    with (
        partial.data.open("r+b" if start else "wb") as file,
        watched(_shown_name(partial.data), start, announced.num_bytes) as advance,
    ):
        file.seek(start)
        file.truncate()
        most = announced.num_bytes or _MOST_BYTES
        for chunk in response.iter_bytes():
            watchdog.feed(len(chunk))
            start += len(chunk)
            if start > most:
                raise _TooLongError(f"the server sent more than the announced {most} bytes")
            file.write(chunk)
            advance(len(chunk))


def _verify(partial: _Partial, num_bytes: int | None, sha256: str | None) -> None:
    if num_bytes is not None and partial.num_bytes < num_bytes:
        raise _TryAgainError(f"the connection ended after {partial.num_bytes} of {num_bytes} bytes")
    if sha256 is not None and (found := file_sha256(partial.data)) != sha256:
        partial.discard()
        raise FetchError(f"its SHA-256 is {found}, expected {sha256}")


def _as_version(mark: object) -> str:
    """The mark of a version, or nothing where it cannot be sent back; such a file is fetched again instead of going on."""
    return mark if isinstance(mark, str) and _VERSION.fullmatch(mark) else ""


def _raise_for_status(response: httpx2.Response) -> None:
    if response.status_code in _WORTH_RETRYING:
        raise _TryAgainError(f"HTTP {response.status_code}")
    if response.status_code not in (200, 206):
        raise FetchError(f"HTTP {response.status_code} {response.reason_phrase}")


def _total_bytes(response: httpx2.Response) -> int | None:
    if response.status_code == 206:
        total = response.headers.get("content-range", "").rpartition("/")[2]
        return int(total) if total.isdigit() else None
    length = response.headers.get("content-length", "")
    return int(length) if length.isdigit() else None


def _starts_at(response: httpx2.Response) -> int | None:
    first = response.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else None


def _linked_sha256(response: httpx2.Response) -> str | None:
    """The hub answers for a large file with its SHA-256 in a header of the first hop."""
    tag = response.headers.get("x-linked-etag", "").strip('"')
    return tag if len(tag) == 64 and all(digit in "0123456789abcdef" for digit in tag) else None


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _shown_name(partial: Path) -> str:
    return partial.name.removeprefix(".").replace(".part", "")
