"""Vectors of items: one per model and item, whatever gets lost or comes twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_adapter.dataloop.platform_requests import MOST_TRIES
from sam2_adapter.dataloop.vectors import pooled_vector, store_vectors, vector_set_id
from sam2_adapter.errors import PlatformError
from tests.dataloop.adapting import no_waits
from tests.dataloop.gateway.faults import LOST, status
from tests.small_model import small_predictor

VECTORS = "/features/vectors"
FIRST = {"a" * 24: [0.0, 1.0], "b" * 24: [2.0, 3.0]}


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.fixture
def model(platform):
    return platform.model(platform.dataset(), name="mine")


def _stored(platform):
    rows = platform.store.all("features")
    assert len({row["entityId"] for row in rows}) == len(rows), "an item has two vectors"
    return {row["entityId"]: row["value"] for row in rows}


def test_a_model_has_one_set(platform, model):
    made = vector_set_id(model, 2)
    assert vector_set_id(model, 2) == made
    (stored,) = platform.store.all("feature_sets")
    assert (stored["id"], stored["name"], stored["size"]) == (made, f"mine-{model.id}", 2)
    assert (stored["modelId"], stored["entityType"], stored["project"]) == (model.id, "item", model.project_id)


def test_models_of_one_name_have_sets_of_their_own(platform, model):
    other = platform.model(platform.dataset("other"), name="mine")
    assert vector_set_id(other, 3) != vector_set_id(model, 2)


def test_vectors_of_another_length_are_refused(model):
    made = vector_set_id(model, 2)
    message = rf"'mine' has vectors of length 2, but embeddings_size = 3: .* remove the feature set 'mine-{model.id}'"
    with pytest.raises(PlatformError, match=message):
        vector_set_id(model, 3)
    assert vector_set_id(model, 2) == made


def test_later_vectors_take_the_place_of_earlier_ones(platform, model):
    made = vector_set_id(model, 2)
    store_vectors(model, made, "d" * 24, FIRST)
    store_vectors(model, made, "d" * 24, {"a" * 24: [5.0, 6.0]})
    assert _stored(platform) == {**FIRST, "a" * 24: [5.0, 6.0]}
    assert {row["datasetId"] for row in platform.store.all("features")} == {"d" * 24}


def test_the_same_vector_stored_twice_is_there_once(platform, model):
    made = vector_set_id(model, 2)
    store_vectors(model, made, "d" * 24, FIRST)
    store_vectors(model, made, "d" * 24, FIRST)
    assert _stored(platform) == FIRST


@pytest.mark.parametrize("fault", [status(500), LOST])
def test_a_request_that_fails_leaves_each_vector_once(platform, gateway, model, fault):
    made = vector_set_id(model, 2)
    gateway.faults.add(fault, method="POST", route=VECTORS, occurrences={1})
    store_vectors(model, made, "d" * 24, FIRST)
    assert _stored(platform) == FIRST


def test_vectors_that_cannot_be_stored_are_an_error_and_remove_none(platform, gateway, model):
    made = vector_set_id(model, 2)
    store_vectors(model, made, "d" * 24, FIRST)
    gateway.faults.add(status(500), method="POST", route=VECTORS)
    with pytest.raises(PlatformError, match=r"1 of 1 vectors could not be stored\."):
        store_vectors(model, made, "d" * 24, {"a" * 24: [5.0, 6.0]})
    assert len(gateway.faults.injected) == MOST_TRIES
    assert _stored(platform) == FIRST


def test_a_refusal_is_not_repeated(gateway, model):
    made = vector_set_id(model, 2)
    with pytest.raises(PlatformError, match="status 400"):
        store_vectors(model, made, "d" * 24, {"a" * 24: [1.0, 2.0, 3.0]})
    assert gateway.requests.by_route()[f"POST {VECTORS}"] == 1


def test_a_removal_whose_answer_is_lost_has_happened(platform, gateway, model):
    made = vector_set_id(model, 2)
    store_vectors(model, made, "d" * 24, FIRST)
    gateway.faults.add(LOST, method="DELETE", occurrences={1})
    store_vectors(model, made, "d" * 24, {"a" * 24: [5.0, 6.0]})
    assert _stored(platform) == {**FIRST, "a" * 24: [5.0, 6.0]}


@pytest.mark.parametrize("size", [1, 16, 32, 100, 1000])
def test_the_vector_of_an_image_has_the_wanted_length_and_norm_one(size):
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    vector = pooled_vector(small_predictor().embed([image])[0], size)
    assert len(vector) == size
    assert all(type(value) is float for value in vector)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_vector_of_the_models_own_width_is_the_mean_over_space():
    (embedding,) = small_predictor().embed([np.full((64, 64, 3), 90, np.uint8)])
    mean = embedding.encoded.image_embedding.mean(dim=(0, 2, 3))
    assert pooled_vector(embedding, len(mean)) == pytest.approx((mean / torch.linalg.norm(mean)).tolist(), abs=1e-5)
