"""The platform's state in memory: one table of documents per kind of entity, and the bytes of the files."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from tests.dataloop.gateway.tokens import USER

Document = dict[str, Any]


class GatewayError(Exception):
    """An answer that is not a success: HTTP `status` and a message for the client."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


class Store:
    """All documents by table and id, in the order of their creation.

    Every access happens under `lock`; requests hold it while they act. Identifiers are 24 hex digits that increase, because the
    client splits large queries by ranges of them.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tables: defaultdict[str, dict[str, Document]] = defaultdict(dict)
        self.files: dict[str, bytes] = {}
        self._annotations_of_item: defaultdict[str, dict[str, Document]] = defaultdict(dict)
        self._counter = itertools.count(1)

    def clear(self) -> None:
        """Forget everything but the identifiers already given: they are never given twice."""
        with self.lock:
            self.tables.clear()
            self.files.clear()
            self._annotations_of_item.clear()

    def new_id(self) -> str:
        """The next identifier: a fixed date, a fixed machine and a counter."""
        return f"67450000a1b2c3d4e5{next(self._counter):06x}"

    def add(self, table: str, **fields: Any) -> Document:
        """Store and return a new document with an id, its creator and its dates."""
        with self.lock:
            document = {
                "id": self.new_id(),
                "creator": USER,
                "createdAt": _now(),
                "updatedAt": _now(),
                "updatedBy": USER,
                **fields,
            }
            self.tables[table][document["id"]] = document
            if table == "annotations":
                self._annotations_of_item[document["itemId"]][document["id"]] = document
                self._count_annotations(document["itemId"])
            return document

    def get(self, table: str, identifier: str) -> Document:
        """The document with that id.

        Raises:
            GatewayError: 404, when there is none.
        """
        try:
            return self.tables[table][identifier]
        except KeyError:
            raise GatewayError(404, f"no {table} with id {identifier}") from None

    def all(self, table: str, **fields: Any) -> list[Document]:
        """The documents of a table whose fields have these values."""
        with self.lock:
            return [
                row
                for row in self.tables[table].values()
                if all(row.get(name) == value for name, value in fields.items())
            ]

    def delete(self, table: str, identifier: str) -> None:
        """Remove a document with what belongs to it: the annotations and the bytes of an item, the items of a dataset."""
        with self.lock:
            document = self.get(table, identifier)
            if table == "datasets":
                for item in self.all("items", datasetId=identifier):
                    self.delete("items", item["id"])
            if table == "items":
                for annotation in self.annotations_of(identifier):
                    self.delete("annotations", annotation["id"])
                self.files.pop(identifier, None)
            del self.tables[table][identifier]
            if table == "annotations":
                self._annotations_of_item[document["itemId"]].pop(identifier)
                self._count_annotations(document["itemId"])

    def annotations_of(self, item_id: str) -> list[Document]:
        """The annotations of one item, oldest first."""
        with self.lock:
            return list(self._annotations_of_item[item_id].values())

    def update(self, document: Document, changes: Document, system: bool) -> Document:
        """Merge `changes` into `document`: nested dicts are merged, None removes a nested key, `metadata.system` needs `system`."""
        with self.lock:
            changes = without_system(changes, system)
            for name, value in changes.items():
                if name in ("id", "createdAt", "creator"):
                    continue
                if isinstance(value, dict) and isinstance(document.get(name), dict):
                    document[name] = _merged(document[name], value)
                else:
                    document[name] = value
            document["updatedAt"] = _now()
            return document

    def _count_annotations(self, item_id: str) -> None:
        item = self.tables["items"].get(item_id)
        if item is not None:
            item["annotationsCount"] = len(self._annotations_of_item[item_id])
            item["annotated"] = item["annotationsCount"] > 0


def without_system(changes: Document, system: bool) -> Document:
    """`changes` as the server takes them: without `metadata.system` unless the request said `system=true`."""
    if system or "system" not in (changes.get("metadata") or {}):
        return changes
    return {**changes, "metadata": {key: value for key, value in changes["metadata"].items() if key != "system"}}


def _merged(old: Document, new: Document) -> Document:
    result = dict(old)
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
