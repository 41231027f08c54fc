"""Requests to the platform, repeated where the SDK gives up: answered in full, or one clear error.

The SDK repeats gateway errors (501 to 511) and lost connections by itself, but not 500, nor 429 without a waiting time,
nor an answer that was cut off; its listings turn a refused page into an empty one. What is sent from here is either
answered completely or fails loudly.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import dtlpy as dl
import requests

from sam2_adapter.errors import PlatformError

logger = logging.getLogger(__name__)

WAITS_S = (0.5, 1.0, 2.0, 4.0)
"""Seconds between one try and the next, times a random factor around 1 so that threads do not come back together."""

PAGE_SIZE = 1000

_TEMPORARY_STATUS = frozenset({408, 429, *range(500, 512)})

Document = dict[str, Any]
T = TypeVar("T")


class UnansweredError(PlatformError):
    """A request failed; it may have acted all the same.

    Attributes:
        is_temporary: whether the same request may succeed later.
        status: of the answer; `None` where there was none, or not a whole one.
    """

    def __init__(self, message: str, *, is_temporary: bool = True, status: int | None = None) -> None:
        """Say what failed in `message`."""
        super().__init__(message)
        self.is_temporary, self.status = is_temporary, status


@dataclass(frozen=True)
class PlatformAnswer:
    """What the platform answered.

    Attributes:
        document: the parsed JSON.
        was_repeated: the SDK sent the request more than once, so that it may have acted more than once.
    """

    document: Any
    was_repeated: bool


def send_once(method: str, path: str, body: Any = None) -> PlatformAnswer:
    """Send one request, for those that must not be repeated blindly.

    Args:
        method: `get`, `post`, ...
        path: below the gateway's address.
        body: JSON.

    Raises:
        UnansweredError: refused, lost or cut off.
    """
    what = f"{method.upper()} {path}"
    try:
        success, response = dl.client_api.gen_request(req_type=method, path=path, json_req=body, log_error=False)
        if success:
            return PlatformAnswer(response.json(), _was_repeated(response))
    except requests.exceptions.InvalidJSONError as error:
        # Also what an answer that was cut off raises, but that one is a JSONDecodeError.
        is_answer = isinstance(error, requests.exceptions.JSONDecodeError)
        raise UnansweredError(f"{what}: not valid JSON ({error}).", is_temporary=is_answer) from error
    except (requests.RequestException, ValueError) as error:
        raise UnansweredError(f"{what}: no complete answer ({_reason(error)}).") from error
    status = int(response.status_code)
    message = f"{what}: status {status} ({_message(response)})."
    raise UnansweredError(message, is_temporary=status in _TEMPORARY_STATUS, status=status)


def send(method: str, path: str, body: Any = None) -> Any:
    """Send a request that may safely act twice, and return the parsed JSON of its answer.

    Raises:
        UnansweredError: not answered after several tries.
    """
    return retried(lambda: send_once(method, path, body).document)


def retried(action: Callable[[], T]) -> T:
    """Do something that may safely be done twice, with growing waits in between.

    Raises:
        UnansweredError: the last failure, where it was one that may pass; other errors come as they are.
    """
    for wait in (*WAITS_S, None):
        try:
            return action()
        except Exception as error:  # the SDK's errors share no base with those of its HTTP library
            if not is_temporary(error) or (wait is None and isinstance(error, UnansweredError)):
                raise
            if wait is None:
                tries = len(WAITS_S) + 1
                raise UnansweredError(f"The platform did not answer in {tries} tries: {_reason(error)}") from error
            logger.debug("Trying again in %.1f s: %s", wait, error)
            pause(wait)
    raise AssertionError("the last try returns or raises")


def pause(wait_s: float) -> None:
    """Sleep for about `wait_s` seconds."""
    time.sleep(wait_s * random.uniform(0.5, 1.5))


def is_temporary(error: Exception) -> bool:
    """Whether what failed may succeed later."""
    if isinstance(error, UnansweredError):
        return error.is_temporary
    if isinstance(error, requests.RequestException):
        return not isinstance(error, requests.exceptions.InvalidJSONError)
    status = str(getattr(error, "status_code", ""))
    return status.isdigit() and int(status) in _TEMPORARY_STATUS


def query_all(dataset_id: str, query: Mapping[str, Any]) -> Iterator[Document]:
    """All items or annotations of a dataset that a query finds; as `query_pages`."""
    return query_pages(f"/datasets/{dataset_id}/query", query)


def query_pages(path: str, query: Mapping[str, Any]) -> Iterator[Document]:
    """All entities that a query to `path` finds, by id; pages are fetched as they are needed.

    Pages go on after the last id, so that entries which stop fitting the query meanwhile shift no others away.

    Raises:
        UnansweredError: a page was not answered, or holds less than it should.
    """
    last_id: str | None = None
    while True:
        page = send("post", path, _page_query(query, last_id))
        entries = page["items"]
        yield from entries
        total = page.get("totalItemsCount", len(entries))
        if not page.get("hasNextPage") or not entries:
            if len(entries) < total:
                raise UnansweredError(f"{path}: the platform listed {len(entries)} of {total} entries.")
            return
        last_id = entries[-1]["id"]


def count_all(dataset_id: str, query: Mapping[str, Any]) -> int:
    """How many items or annotations a query finds."""
    page = send("post", f"/datasets/{dataset_id}/query", {**query, "page": 0, "pageSize": 0})
    return int(page["totalItemsCount"])


def _page_query(query: Mapping[str, Any], last_id: str | None) -> dict[str, Any]:
    paged = {**query, "page": 0, "pageSize": PAGE_SIZE, "sort": {"id": "ascending"}}
    if last_id is not None:
        found = dict(query.get("filter", {}))
        paged["filter"] = {**found, "$and": [*found.get("$and", []), {"id": {"$gt": last_id}}]}
    return paged


def _was_repeated(response: requests.Response) -> bool:
    retries = getattr(response.raw, "retries", None)
    return bool(getattr(retries, "history", ()))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _message(response: requests.Response) -> str:
    try:
        document = response.json()
    except ValueError:
        return response.text[:200]
    return str(document.get("message", document) if isinstance(document, dict) else document)[:200]
