"""Connections that stay open and carry next to nothing are cut."""

from __future__ import annotations

import socket
import time

from sam2_adapter.models.weights.watchdog import Watchdog


class _Stream:
    """A connection as httpcore hands it out."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def get_extra_info(self, name: str) -> socket.socket | None:
        return self._end if name == "socket" else None


def test_a_connection_without_an_answer_is_cut() -> None:
    ours, theirs = socket.socketpair()
    watchdog = Watchdog(0.1, 60, 1000)
    with ours, theirs, watchdog.watching():
        watchdog.trace("connection.connect_tcp.complete", {"return_value": _Stream(ours)})
        theirs.send(b"HTTP/1.1 200")
        assert ours.recv(100) == b"HTTP/1.1 200"
        assert ours.recv(100) == b"", "it waits until it is cut"
    assert watchdog.told == "the server did not answer in 0.1 seconds"


def test_one_that_carries_too_little_after_its_headers_is_cut() -> None:
    ours, theirs = socket.socketpair()
    watchdog = Watchdog(60, 0.3, 30)
    with ours, theirs, watchdog.watching():
        watchdog.trace("connection.connect_tcp.complete", {"return_value": _Stream(ours)})
        watchdog.feed(0)
        watchdog.feed(30)
        watchdog.feed(5)
        assert ours.recv(100) == b"", "it waits until it is cut"
    assert watchdog.told == "the server sent only 5 bytes in 0.3 seconds"


def test_one_that_is_opened_too_late_is_cut_at_once() -> None:
    ours, theirs = socket.socketpair()
    watchdog = Watchdog(0.05, 60, 30)
    with ours, theirs, watchdog.watching():
        while not watchdog.told:
            time.sleep(0.01)
        watchdog.trace("connection.connect_tcp.complete", {"return_value": _Stream(ours)})
        assert ours.recv(100) == b""


def test_one_that_ends_in_time_is_left_alone() -> None:
    started = time.monotonic()
    watchdog = Watchdog(60, 60, 30)
    with watchdog.watching():
        watchdog.feed(0)
    assert not watchdog.told
    assert time.monotonic() - started < 30, "nobody waits for the watchdog"


def test_a_connection_that_is_gone_already_is_no_fault() -> None:
    ours, theirs = socket.socketpair()
    watchdog = Watchdog(0.05, 60, 1000)
    watchdog.trace("connection.connect_tcp.complete", {"return_value": _Stream(ours)})
    ours.close()
    theirs.close()
    with watchdog.watching():
        while not watchdog.told:
            time.sleep(0.01)
