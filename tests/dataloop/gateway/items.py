"""Items: upload, documents, bytes, and the query that items share with annotations."""

from __future__ import annotations

import email.parser
import email.policy
import io
import json
import mimetypes
import posixpath
from typing import Any

from PIL import Image

from tests.dataloop.gateway.annotations import candidates, delete_all
from tests.dataloop.gateway.query import matches, run_query
from tests.dataloop.gateway.routing import Call, Reply, Routes
from tests.dataloop.gateway.store import Document, GatewayError, Store, without_system

routes = Routes()


def put_item(
    store: Store, dataset: Document, filename: str, data: bytes, metadata: Document | None = None
) -> tuple[Document, str]:
    """Store a file under its remote path, replacing the bytes of one that is there; the item and `created` or `overwrite`."""
    existing = find_item(store, dataset["id"], filename)
    item = existing or _new_item(store, dataset, filename)
    store.files[item["id"]] = data
    store.update(item, {"metadata": metadata or {}}, system=True)
    store.update(item, {"metadata": {"system": _facts(filename, data)}}, system=True)
    return item, "overwrite" if existing else "created"


def find_item(store: Store, dataset_id: str, filename: str) -> Document | None:
    """The item of a dataset with that remote path."""
    return next(iter(store.all("items", datasetId=dataset_id, filename=filename)), None)


def _new_item(store: Store, dataset: Document, filename: str) -> Document:
    directory, name = posixpath.split(filename)
    item = store.add(
        "items", datasetId=dataset["id"], projectId=dataset["projects"][0], filename=filename, name=name, dir=directory
    )
    item.update(type="file", annotated=False, annotationsCount=0, description=None, metadata={"system": {}}, spec=None)
    item["hidden"] = any(part.startswith(".") for part in filename.split("/"))
    for link in ("url", "stream", "thumbnail", "annotations"):
        item[link] = f"/items/{item['id']}" + ("" if link == "url" else f"/{link}")
    return item


def _facts(filename: str, data: bytes) -> Document:
    """What the platform finds out about a file: its size, and of images the stored width, height and orientation."""
    mimetype = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    facts: Document = {
        "size": len(data),
        "mimetype": mimetype,
        "originalname": posixpath.basename(filename),
        "encoding": "7bit",
    }
    if mimetype.startswith("image/"):
        try:
            with Image.open(io.BytesIO(data)) as image:
                facts |= {"width": image.width, "height": image.height, "channels": len(image.getbands())}
                orientation = image.getexif().get(0x0112)
        except OSError:
            return facts
        if orientation is not None:
            facts["exif"] = {"Orientation": orientation}
    return facts


@routes("POST", "/datasets/{dataset_id}/items")
def post_item(call: Call) -> Reply:
    """Uploads a file; without `mode=overwrite` a remote path that is taken answers with the item that is there."""
    dataset = call.store.get("datasets", call.params["dataset_id"])
    form = _parse_form(call)
    filename = "/" + form["path"].decode().lstrip("/")
    item = find_item(call.store, dataset["id"], filename)
    if item is not None and call.query.get("mode") != "overwrite":
        operation = "exist"
    else:
        metadata = json.loads(form.get("metadata", b"{}"))
        item, operation = put_item(call.store, dataset, filename, form["file"], metadata)
        if "description" in form:
            item["description"] = form["description"].decode()
    return Reply(json.dumps(item).encode(), 200, {"x-item-op": operation})


def _parse_form(call: Call) -> dict[str, bytes]:
    """The fields of a multipart form by name."""
    head = b"Content-Type: " + call.headers["content-type"].encode() + b"\r\n\r\n"
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + call.body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = part.get_payload(decode=True) or b""
    return fields


@routes("GET", "/items/{item_id}")
def get_item(call: Call) -> Document:
    """One item."""
    return call.store.get("items", call.params["item_id"])


@routes("PATCH", "/items/{item_id}")
def patch_item(call: Call) -> Document:
    """Changes an item."""
    return call.store.update(call.store.get("items", call.params["item_id"]), call.json, call.system)


@routes("DELETE", "/items/{item_id}")
def delete_item(call: Call) -> Document:
    """Removes an item with its annotations."""
    call.store.delete("items", call.params["item_id"])
    return {}


@routes("GET", "/items/{item_id}/stream")
def get_stream(call: Call) -> Reply:
    """The bytes of an item, from `Range: bytes=N-` on."""
    item = call.store.get("items", call.params["item_id"])
    data = call.store.files[item["id"]]
    start = int(call.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
    headers = {"Content-Type": item["metadata"]["system"]["mimetype"]}
    if start == 0:
        return Reply(data, 200, headers)
    if start >= len(data):
        raise GatewayError(416, f"the item has {len(data)} bytes, asked for those from {start} on")
    return Reply(data[start:], 206, headers | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})


@routes("POST", "/datasets/{dataset_id}/query")
def query_dataset(call: Call) -> Any:
    """Lists, changes or deletes the items or the annotations of a dataset that a query selects."""
    request = call.json
    call.store.get("datasets", call.params["dataset_id"])
    select = select_items if request.get("resource", "items") == "items" else candidates
    try:
        found = select(call.store, call.params["dataset_id"], request)
    except (ValueError, TypeError, AttributeError) as error:
        raise GatewayError(400, f"bad query: {error}") from error
    if request.get("delete"):
        return delete_all(call.store, request.get("resource", "items"), found)
    if "update" in request:
        for document in found:
            call.store.update(
                document, without_system(request["update"], bool(request.get("systemSpace"))), system=True
            )
        return {"updated": len(found)}
    return run_query(found, {**request, "filter": {}})


def select_items(store: Store, dataset_id: str, query: Document) -> list[Document]:
    """The items of a dataset that a query selects; with a join, those with at least one annotation that satisfies it."""
    condition = query.get("filter") or {}
    join = (query.get("join") or {}).get("filter")
    found = [item for item in store.all("items", datasetId=dataset_id) if matches(item, condition)]
    if not join:
        return found
    return [item for item in found if any(matches(row, join) for row in store.annotations_of(item["id"]))]
