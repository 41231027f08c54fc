"""Items to upright images, their prompts and this model's earlier predictions."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.dataloop.platform_requests import UnansweredError
from sam2_adapter.dataloop.prepared_items import (
    MAX_FILE_BYTES,
    BrokenItem,
    ItemPrompts,
    download_bytes,
    encode_item,
    prepare_item,
    title_of,
)
from sam2_adapter.dataloop.storing import Owner
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import ImageError, PlatformError
from sam2_adapter.interactive import EncodedSources
from tests.dataloop.adapting import no_waits
from tests.dataloop.gateway.faults import TRUNCATED, status
from tests.small_model import small_predictor

STREAM = "/items/{item_id}/stream"
OWNER = Owner("7" * 24, "mine")


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.fixture
def dataset(platform):
    return platform.dataset()


@pytest.fixture
def item(platform, dataset):
    return platform.item(dataset, (30, 40), "/scenes/a.png")


def _png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=image.getexif())
    return buffer.getvalue()


def test_an_item_comes_upright_with_what_is_asked_about_it_and_its_earlier_predictions(platform, dl, dataset):
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = 6  # shown turned by a quarter, clockwise
    item = platform.item(dataset, _png(image), "/turned.png")
    drawn, *_ = platform.annotate(item, dl.Box(0, 0, 2, 2, "cat"))
    own, *_ = platform.annotate(
        item, dl.Box(1, 1, 3, 3, "cat"), model_info={"name": "mine", "model_id": OWNER.model_id, "confidence": 0.5}
    )
    platform.annotate(
        item, dl.Box(2, 2, 3, 3, "cat"), model_info={"name": "other", "model_id": "8" * 24, "confidence": 0.5}
    )
    asked = []

    def ask(documents, original_hw):
        asked.append((len(documents), documents[0]["id"], original_hw))
        return ItemPrompts(None)

    prepared = prepare_item(item, OWNER, ask)
    np.testing.assert_array_equal(prepared.image, np.rot90(pixels, -1))
    assert asked == [(3, drawn["id"], (6, 4))]
    assert (prepared.earlier_ids, prepared.asked.prompts, prepared.item) == ((own["id"],), None, item)


def test_a_file_that_is_no_image_is_named(platform, dataset):
    item = platform.item(dataset, b"no image", "/scenes/broken.png")
    with pytest.raises(ImageError, match=r"/scenes/broken\.png"):
        prepare_item(item, OWNER, lambda *_: ItemPrompts(None))


def test_a_download_that_fails_for_a_while_is_repeated(platform, gateway, item):
    gateway.faults.add(status(500), route=STREAM, occurrences={1})
    assert download_bytes(item) == platform.store.files[item.id]
    assert gateway.requests.by_route()[f"GET {STREAM}"] == 2


def test_a_download_that_fails_for_good_is_an_error(gateway, item):
    gateway.faults.add(status(500), route=STREAM)
    with pytest.raises(UnansweredError, match="could not be downloaded; check that it is still in its storage"):
        download_bytes(item)


def test_half_a_file_is_never_taken_for_a_whole_one(platform, gateway, item):
    gateway.faults.add(TRUNCATED, route=STREAM, occurrences={1})
    assert download_bytes(item) == platform.store.files[item.id]


def test_a_file_that_is_too_large_for_an_image_is_not_fetched(gateway, item):
    item.metadata["system"]["size"] = MAX_FILE_BYTES + 1
    with pytest.raises(
        PlatformError, match=r"the file has 1,073,741,825 bytes, but at most 1,073,741,824 are accepted"
    ):
        download_bytes(item)
    assert gateway.requests.total == 0


def test_an_item_is_fetched_and_encoded_once(gateway, item):
    sources = EncodedSources(small_predictor(), ByteBoundedCache(2**30))
    first, second = encode_item(sources, item), encode_item(sources, item)
    assert first.embedding is second.embedding
    assert first.embedding.original_hw == (30, 40)
    assert sources.num_encoded == gateway.requests.by_route()[f"GET {STREAM}"] == 1


def test_an_item_that_changed_is_fetched_again_but_encoded_only_if_its_pixels_did(platform, gateway, item):
    sources = EncodedSources(small_predictor(), ByteBoundedCache(2**30))
    first = encode_item(sources, item)
    item.updated_at = "2030-01-01T00:00:00.000Z"
    assert encode_item(sources, item).embedding is first.embedding
    assert (gateway.requests.by_route()[f"GET {STREAM}"], sources.num_encoded) == (2, 1)
    platform.store.files[item.id] = other = _png(Image.new("RGB", (40, 30), "red"))
    item.metadata["system"]["size"] = len(other)
    item.updated_at = "2030-01-02T00:00:00.000Z"
    assert encode_item(sources, item).content_sha256 != first.content_sha256
    assert sources.num_encoded == 2


def test_a_broken_item_says_its_name_its_id_and_why(item):
    assert title_of(item) == f"/scenes/a.png (id {item.id})"
    assert str(BrokenItem(item, ImageError("too small."))) == f"/scenes/a.png (id {item.id}): too small."
    assert len(str(BrokenItem(item, ImageError("x" * 9999)))) < 600
