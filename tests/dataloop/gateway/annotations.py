"""Annotations: create, change, delete, and which of them a query is about."""

from __future__ import annotations

from typing import Any

from tests.dataloop.gateway.query import matches, values_at
from tests.dataloop.gateway.routing import Call, Routes
from tests.dataloop.gateway.store import Document, GatewayError, Store

routes = Routes()

_REQUIRED = ("type", "label", "coordinates")


def add_annotation(store: Store, item: Document, body: Document) -> Document:
    """Store one annotation of an upload; the fields that only the server knows come from the item.

    Raises:
        GatewayError: 400, when type, label or coordinates are missing.
    """
    missing = [name for name in _REQUIRED if name not in body]
    if missing:
        raise GatewayError(400, f"annotation without {', '.join(missing)}")
    metadata = body.get("metadata") or {}
    given = {
        name: value
        for name, value in body.items()
        if name not in ("id", "creator", "createdAt", "updatedAt", "updatedBy")
    }
    given |= {"itemId": item["id"], "datasetId": item["datasetId"], "metadata": {"system": {}, "user": {}, **metadata}}
    return store.add("annotations", **{"source": "sdk", "attributes": None, "url": "", "hash": "", **given})


def candidates(store: Store, dataset_id: str, query: Document) -> list[Document]:
    """The annotations of a dataset that a query selects; with a join, those whose item satisfies it."""
    condition = query.get("filter") or {}
    item_ids = [value for part in [condition, *condition.get("$and", [])] for value in values_at(part, "itemId")]
    one_item = next((value for value in item_ids if isinstance(value, str) and "*" not in value), None)
    rows = store.all("annotations", datasetId=dataset_id) if one_item is None else store.annotations_of(one_item)
    found = [row for row in rows if row["datasetId"] == dataset_id and matches(row, condition)]
    join = (query.get("join") or {}).get("filter")
    return [row for row in found if not join or matches(store.get("items", row["itemId"]), join)]


def delete_all(store: Store, table: str, documents: list[Document]) -> Document:
    """Delete these items or annotations."""
    for document in documents:
        store.delete(table, document["id"])
    return {"deleted": len(documents)}


@routes("POST", "/items/{item_id}/annotations")
def post_annotations(call: Call) -> list[Document]:
    """Stores a batch, all of it or nothing."""
    item = call.store.get("items", call.params["item_id"])
    batch: Any = call.json
    batch = batch if isinstance(batch, list) else [batch]
    for body in batch:
        if any(name not in body for name in _REQUIRED):
            raise GatewayError(400, f"an annotation needs {', '.join(_REQUIRED)}")
    return [add_annotation(call.store, item, body) for body in batch]


@routes("GET", "/annotations/{annotation_id}")
def get_annotation(call: Call) -> Document:
    """One annotation."""
    return call.store.get("annotations", call.params["annotation_id"])


@routes("PUT", "/annotations/{annotation_id}")
def put_annotation(call: Call) -> Document:
    """Changes an annotation; the client sends only what differs."""
    return call.store.update(call.store.get("annotations", call.params["annotation_id"]), call.json, call.system)


@routes("DELETE", "/annotations/{annotation_id}")
def delete_annotation(call: Call) -> bool:
    """Removes an annotation."""
    call.store.delete("annotations", call.params["annotation_id"])
    return True
