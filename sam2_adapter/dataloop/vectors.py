"""Vectors of items for similarity search: made of encoded images, and on the platform one per model and item, whatever gets lost or comes twice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from sam2_adapter.dataloop.platform_requests import (
    Document,
    UnansweredError,
    query_pages,
    repeated_until_done,
    send,
    send_once,
)
from sam2_adapter.errors import PlatformError
from sam2_adapter.predict.predictor import ImageEmbedding


def pooled_vector(embedding: ImageEmbedding, size: int) -> list[float]:
    """Summarise an encoded image for similarity search.

    The image embedding (C x h x w) is averaged over the whole image where `size` is at most C, else over a grid with
    just enough cells, then averaged to `size` values.

    Args:
        embedding: the encoded image.
        size: length of the vector.

    Returns:
        `size` finite numbers of Euclidean length 1, so that the inner product is the cosine similarity.
    """
    features = embedding.encoded.image_embedding.float().cpu()
    cells = math.ceil(math.sqrt(size / features.shape[1]))
    pooled = F.adaptive_avg_pool2d(features, cells).flatten()
    vector = F.adaptive_avg_pool1d(pooled[None], size)[0]
    return [float(value) for value in F.normalize(torch.nan_to_num(vector), dim=0)]


def vector_set_id(model: Any, size: int) -> str:
    """The platform's set for the vectors of a model (`dl.Model`); made if missing.

    Raises:
        PlatformError: there is a set of vectors of another length.
    """
    found = _sets(model)
    if not found:
        send("post", "/features/sets", _new_set(model, size))
        found = _sets(model)  # of several, all executions take the first
    if not found:
        raise PlatformError(f"Model {model.name!r}: the platform made no set for its vectors; try again later.")
    if found[0]["size"] != size:
        raise PlatformError(
            f"Model {model.name!r} has vectors of length {found[0]['size']}, but embeddings_size = {size}: set embeddings_size back, or "
            f"remove the feature set {found[0]['name']!r} with all its vectors."
        )
    return str(found[0]["id"])


def store_vectors(model: Any, set_id: str, dataset_id: str, vectors: Mapping[str, Sequence[float]]) -> None:
    """Store the vectors of items in place of earlier ones.

    Args:
        model: `dl.Model` that made them.
        set_id: see `vector_set_id`.
        dataset_id: of the items.
        vectors: item id to vector.

    Raises:
        PlatformError: they could not be stored; earlier ones may be there still.
    """
    missing = dict(vectors)

    def store() -> bool | None:
        nonlocal missing
        documents = [_document(model, set_id, dataset_id, *entry) for entry in missing.items()]
        try:
            send_once("post", "/features/vectors", documents)
        except UnansweredError as error:
            if not error.is_temporary:
                raise
        missing = _settle(set_id, vectors)
        return None if missing else True

    if not repeated_until_done(store):
        raise PlatformError(f"{len(missing)} of {len(vectors)} vectors could not be stored.")


def _settle(set_id: str, vectors: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """Remove the vectors of these items but the newest of the right ones; returns what is missing."""
    kept: dict[str, str] = {}
    surplus = []
    query = {"filter": {"$and": [{"featureSetId": set_id}, {"entityId": {"$in": sorted(vectors)}}]}}
    for document in query_pages("/features/vectors/query", {**query, "resource": "feature_vectors"}):
        item_id = document["entityId"]
        is_right = list(document["value"]) == list(vectors[item_id])
        if is_right and item_id in kept:
            surplus.append(kept.pop(item_id))
        if is_right:
            kept[item_id] = document["id"]
        else:
            surplus.append(document["id"])
    missing = {item_id: vector for item_id, vector in vectors.items() if item_id not in kept}
    if not missing:
        for identifier in surplus:
            _remove(identifier)
    return missing


def _remove(identifier: str) -> None:
    try:
        send("delete", f"/features/vectors/{identifier}")
    except UnansweredError as error:
        if error.status != 404:  # an earlier try whose answer was lost
            raise


def _sets(model: Any) -> list[Document]:
    query = {"filter": {"$and": [{"modelId": model.id}]}, "resource": "feature_sets"}
    return list(query_pages("/features/sets/query", query))


def _new_set(model: Any, size: int) -> Document:
    name = f"{model.name}-{model.id}"  # names are unique in a project, those of models are not
    fields = {"name": name, "size": size, "type": model.name, "modelId": model.id, "entityType": "item"}
    return {**fields, "project": model.project_id}


def _document(model: Any, set_id: str, dataset_id: str, item_id: str, vector: Sequence[float]) -> Document:
    ids = {"entityId": item_id, "datasetId": dataset_id, "project": model.project_id, "featureSetId": set_id}
    return {**ids, "value": list(vector)}
