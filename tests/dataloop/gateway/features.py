"""Feature sets, feature vectors and scores."""

from __future__ import annotations

from typing import Any

from tests.dataloop.gateway.query import run_query
from tests.dataloop.gateway.routing import Call, Routes
from tests.dataloop.gateway.store import Document, GatewayError

routes = Routes()


@routes("POST", "/features/sets")
def post_feature_set(call: Call) -> list[Document]:
    """A new set; the answer is a list."""
    return [call.store.add("feature_sets", url="", **call.json)]


@routes("POST", "/features/sets/query")
def query_feature_sets(call: Call) -> Document:
    """Lists sets."""
    return run_query(call.store.all("feature_sets"), call.json)


@routes("GET", "/features/sets/{set_id}")
def get_feature_set(call: Call) -> Document:
    """One set."""
    return call.store.get("feature_sets", call.params["set_id"])


@routes("PATCH", "/features/sets/{set_id}")
def patch_feature_set(call: Call) -> Document:
    """Changes a set."""
    return call.store.update(call.store.get("feature_sets", call.params["set_id"]), call.json, call.system)


@routes("DELETE", "/features/sets/{set_id}")
def delete_feature_set(call: Call) -> Document:
    """Removes a set."""
    call.store.delete("feature_sets", call.params["set_id"])
    return {}


@routes("POST", "/features/vectors")
def post_vectors(call: Call) -> list[Document]:
    """Stores vectors of the length that their set asks for."""
    for vector in call.json:
        expected = call.store.get("feature_sets", vector["featureSetId"])["size"]
        if len(vector["value"]) != expected:
            raise GatewayError(400, f"vectors of this set have {expected} numbers, got {len(vector['value'])}")
    return [call.store.add("features", url="", **vector) for vector in call.json]


@routes("POST", "/features/vectors/query")
def query_vectors(call: Call) -> Document:
    """Lists vectors."""
    return run_query(call.store.all("features"), call.json)


@routes("POST", "/features/vectors/project-count-aggregation")
def count_vectors(call: Call) -> list[Document]:
    """How many vectors each set has."""
    return [
        {"featureSetId": row["id"], "count": len(_vectors(call, row["id"]))} for row in call.store.all("feature_sets")
    ]


@routes("GET", "/features/vectors/{vector_id}")
def get_vector(call: Call) -> Document:
    """One vector."""
    return call.store.get("features", call.params["vector_id"])


@routes("DELETE", "/features/vectors/{vector_id}")
def delete_vector(call: Call) -> Document:
    """Removes a vector."""
    call.store.delete("features", call.params["vector_id"])
    return {}


@routes("POST", "/scores")
def post_scores(call: Call) -> list[Document]:
    """Stores scores."""
    return [call.store.add("scores", **score) for score in _scores_of(call.json)]


@routes("DELETE", "/scores")
def delete_scores(call: Call) -> Document:
    """Removes the scores whose context has the values that are sent."""
    wanted = call.json.get("context", {})
    rows = call.store.all("scores")
    found = [row for row in rows if all(row.get("context", {}).get(name) == value for name, value in wanted.items())]
    for row in found:
        call.store.delete("scores", row["id"])
    return {"deleted": len(found)}


def _vectors(call: Call, set_id: str) -> list[Document]:
    return call.store.all("features", featureSetId=set_id)


def _scores_of(body: Any) -> list[Document]:
    return body if isinstance(body, list) else body.get("scores", [body])
