"""Requests to the platform, repeated where the SDK gives up: answered in full, or one clear error.

The SDK repeats gateway errors (501 to 511) and lost connections by itself, but not 500, nor 429 without a waiting time,
nor an answer that was cut off; its listings turn a refused page into an empty one. What is sent from here is either
answered completely or fails loudly.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import dtlpy as dl
import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_base,
    retry_if_exception,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_random_exponential,
)

from sam2_adapter.errors import PlatformError

logger = logging.getLogger(__name__)

MOST_TRIES = 5
"""How often something is tried. In between a random time of at most 1, 2, 4 and 8 seconds passes, so that threads do not come back together."""

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
    try:
        return _retrying(retry_if_exception(is_temporary))(action)
    except UnansweredError:
        raise
    except Exception as error:  # the SDK's errors share no base with those of its HTTP library
        if not is_temporary(error):
            raise
        raise UnansweredError(f"The platform did not answer in {MOST_TRIES} tries: {_reason(error)}") from error


def retried_whatever_fails(action: Callable[[], T]) -> T:
    """As `retried`, after errors of any kind; the last one comes as it is."""
    return _retrying(retry_if_exception_type(Exception))(action)


def repeated_until_done(action: Callable[[], T | None]) -> T | None:
    """Do something until it returns a value, with growing waits in between; `None` where it never did. Errors come as they are."""
    return _retrying(retry_if_result(lambda result: result is None))(action)


def _retrying(retry: retry_base) -> Retrying:
    return Retrying(
        retry=retry,
        stop=stop_after_attempt(MOST_TRIES),
        wait=wait_random_exponential(multiplier=1),
        sleep=lambda seconds: time.sleep(seconds),
        before_sleep=_log_failure,
        retry_error_callback=_result_of,
    )


def _log_failure(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    if error is not None:
        logger.info("Trying again: %r", error)


def _result_of(state: RetryCallState) -> Any:
    """The result of the last try, or its error."""
    assert state.outcome is not None  # it is over
    return state.outcome.result()


def is_temporary(error: BaseException) -> bool:
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
