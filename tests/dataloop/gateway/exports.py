"""Exports: a command that has written the items of a query, with their annotations, into one file of the hidden dataset."""

from __future__ import annotations

import io
import json
import posixpath
import zipfile

from tests.dataloop.gateway.datasets import binaries_of
from tests.dataloop.gateway.items import put_item, select_items
from tests.dataloop.gateway.query import matches
from tests.dataloop.gateway.routing import Call, Routes
from tests.dataloop.gateway.store import Document, Store

routes = Routes()


@routes("POST", "/datasets/{dataset_id}/export")
def post_export(call: Call) -> Document:
    """Exports at once: the answer is a command that has succeeded, under a file name of its own."""
    request = call.json
    dataset = call.store.get("datasets", call.params["dataset_id"])
    items = select_items(call.store, dataset["id"], request.get("itemsQuery") or {})
    documents = [_with_annotations(call.store, item, request) for item in items]
    command = call.store.add(
        "commands", type="ExportDatasetAsJson", status="success", progress=100, error=None, spec={}
    )
    command["url"] = f"{call.url}/commands/{command['id']}"
    as_list = request.get("exportType") == "json"
    data = json.dumps(documents).encode() if as_list else _zipped(documents)
    name = f"/exports/{command['id']}.{'json' if as_list else 'zip'}"
    output, _ = put_item(call.store, binaries_of(call.store, dataset["projects"][0]), name, data)
    command["spec"] = {"outputItemId": output["id"]}
    return command


@routes("GET", "/commands/{command_id}")
def get_command(call: Call) -> Document:
    """One command."""
    return call.store.get("commands", call.params["command_id"])


def _with_annotations(store: Store, item: Document, request: Document) -> Document:
    """The document of an item as it is exported.

    The JSON variant filters the annotations by `annotationsQuery`, the zip variant only when `annotations.filter` asks for it.
    """
    options = request.get("annotations") or {}
    if not options.get("include", True):
        return item
    rows = store.annotations_of(item["id"])
    if request.get("exportType") == "json" or options.get("filter"):
        condition = (request.get("annotationsQuery") or {}).get("filter") or {}
        rows = [row for row in rows if matches(row, condition)]
    return item | {"annotations": rows}


def _zipped(documents: list[Document]) -> bytes:
    """One entry for each item, named by its remote path without the extension: of equal stems the last one stays."""
    entries = {posixpath.splitext(document["filename"])[0].lstrip("/") + ".json": document for document in documents}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, document in entries.items():
            archive.writestr(name, json.dumps(document))
    return buffer.getvalue()
