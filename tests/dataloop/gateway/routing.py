"""Which function answers which request: tables of method and path, filled by decorators."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.dataloop.gateway.store import Store


@dataclass(frozen=True)
class Call:
    """One request as its handler sees it: `params` from the path, `query` from behind the question mark, headers in lower case."""

    store: Store
    url: str
    """Where the gateway answers, ending in `/api/v1`."""
    params: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def system(self) -> bool:
        """Whether the request may change `metadata.system`."""
        return self.query.get("system") == "true"


@dataclass(frozen=True)
class Reply:
    """An answer that is more than JSON with status 200."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Route:
    """A method and a path such as `/items/{item_id}`, and what answers it: `Reply`, or anything that JSON can hold."""

    method: str
    path: str
    handler: Handler

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches the paths of this route; its groups are the path's variables."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))


class Routes(list[Route]):
    """The routes of one kind of entity; `@routes("GET", "/items/{item_id}")` adds a function."""

    def __call__(self, method: str, path: str) -> Callable[[Handler], Handler]:
        """A decorator that adds the function for this method and path."""

        def add(handler: Handler) -> Handler:
            self.append(Route(method, path, handler))
            return handler

        return add
