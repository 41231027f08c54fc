"""Embeddings of items as vectors on the platform, through the real SDK."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.errors import PlatformError
from tests.dataloop.adapting import adapter_of, disk_image, make_adapter, no_waits
from tests.dataloop.gateway.faults import LOST, TRUNCATED, status


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


def test_embedding_stores_a_vector_of_the_configured_length(platform, dl, gateway):
    dataset = platform.dataset()
    same, twin = (platform.item(dataset, disk_image(), f"/{n}.png") for n in "ab")
    other = platform.item(dataset, (120, 160), "/c.png")
    adapter = make_adapter(platform, dataset, embeddings_size=100)

    items, vectors = adapter.embed_items([same, twin, other])

    assert items == [same, twin, other]
    assert [len(vector) for vector in vectors] == [100] * 3
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert np.dot(vectors[0], vectors[1]) > 0.999 > np.dot(vectors[0], vectors[2])
    stored = {row["entityId"]: row["value"] for row in platform.store.all("features")}
    assert stored == {item.id: vector for item, vector in zip(items, vectors, strict=True)}


def test_a_broken_item_is_named_when_embedding(platform, dl):
    dataset = platform.dataset()
    broken = platform.item(dataset, b"no picture", "/broken.png")
    with pytest.raises(Exception, match=f"broken.png \\(id {broken.id}\\)"):
        make_adapter(platform, dataset).embed_items([broken])


def test_a_broken_item_costs_only_itself_when_embedding(platform, dl):
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(5)]
    broken = platform.item(dataset, b"no picture", "/2b.png")
    adapter = make_adapter(platform, dataset)

    with pytest.raises(PlatformError, match=rf"1 of 6 items could not be embedded.*\n.*\(id {broken.id}\)"):
        adapter.embed_items([*items[:3], broken, *items[3:]])

    assert sorted(row["entityId"] for row in platform.store.all("features")) == sorted(item.id for item in items)


@pytest.mark.parametrize("fault", [status(500), status(429), status(503), LOST, TRUNCATED], ids=str)
def test_embedding_twice_under_faults_leaves_one_vector_an_item(platform, dl, gateway, fault):
    dataset = platform.dataset()
    for n in range(5):
        platform.item(dataset, disk_image(), f"/{n}.png")
    adapter = make_adapter(platform, dataset)
    gateway.faults.add(fault, path="/features/", occurrences={1, 3, 6, 9, 12, 15})

    adapter.embed_dataset(dataset)
    first = {row["entityId"]: row["value"] for row in platform.store.all("features")}
    adapter.embed_dataset(dataset)

    assert len(gateway.faults.injected) >= 4
    rows = platform.store.all("features")
    assert len(rows) == len(first) == 5
    assert {row["entityId"]: row["value"] for row in rows} == first
    assert {row["featureSetId"] for row in rows} <= {row["id"] for row in platform.store.all("feature_sets")}


def test_vectors_of_another_length_are_refused(platform, dl):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    adapter = make_adapter(platform, dataset, embeddings_size=100)
    adapter.embed_items([item])
    model = dl.models.get(model_id=adapter.model_entity.id)
    model.configuration["embeddings_size"] = 50
    with pytest.raises(PlatformError, match="has vectors of length 100, but embeddings_size = 50"):
        adapter_of(model).embed_items([item])


def test_embedding_without_storing(platform, dl):
    dataset = platform.dataset()
    adapter = make_adapter(platform, dataset)
    _, (vector,) = adapter.embed_items([platform.item(dataset, disk_image())], upload_features=False)
    assert len(vector) == 256
    assert platform.store.all("features") == platform.store.all("feature_sets") == []
