"""Which items a filter means."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import dtlpy as dl

from sam2_adapter.dataloop.calls import query_all


def query_of(filters: Any) -> dict[str, Any]:
    """The item query of what the platform hands over: `dl.Filters`, a full query, only its filter part, or nothing."""
    if not filters:
        return dict(dl.Filters().prepare())
    if isinstance(filters, Mapping):
        query = copy.deepcopy(dict(filters))
        return query if "filter" in query else {"filter": query, "resource": "items"}
    return copy.deepcopy(dict(filters.prepare()))


def list_items(dataset: Any, query: Mapping[str, Any]) -> Iterator[Any]:
    """The files of a dataset that a query finds, as `dl.Item`; pages are fetched as they are needed."""
    for document in query_all(dataset.id, query):
        if document.get("type") == "file":
            yield dl.Item.from_json(_json=document, client_api=dl.client_api, dataset=dataset)
