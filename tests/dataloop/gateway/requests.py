"""The log of requests, and counts over it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field

UNKNOWN = "unknown"
_ITEM_IN_QUERY = re.compile(rb'"itemId":\s*"([0-9a-f]{24})"')


@dataclass(frozen=True)
class Request:
    """One request and how it ended: `status` 0 when the connection closed without an answer."""

    method: str
    path: str
    """With its query, below `/api/v1`."""
    route: str
    """The path with its variables in braces; `unknown` when no route answers it."""
    item_id: str | None
    """The item that it is about, from the path or from an annotation query."""
    status: int
    fault: str | None
    body: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Method and route, such as `GET /items/{item_id}/stream`."""
        return f"{self.method} {self.route}"

    @property
    def json(self) -> object:
        """The body, parsed."""
        return json.loads(self.body)


class Requests(list[Request]):
    """Requests in the order in which they ended."""

    @property
    def total(self) -> int:
        """How many there were."""
        return len(self)

    @property
    def unknown(self) -> list[str]:
        """Method and path of those that no route answers; a test of a flow wants this empty."""
        return [f"{request.method} {request.path}" for request in self if request.route == UNKNOWN]

    def by_route(self) -> Counter[str]:
        """How many of each `METHOD /route/{of_id}`."""
        return Counter(request.name for request in self)

    def by_item(self) -> Counter[str]:
        """How many about each item, by item id."""
        return Counter(request.item_id for request in self if request.item_id is not None)

    def of(self, name: str) -> Requests:
        """Those of one `METHOD /route/{of_id}`."""
        return Requests(request for request in self if request.name == name)


def item_of(params: dict[str, str], body: bytes) -> str | None:
    """The item that a request is about: in its path, or in the filter of its query."""
    if "item_id" in params:
        return params["item_id"]
    found = _ITEM_IN_QUERY.search(body[:100_000])
    return found.group(1).decode() if found else None
