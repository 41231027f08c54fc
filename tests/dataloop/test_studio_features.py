"""Image features as a hidden file beside the data: complete, and one per item."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.dataloop.platform_requests import UnansweredError
from sam2_adapter.dataloop.studio_features import FEATURES_FOLDER, upload_features
from sam2_adapter.embeddings.features import decode_features
from sam2_adapter.interactive import EncodedSource
from tests.dataloop.adapting import disk_image, no_waits
from tests.dataloop.gateway.faults import status
from tests.small_model import small_predictor


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.fixture(scope="module")
def encoded():
    return EncodedSource(small_predictor().embed([disk_image()])[0], "c" * 64)


@pytest.fixture
def item(platform):
    return platform.item(platform.dataset(), disk_image(), "/scenes/disk.png")


def test_the_features_arrive_as_they_were_sent(platform, item, encoded):
    stored = platform.store.get("items", upload_features(item, encoded, "sam2_nano"))
    assert stored["filename"] == f"{FEATURES_FOLDER}/{item.id}.sam2feat"
    found = decode_features(platform.store.files[stored["id"]])
    assert (found.original_hw, found.weights_sha256) == ((120, 160), encoded.embedding.weights_sha256)
    torch.testing.assert_close(
        found.encoded.image_embedding, encoded.embedding.encoded.image_embedding, rtol=1e-3, atol=1e-3
    )


def test_an_item_has_one_file_of_features(platform, item, encoded):
    upload_features(item, encoded, "sam2_nano")
    upload_features(item, encoded, "sam2_nano")
    files = [row["filename"] for row in platform.store.all("items") if row["filename"].startswith(FEATURES_FOLDER)]
    assert files == [f"{FEATURES_FOLDER}/{item.id}.sam2feat"]


def test_features_that_do_not_arrive_are_an_error(gateway, item, encoded):
    gateway.faults.add(status(500), method="POST", path=r"/items")
    message = r"The features of /scenes/disk\.png could not be stored: None of \d+ bytes arrived\."
    with pytest.raises(UnansweredError, match=message):
        upload_features(item, encoded, "sam2_nano")
