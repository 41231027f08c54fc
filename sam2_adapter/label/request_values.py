"""What requests of the page hold: one JSON object, whose values are checked when they are taken out."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from starlette.requests import Request

from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.label.guard import MOST_BODY_BYTES

Json = dict[str, Any]


class RequestError(Sam2AdapterError):
    """A request that the page does not send: something is missing or of another kind."""


async def body_of(request: Request) -> Json:
    """The object that a request holds.

    Raises:
        RequestError: it holds something else, or too much.
    """
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MOST_BODY_BYTES:
            raise RequestError(f"A request has at most {MOST_BODY_BYTES:,} bytes.")
    body: Any = None
    with suppress(ValueError, RecursionError):
        body = json.loads(bytes(content))
    if not isinstance(body, dict):
        raise RequestError("A request is one JSON object.")
    return body


def text_in(body: Json, key: str) -> str:
    """A short text.

    Raises:
        RequestError: it is none.
    """
    value = body.get(key)
    if not isinstance(value, str) or len(value) > 80:
        raise RequestError(f"{key!r} is a short text.")
    return value


def whole_in(body: Json, key: str) -> int:
    """A whole number that is not negative.

    Raises:
        RequestError: it is none.
    """
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise RequestError(f"{key!r} is a whole number.")
    return value


def list_in(body: Json, key: str) -> list[Any]:
    """A list; empty where there is none.

    Raises:
        RequestError: it is something else, or too long.
    """
    value = body.get(key, [])
    if not isinstance(value, list) or len(value) > 1000:
        raise RequestError(f"{key!r} is a list.")
    return value


def number_in(body: Json, key: str) -> float:
    """A number from 0 to 1.

    Raises:
        RequestError: it is none.
    """
    value = body.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise RequestError(f"{key!r} is a number from 0 to 1.")
    return float(value)
