"""Giving up connections that stay open and carry next to nothing.

Where a server sends a byte now and then, no single read takes too long: neither in the body of an answer, nor between its parts, nor in
its headers, of which nothing is seen before they are complete. So the time for many bytes together is limited.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# What httpcore calls the events that open a connection, also through a proxy; each gives the newest form of it.
_OPENED = ("connect_tcp.complete", "start_tls.complete")


class Watchdog:
    """Cuts a connection without the headers of an answer in `answer_s` seconds, or with less than `least_bytes` in `stalled_s` seconds after them.

    Attributes:
        told: what was wrong with the connection; empty where it was not cut.
    """

    def __init__(self, answer_s: float, stalled_s: float, least_bytes: int) -> None:
        """Do nothing yet."""
        self._answer_s = answer_s
        self._stalled_s = stalled_s
        self._least_bytes = least_bytes
        self._changed = threading.Condition()
        self._is_over = False
        self._socket: Any = None
        self._begin(is_answered=False)
        self.told = ""

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Be told of what happens, as the extension `trace` of a request."""
        if event.endswith(_OPENED):
            with self._changed:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.told:  # it took too long to open
                    self._shut_down()

    def feed(self, num_bytes: int) -> None:
        """So many bytes of the answer have arrived; 0 for its headers."""
        self._received += num_bytes
        if not self._is_answered:
            with self._changed:
                self._begin(is_answered=True)
                self._changed.notify()  # there may be less time from now on
        elif self._received >= self._least_bytes:
            self._begin(is_answered=True)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch from now on, as long as the connection is used."""
        self._begin(is_answered=False)
        thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify()
            thread.join()

    @property
    def _seconds(self) -> float:
        return self._stalled_s if self._is_answered else self._answer_s

    def _begin(self, *, is_answered: bool) -> None:
        self._since, self._received, self._is_answered = time.monotonic(), 0, is_answered

    def _watch(self) -> None:
        with self._changed:
            while not self._is_over:
                left = self._since + self._seconds - time.monotonic()
                if left <= 0:
                    self._cut()
                    return
                self._changed.wait(left)

    def _cut(self) -> None:
        seconds = f"{self._seconds:.0f} seconds" if self._seconds >= 1 else f"{self._seconds:g} seconds"
        what = f"sent only {self._received} bytes" if self._is_answered else "did not answer"
        self.told = f"the server {what} in {seconds}"
        self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # closed already
                # Of the class `socket`: that of TLS sockets would say goodbye, which may wait itself.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
