"""What answers a request, and how its errors become an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from sam2_adapter.errors import ExportError, ImageError, Sam2AdapterError
from sam2_adapter.files import encodable
from sam2_adapter.label.model_process import ModelError

Endpoint = Callable[[Request], Awaitable[Response]]


def answering(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose errors become an answer with a status and a text."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except Sam2AdapterError as error:
            return refused(_status(error), str(error))

    return answer


def _status(error: Sam2AdapterError) -> int:
    if isinstance(error, ImageError):
        return 404
    if isinstance(error, ModelError):
        return 503
    if isinstance(error, ExportError):
        return 507
    return 400


def refused(status: int, text: str) -> Response:
    """An answer that says why there is no other one."""
    return JSONResponse({"error": encodable(text)}, status_code=status)
