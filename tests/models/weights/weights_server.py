"""A local server of weights that fails in every way that servers fail."""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

# The hub serves the same file under the name of its commit.
_OF_A_COMMIT = re.compile(r"/resolve/c{40}/")


@dataclass
class Server:
    """What the handler serves, and the faults that it makes, one per request, before it behaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    etag: str = ""
    tokens: list[str | None] = field(default_factory=list)
    commit: str | None = "c" * 40

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":
            self.requests.append((handler.path, handler.headers.get("Range")))
        self.tokens.append(handler.headers.get("Authorization"))
        fault = self.faults.pop(0) if self.faults and handler.command == "GET" else ""
        content = self.files.get(_OF_A_COMMIT.sub("/resolve/main/", handler.path))
        if fault.isdigit():
            handler.send_error(int(fault))
        elif content is None:
            handler.send_error(404)
        else:
            self._send(handler, content, fault)

    def _send(self, handler: BaseHTTPRequestHandler, content: bytes, fault: str) -> None:
        if fault == "drip-headers":
            with suppress(OSError):  # the client may have had enough
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not self.release.wait(0.02):
                    handler.wfile.write(b"x")
            return
        etag = self.etag or f'"{hashlib.md5(content).hexdigest()}"'
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = 0
        if wanted and fault != "ignore-range" and handler.headers.get("If-Range") in (None, etag):
            start = int(wanted[1])
        handler.send_response(206 if start else 200)
        if start:
            first = start - 7 if fault == "other-range" else start
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        handler.send_header("ETag", '"another"' if fault == "other-etag" else etag)
        if fault != "endless":
            handler.send_header("Content-Length", str(len(content) - start))
        for name, value in {**self._hub_headers(handler.path, content), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        with suppress(ConnectionError):  # the client may have had enough
            if handler.command == "HEAD":
                return
            self._send_body(handler, content[start:], fault)

    def _hub_headers(self, path: str, content: bytes) -> dict[str, str]:
        if "/resolve/" not in path:
            return {}
        linked = {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Linked-Size": str(len(content))}
        return linked | ({"X-Repo-Commit": self.commit} if self.commit else {})

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


def visible(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.suffix != ".lock")
