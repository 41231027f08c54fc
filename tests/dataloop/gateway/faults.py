"""Faults on demand: rules that say which requests go wrong and how, and a record of those that did."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """How a request goes wrong.

    `status`: answered with that status before acting. `dropped`: the connection closes before acting. `lost`: the request acts,
    then the connection closes without an answer. `truncated`: acts, then sends only half of the body that it announced.
    `slow`: acts and answers `seconds` later.
    """

    kind: Literal["status", "dropped", "lost", "truncated", "slow"]
    status: int = 500
    retry_after: int | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        return str(self.status) if self.kind == "status" else self.kind


def status(code: int, retry_after: int | None = None) -> Fault:
    """The request is refused with `code`; 429 may carry a `Retry-After` in whole seconds."""
    return Fault("status", status=code, retry_after=retry_after)


def slow(seconds: float) -> Fault:
    """The answer comes `seconds` later than it would."""
    return Fault("slow", seconds=seconds)


DROPPED = Fault("dropped")
LOST = Fault("lost")
TRUNCATED = Fault("truncated")


@dataclass
class Rule:
    """Which requests a fault hits: those of a method, of a route or of a path, and of them the ones counted in `occurrences`."""

    fault: Fault
    method: str | None
    route: str | None
    path: re.Pattern[str] | None
    occurrences: Collection[int] | None
    probability: float
    times: int | None
    seen: int = 0
    hits: int = 0


@dataclass(frozen=True)
class Injected:
    """One fault that happened: the request and the fault."""

    method: str
    route: str
    path: str
    fault: Fault


@dataclass
class Faults:
    """The rules in force, in order: the first that hits decides. `seed` makes the random ones repeatable in their order of arrival."""

    rules: list[Rule] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    random: random.Random = field(default_factory=lambda: random.Random(0))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        fault: Fault,
        method: str | None = None,
        route: str | None = None,
        path: str | None = None,
        occurrences: Collection[int] | None = None,
        probability: float = 1.0,
        times: int | None = None,
    ) -> Rule:
        """Put a rule into force.

        Args:
            fault: What happens.
            method: `GET`, `POST`, ...; None is any.
            route: The route as it is written in its table, such as `/items/{item_id}/stream`; None is any.
            path: A regular expression found in the path with its query; None is any.
            occurrences: Of the requests that match, count from 1 which ones are hit; None is all of them.
            probability: Of those, the share that is hit, drawn by the seeded generator.
            times: The most hits; None is no limit.
        """
        rule = Rule(fault, method, route, re.compile(path) if path else None, occurrences, probability, times)
        with self._lock:
            self.rules.append(rule)
        return rule

    def clear(self, seed: int = 0) -> None:
        """Take all rules out of force, forget what happened, and seed the generator."""
        with self._lock:
            self.rules.clear()
            self.injected.clear()
            self.random.seed(seed)

    def pick(self, method: str, route: str, path: str) -> Fault | None:
        """The fault that hits this request, recorded; None when it goes well."""
        with self._lock:
            for rule in self.rules:
                if self._hits(rule, method, route, path):
                    rule.hits += 1
                    self.injected.append(Injected(method, route, path, rule.fault))
                    return rule.fault
        return None

    def _hits(self, rule: Rule, method: str, route: str, path: str) -> bool:
        if rule.method not in (None, method) or rule.route not in (None, route):
            return False
        if rule.path is not None and not rule.path.search(path):
            return False
        rule.seen += 1
        if rule.occurrences is not None and rule.seen not in rule.occurrences:
            return False
        if rule.times is not None and rule.hits >= rule.times:
            return False
        return rule.probability >= 1 or self.random.random() < rule.probability
