"""Who may talk to the server: other pages, other machines and names that point here are refused."""

from __future__ import annotations

import pytest

from sam2_adapter.label.guard import Guard, bracketed, is_loopback
from tests.label.asgi import request

SECRET = "s3cretS3cretS3cret"
OURS = {"host": "127.0.0.1:8000", "cookie": f"sam2_label_8000={SECRET}"}


async def _inner(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"inside"})


GUARD = Guard(_inner, host="127.0.0.1", port=8000, secret=SECRET)


def _get(path="/api/session", guard=GUARD, **headers):
    given = {**OURS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return request(guard, "GET", path, headers={name: value for name, value in given.items() if value is not None})


def _post(**headers):
    given = {
        **OURS,
        "origin": "http://127.0.0.1:8000",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return request(
        GUARD, "POST", "/api/labels", {}, {name: value for name, value in given.items() if value is not None}
    )


def test_the_page_that_was_opened_is_let_in():
    assert _get().body == b"inside"
    assert _post().body == b"inside"
    for host in ("localhost:8000", "[::1]:8000", "LOCALHOST:8000"):
        assert _get(host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1", "127.0.0.1:9000", "127.0.0.1.evil.example:8000", "", None]
)
def test_a_name_that_was_made_to_point_here_is_refused(host):
    for path in ("/", f"/?key={SECRET}", "/api/session", "/page/main.js"):
        reply = _get(path, host=host)
        assert (reply.status, b"inside" in reply.body) == (421, False)
        assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": None},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "http://localhost:8000"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_changes_from_other_pages_are_refused(headers):
    reply = _post(**headers)
    assert (reply.status, reply.body) == (403, b"Requests of other pages are not answered.")
    assert "access-control-allow-origin" not in reply.headers


def test_forms_of_other_pages_cannot_pass_for_changes():
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert _post(content_type=kind).status == 415
    assert _post(content_type="application/json; charset=utf-8").status == 200


@pytest.mark.parametrize(
    "cookie",
    [
        None,
        "",
        "sam2_label_8000=wrong",
        f"sam2_label_8001={SECRET}",
        "sam2_label_8000=",
        "sam2_label_8000=\xe9",
        "=;;=\x01",
    ],
)
def test_without_the_secret_of_this_start_nothing_is_shown(cookie):
    reply = _get(cookie=cookie)
    assert reply.status == 403
    assert b'Open the address that "sam2-adapter label" printed' in reply.body


def test_the_first_address_leaves_the_secret_in_a_cookie_that_other_pages_cannot_use():
    reply = _get(f"/?key={SECRET}", cookie=None)
    assert (reply.status, reply.headers["location"]) == (303, "/")
    assert reply.headers["set-cookie"] == f"sam2_label_8000={SECRET}; Path=/; HttpOnly; SameSite=Strict"
    for path in ("/?key=wrong", "/?key=", "/?key=%ff", f"/api/session?key={SECRET}"):
        assert _get(path, cookie=None).status == 403


def test_requests_that_are_too_large_are_refused():
    assert _post(content_length="16777217").status == 413
    assert _post(content_length="-5").status == 413


def test_nothing_runs_on_the_page_but_its_own_files():
    for reply in (_get(), _get(cookie=None), _get(host="evil.example:8000")):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"


def test_for_other_machines_the_address_is_a_number():
    guard = Guard(_inner, host="0.0.0.0", port=8000, secret=SECRET)
    for host in ("192.168.1.5:8000", "[fe80::1]:8000", "127.0.0.1:8000"):
        assert _get(guard=guard, host=host).status == 200
    for host in ("evil.example:8000", "192.168.1.5:9000", "192.168.1.5", "[fe80::1", ""):
        assert _get(guard=guard, host=host).status == 421


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("a.b", False)],
)  # fmt: skip
def test_what_only_this_machine_reaches(host, expected):
    assert is_loopback(host) is expected


def test_addresses_of_version_6_stand_in_brackets():
    assert (bracketed("::1"), bracketed("10.0.0.1")) == ("[::1]", "10.0.0.1")
