"""The platform's filter language: which documents a query selects, and which page of them it returns."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

Document = dict[str, Any]

# Operators compare one stored value with the query's operand; a path that leads to several values holds when one does.
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_ALIASES = {"annotationId": "id"}


def matches(document: Document, condition: Document) -> bool:
    """Whether `document` satisfies `condition`; all keys of a condition have to hold, `$and` and `$or` side by side too."""
    for key, operand in condition.items():
        if key == "$and":
            holds = all(matches(document, part) for part in operand)
        elif key == "$or":
            holds = any(matches(document, part) for part in operand)
        else:
            holds = _field_holds(values_at(document, _ALIASES.get(key, key)), operand)
        if not holds:
            return False
    return True


def values_at(document: Document, path: str) -> list[Any]:
    """What the dotted `path` leads to: nothing when absent, and the elements as well as the list where it crosses a list."""
    found: list[Any] = [document]
    for part in path.split("."):
        nodes = [node for value in found for node in (value if isinstance(value, list) else [value])]
        found = [node[part] for node in nodes if isinstance(node, dict) and part in node]
    return found + [element for value in found if isinstance(value, list) for element in value]


def run_query(documents: Iterable[Document], query: Document) -> Document:
    """The answer to a query over `documents`, joins left to the caller: the page, and the counts over all pages.

    `pageSize` 0 asks for the counts only. Documents come in ascending order of id unless `sort` says otherwise.
    """
    found = [document for document in documents if matches(document, query.get("filter") or {})]
    for field, direction in reversed([*(query.get("sort") or {}).items(), ("id", "ascending")]):
        found.sort(key=lambda document: _sort_key(document, field), reverse=direction in ("descending", -1))
    page, size = int(query.get("page") or 0), int(query.get("pageSize", 1000))
    pages = -(-len(found) // size) if size else 0
    return {
        "totalItemsCount": len(found),
        "totalPagesCount": pages,
        "hasNextPage": page + 1 < pages,
        "items": found[page * size : (page + 1) * size],
    }


def _field_holds(values: list[Any], operand: Any) -> bool:
    if isinstance(operand, dict) and operand and all(key.startswith("$") for key in operand):
        return all(_operator_holds(values, name, value) for name, value in operand.items())
    return _equal_to_any(values, [operand])


def _operator_holds(values: list[Any], name: str, operand: Any) -> bool:
    match name:
        case "$eq":
            return _equal_to_any(values, [operand])
        case "$ne":
            return not _equal_to_any(values, [operand])
        case "$in":
            return _equal_to_any(values, operand)
        case "$nin":
            return not _equal_to_any(values, operand)
        case "$exists":
            return bool(values) == bool(operand)
        case "$match":
            return any(isinstance(value, str) and re.search(operand, value) for value in values)
        case "$gt" | "$gte" | "$lt" | "$lte":
            return any(_comparable(value, operand) and _ORDERINGS[name](value, operand) for value in values)
    raise ValueError(f"unknown operator {name}")


def _equal_to_any(values: list[Any], operands: Iterable[Any]) -> bool:
    return any(_equal(value, operand) for operand in operands for value in values or [None])


def _equal(value: Any, operand: Any) -> bool:
    """Equality without the surprise that True is 1; strings with stars are globs whose stars cross `/`."""
    if isinstance(value, str) and isinstance(operand, str) and "*" in operand:
        return re.fullmatch(".*".join(map(re.escape, re.split(r"\*+", operand))), value, re.DOTALL) is not None
    return bool(value == operand) and isinstance(value, bool) == isinstance(operand, bool)


def _comparable(value: Any, operand: Any) -> bool:
    numbers = (int, float)
    if isinstance(value, bool) or isinstance(operand, bool):
        return False
    return (isinstance(value, numbers) and isinstance(operand, numbers)) or (
        isinstance(value, str) and isinstance(operand, str)
    )


def _sort_key(document: Document, field: str) -> tuple[str, Any]:
    """Absent values first, then by kind, so that mixed kinds never meet in one comparison."""
    value = next(iter(values_at(document, field)), None)
    if value is None or isinstance(value, (dict, list)):
        return "", 0
    return ("number", value) if isinstance(value, (int, float)) else ("string", value)
