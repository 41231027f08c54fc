"""How errors become answers."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from sam2_adapter.errors import DataError, ExportError, ImageError
from sam2_adapter.label.endpoints import answering
from sam2_adapter.label.model_process import ModelError
from sam2_adapter.label.request_values import RequestError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ImageError("no picture"), 404),
        (ModelError("no model"), 503),
        (ExportError("disk full"), 507),
        (DataError("no label"), 400),
        (RequestError("no list"), 400),
        (ClientDisconnect(), 400),
    ],
)
def test_errors_become_a_status_and_their_text(error, status):
    async def fail(request: Request):
        raise error

    reply = asyncio.run(answering(fail)(Request({"type": "http"})))
    assert reply.status_code == status
    if str(error):
        assert str(error) in reply.body.decode()


def test_an_answer_is_passed_on():
    async def answer(request: Request):
        return JSONResponse({"a": 1})

    assert asyncio.run(answering(answer)(Request({"type": "http"}))).body == b'{"a":1}'
