"""Encoded images of a run: made once, broken files left out by name, changed ones refused; and the identity of the data."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from sam2_adapter.embeddings.store import EmbeddingStore
from sam2_adapter.errors import TrainingError
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.training.encoding import SampleEmbeddings, data_fingerprint
from tests.small_model import small_model
from tests.training.small_run import make_samples

ORIGINAL = "original"


@pytest.fixture
def samples(tmp_path):
    return make_samples(tmp_path, 3)


@pytest.fixture(scope="module")
def runtime():
    return TorchRuntime(small_model(image_size=64), "cpu", "fp32")


def prepared(samples, runtime, num_training=2, memory=2**26):
    embeddings = SampleEmbeddings(samples, num_training, runtime, "stretch", EmbeddingStore(memory, None))
    places = [(position, ORIGINAL) for position in range(len(samples))]
    assert list(embeddings.prepare(places, 2))[-1] == len(samples) - len(embeddings.broken)
    return embeddings


def test_images_to_measure_with_are_exact_and_those_to_train_on_are_rounded(samples, runtime):
    embeddings = prepared(samples, runtime)
    exact = prepared(samples, runtime, num_training=0)
    assert torch.equal(embeddings.get(2, ORIGINAL).image_embedding, exact.get(2, ORIGINAL).image_embedding)
    rounded, whole = embeddings.get(0, ORIGINAL).image_embedding, exact.get(0, ORIGINAL).image_embedding
    assert torch.equal(rounded, whole.half().float())


def test_what_no_memory_holds_is_made_again_and_is_the_same(samples, runtime):
    kept, made_again = prepared(samples, runtime), prepared(samples, runtime, memory=0)
    found, expected = (embeddings.get(1, ORIGINAL).image_embedding for embeddings in (made_again, kept))
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)  # made alone, not in a batch
    Image.new("RGB", (64, 48)).save(samples[1].image_path)
    with pytest.raises(TrainingError, match=r"0_1\.png has changed since the run began"):
        made_again.get(1, ORIGINAL)


def test_a_broken_image_is_left_out_by_its_position(samples, runtime):
    samples[1].image_path.write_bytes(b"no image")
    embeddings = prepared(samples, runtime)
    assert list(embeddings.broken) == [1]
    assert "0_1.png" in embeddings.broken[1]
    assert (1, ORIGINAL) not in embeddings.keys
    assert embeddings.encoder == {"runtime": "torch", "precision": "fp32"}


def test_the_identity_of_the_data_is_its_pixels_and_objects(samples):
    keys = {(position, ORIGINAL): str(position) for position in range(3)}
    first = data_fingerprint(samples, 2, keys)
    assert data_fingerprint(list(samples), 2, dict(reversed(keys.items()))) == first
    assert data_fingerprint(samples, 1, keys) != first
    assert data_fingerprint(samples, 2, {**keys, (0, ORIGINAL): "other pixels"}) != first
    fewer = [replace(samples[0], objects=samples[0].objects[:1]), *samples[1:]]
    assert data_fingerprint(fewer, 2, keys) != first
    moved = [replace(sample, name=f"moved/{sample.name}") for sample in samples]
    assert data_fingerprint(moved, 2, keys) == first, "where the files lie does not matter"
