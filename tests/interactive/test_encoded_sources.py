"""Encoded images by source: fetched when something changed, encoded when the image did."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.annotations.regions import Region
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.embeddings.keys import num_bytes
from sam2_adapter.errors import ImageError
from sam2_adapter.interactive import EncodedSources
from tests.small_model import small_predictor


def _file(seed):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Place:
    """A source whose content can change; counts how often it is fetched."""

    def __init__(self, seed=0):
        self.content, self.fetched = _file(seed), 0

    def __call__(self):
        self.fetched += 1
        return self.content


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


def _sources(predictor, max_bytes=2**30):
    return EncodedSources(predictor, ByteBoundedCache(max_bytes))


def test_an_unchanged_stamp_needs_no_fetch(predictor):
    sources, place = _sources(predictor), Place()
    first = sources.encode("a", place, name="a", stamp=1)
    assert first.content_sha256 == hashlib.sha256(place.content).hexdigest()
    assert first.embedding.original_hw == (30, 40)
    again = sources.encode("a", place, name="a", stamp=1)
    assert (again.embedding, place.fetched, sources.num_encoded) == (first.embedding, 1, 1)


@pytest.mark.parametrize("stamp", [2, None])
def test_an_unchanged_content_needs_no_encoding(predictor, stamp):
    sources, place = _sources(predictor), Place()
    first = sources.encode("a", place, name="a", stamp=1)
    again = sources.encode("a", place, name="a", stamp=stamp)
    assert (again.embedding, place.fetched, sources.num_encoded) == (first.embedding, 2, 1)


def test_another_content_is_encoded_and_so_is_the_first_one_again_from_the_cache(predictor):
    sources, place = _sources(predictor), Place()
    first = sources.encode("a", place, name="a", stamp=1)
    before, place.content = place.content, _file(1)
    second = sources.encode("a", place, name="a", stamp=2)
    assert second.content_sha256 != first.content_sha256
    place.content = before
    assert sources.encode("a", place, name="a", stamp=3).embedding is first.embedding
    assert sources.num_encoded == 2


def test_two_sources_of_one_image_share_its_embedding(predictor):
    sources = _sources(predictor)
    first = sources.encode("a", Place(), name="a", stamp=1)
    assert sources.encode("b", Place(), name="b", stamp=1).embedding is first.embedding
    pixels = np.asarray(Image.open(io.BytesIO(_file(0))))
    assert sources.encode_pixels(pixels) is first.embedding
    assert sources.num_encoded == 1


def test_an_image_that_the_cache_has_lost_is_fetched_and_encoded_again(predictor):
    size = num_bytes(_sources(predictor).encode("a", Place(), name="a").embedding.encoded)
    sources, places = _sources(predictor, int(1.5 * size)), [Place(0), Place(1)]
    for _ in range(2):
        for name, place in zip("ab", places, strict=True):
            sources.encode(name, place, name=name, stamp=1)
    assert [place.fetched for place in places] == [2, 2]
    assert sources.num_encoded == 4


def test_a_source_that_fails_is_not_remembered(predictor):
    sources, place = _sources(predictor), Place()
    good, place.content = place.content, b"no picture"
    with pytest.raises(ImageError, match="the cat: not an image"):
        sources.encode("a", place, name="the cat", stamp=1)
    place.content = good
    assert sources.encode("a", place, name="the cat", stamp=1).embedding.original_hw == (30, 40)


def test_many_threads_encode_each_image_once(predictor):
    sources, places = _sources(predictor), {name: Place(seed) for seed, name in enumerate("abcd")}
    with ThreadPoolExecutor(8) as pool:
        encoded = list(pool.map(lambda name: sources.encode(name, places[name], name=name, stamp=1), "abcd" * 8))
    assert sources.num_encoded == 4
    assert len({id(entry.embedding) for entry in encoded}) == 4
    assert [place.fetched for place in places.values()] == [1] * 4


def test_a_region_is_encoded_once_and_its_image_fetched_once_more(predictor):
    sources, place = _sources(predictor), Place()
    windows = sources.encode("a", place, name="a", stamp=1).windows
    first, second = Region(0, 0, 20, 20), Region(5, 5, 30, 25)
    one, two, again = windows.embed([first, second, first])
    assert again is one
    assert two is not one
    assert windows.embed([second])[0] is two
    assert sources.encode("a", place, name="a", stamp=1).windows.embed([first])[0] is one
    assert (sources.num_encoded, place.fetched) == (3, 2)
    expected = np.asarray(Image.open(io.BytesIO(place.content)))[5:25, 5:30]
    assert np.array_equal(windows.read(second), expected)
    encoded = predictor.embed(expected).encoded.image_embedding
    assert np.allclose(np.asarray(two.encoded.image_embedding), np.asarray(encoded), atol=1e-4)


def test_regions_of_an_image_that_changed_meanwhile_are_refused(predictor):
    sources, place = _sources(predictor), Place()
    windows = sources.encode("a", place, name="a.png", stamp=1).windows
    place.content = _file(1)
    with pytest.raises(ImageError, match=r"a\.png: the image has changed meanwhile"):
        windows.embed([Region(0, 0, 9, 9)])
