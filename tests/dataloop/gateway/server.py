"""The HTTP side: reads requests, finds their route, lets faults happen, answers."""

from __future__ import annotations

import json
import re
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.dataloop.gateway.faults import Fault
from tests.dataloop.gateway.requests import UNKNOWN, Request, item_of
from tests.dataloop.gateway.routing import Call, Handler, Reply, Route
from tests.dataloop.gateway.store import GatewayError

if TYPE_CHECKING:
    from tests.dataloop.gateway import Gateway

API = "/api/v1"


class RouteTable:
    """Finds the route of a request."""

    def __init__(self, routes: list[Route]) -> None:
        self._compiled = [(route, route.pattern) for route in routes]

    def find(self, method: str, path: str) -> tuple[str, Handler | None, dict[str, str]]:
        """The path of the route, its handler and the path's variables; no handler when nothing answers."""
        for route, pattern in self._compiled:
            found = pattern.fullmatch(path) if route.method == method else None
            if found:
                return route.path, route.handler, {name: unquote(value) for name, value in found.groupdict().items()}
        return UNKNOWN, None, {}


class Server(ThreadingHTTPServer):
    """A thread per connection; `gateway` holds the state that all of them share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, gateway: Gateway, routes: list[Route]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.gateway = gateway
        self.routes = RouteTable(routes)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are no news."""


class _Connection(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one piece

    def do_GET(self) -> None:
        body = self._read_body()
        split = urlsplit(self.path)
        path = split.path.removeprefix(API)
        route, handler, params = self.server.routes.find(self.command, path)
        gateway = self.server.gateway
        full_path = path + (f"?{split.query}" if split.query else "")
        fault = gateway.faults.pick(self.command, route, full_path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(gateway.store, gateway.url, params, dict(parse_qsl(split.query)), headers, body)
        time.sleep(gateway.latency + (fault.seconds if fault and fault.kind == "slow" else 0))
        reply = self._answer(handler, call, fault, full_path)
        answered = fault is None or fault.kind in ("status", "slow", "truncated")
        item_id = item_of(params, body)
        status = reply.status if answered else 0
        kept = b"" if "file" in headers.get("content-type", "") or len(body) > 100_000 else body
        gateway.record(Request(self.command, full_path, route, item_id, status, str(fault) if fault else None, kept))
        self._send(reply, fault)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self, handler: Handler | None, call: Call, fault: Fault | None, path: str) -> Reply:
        if handler is None:
            return _json_reply(404, {"message": f"no route for {self.command} {path}"})
        if fault is not None and fault.kind == "dropped":
            return Reply(b"", 0)
        if fault is not None and fault.kind == "status":
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            return _json_reply(fault.status, {"message": "injected fault"}, headers)
        try:
            with call.store.lock:
                result = handler(call)
                return result if isinstance(result, Reply) else _json_reply(200, result)
        except GatewayError as error:
            return _json_reply(error.status, {"message": error.message})
        except Exception as error:
            self.server.gateway.crashes.append(error)
            return _json_reply(500, {"message": f"the emulator failed: {error!r}"})

    def _send(self, reply: Reply, fault: Fault | None) -> None:
        if fault is not None and fault.kind in ("dropped", "lost"):
            self._hang_up()
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        truncated = fault is not None and fault.kind == "truncated"
        self.wfile.write(reply.body[: len(reply.body) // 2] if truncated else reply.body)
        self.wfile.flush()
        if truncated:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(iter(self._read_chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunk(self) -> bytes:
        size = int(re.split(rb"[;\r\n]", self.rfile.readline())[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def log_message(self, format: str, *args: object) -> None:
        """The log is `gateway.requests`."""


def _json_reply(status: int, content: object, headers: dict[str, str] | None = None) -> Reply:
    return Reply(json.dumps(content).encode(), status, headers or {})
