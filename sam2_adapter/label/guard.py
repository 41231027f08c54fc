"""Who may talk to the server: the browser of the person who started it, and no other page or machine.

Other pages in the same browser can send requests to this machine, and with a name of their own that they let point here (DNS rebinding) even
read the answers. So each request must name this server as its host, come from its own page, and carry a secret of this start.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY_BYTES = 16 * 2**20

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


class Guard:
    """An application around another one, which sees only what passed; see the top of this module."""

    def __init__(self, app: App, *, host: str, port: int, secret: str) -> None:
        """Let through what belongs to the server at `host` and `port`.

        Args:
            app: gets the requests that passed.
            host: that the server listens on; for one that is not this machine's own, every address by number is right.
            port: that it listens on.
            secret: in the first address that is opened, then in a cookie whose name carries the port, so that two servers do not disturb
                each other.
        """
        self._app, self._secret, self._port = app, secret, port
        self.cookie = f"sam2_label_{port}"
        names = {"127.0.0.1", "localhost", "[::1]"} if is_loopback(host) else {bracketed(host)}
        self._hosts = {f"{name}:{port}".lower() for name in names}
        self._is_open = not is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        status, text = self._problem(scope, headers)
        if status:
            await _answer(send, status, text)
        elif key := self._key_of(scope):
            await self._let_in(send, key)
        elif not self._has_cookie(headers):
            await _answer(send, 403, 'Open the address that "sam2-adapter label" printed when it started.')
        else:
            await self._app(scope, receive, _with_headers(send))

    def _problem(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str]:
        host = headers.get("host", "").lower()
        if not self._is_ours(host):
            return 421, "This server answers under its own address only."
        origin = headers.get("origin")
        is_change = scope["method"] not in ("GET", "HEAD")
        if (origin is not None or is_change) and origin != f"http://{host}":
            return 403, "Requests of other pages are not answered."
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "Requests of other pages are not answered."
        if is_change and headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return 415, "Changes are sent as application/json."
        if (
            not headers.get("content-length", "0").isdigit()
            or int(headers.get("content-length", "0")) > MOST_BODY_BYTES
        ):
            return 413, f"A request has at most {MOST_BODY_BYTES:,} bytes."
        return 0, ""

    def _is_ours(self, host: str) -> bool:
        if host in self._hosts:
            return True
        if not self._is_open:
            return False
        try:
            parts = urlsplit(f"//{host}")
            ipaddress.ip_address(parts.hostname or "")
            return parts.port == self._port
        except ValueError:  # a name, which somebody may have let point here
            return False

    def _key_of(self, scope: Scope) -> str:
        if scope["path"] != "/" or scope["method"] != "GET":
            return ""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        return given if hmac.compare_digest(given.encode(), self._secret.encode()) else ""

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        try:
            given = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return given is not None and hmac.compare_digest(given.value.encode(), self._secret.encode())

    async def _let_in(self, send: Send, key: str) -> None:
        cookie = f"{self.cookie}={key}; Path=/; HttpOnly; SameSite=Strict"
        await _answer(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode("latin-1"))])


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach a server that listens on this host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


async def _answer(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    body = text.encode()
    first = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await _with_headers(send)({"type": "http.response.start", "status": status, "headers": [*first, *(headers or [])]})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", [])}
            extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            if b"cache-control" not in given:
                extra.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return send_with
