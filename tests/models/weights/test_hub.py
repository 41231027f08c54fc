"""The hub, by its own library, from a local server that answers as the hub does."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.families.base import Architecture, PublishedWeights
from sam2_adapter.models.weights.download import find_or_fetch_weights
from sam2_adapter.models.weights.fetch import FetchError
from sam2_adapter.models.weights.hub import fetch_from_hub, find_in_hub_cache, hub_cache_dir, hub_url
from tests.models.weights.weights_server import Server

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def weights(both: Server, published: Architecture) -> PublishedWeights:
    assert published.weights is not None
    return published.weights


def fetch(weights: PublishedWeights) -> Path:
    return fetch_from_hub(weights, lambda _: None)


def put_there(folder: Path, commit: str, content: bytes = b"x") -> Path:
    path = folder / "models--acme--custom-model" / "snapshots" / commit / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_the_file_lies_where_all_programs_look_for_it(
    weights: PublishedWeights, both: Server, hub_bytes: bytes
) -> None:
    path = fetch(weights)
    assert path.read_bytes() == hub_bytes
    assert path.parent.name == both.commit
    assert path.resolve().name == hashlib.sha256(hub_bytes).hexdigest()
    assert [name for name, _ in both.requests] == [f"/acme/custom-model/resolve/{both.commit}/model.safetensors"]
    assert find_in_hub_cache(weights) == path
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(
        "acme/custom-model", "model.safetensors", cache_dir=hub_cache_dir(), revision=both.commit
    )
    assert cached == str(path)


def test_the_users_token_is_sent(weights: PublishedWeights, both: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(weights)
    assert set(both.tokens) == {"Bearer hf_secret"}


def test_a_connection_that_ends_early_is_tried_again(weights: PublishedWeights, both: Server, hub_bytes: bytes) -> None:
    both.faults = ["cut"]
    assert fetch(weights).read_bytes() == hub_bytes
    assert len(both.requests) == 2


def test_what_the_hub_did_not_announce_is_removed(weights: PublishedWeights, both: Server) -> None:
    both.headers["X-Linked-Etag"] = f'"{"0" * 64}"'
    with pytest.raises(FetchError, match=rf"its SHA-256 is [0-9a-f]{{64}}, expected {'0' * 64}"):
        fetch(weights)
    assert find_in_hub_cache(weights) is None
    assert not [path for path in hub_cache_dir().rglob("blobs/*") if path.is_file()]


def test_what_is_not_the_wanted_model_is_removed(weights: PublishedWeights) -> None:
    def refuse(path: Path) -> None:
        raise CheckpointError(f"{path.name}: another model")

    with pytest.raises(CheckpointError, match="another model"):
        fetch_from_hub(weights, refuse)
    assert find_in_hub_cache(weights) is None


def test_a_plain_mirror_is_told_apart(weights: PublishedWeights, both: Server) -> None:
    both.commit = None
    with pytest.raises(FetchError, match="a plain mirror of Meta's files is named with SAM2_ADAPTER_WEIGHTS_URL"):
        fetch(weights)


@pytest.mark.parametrize(("change", "text"), [("missing", "404"), ("no server", "")])
def test_what_goes_wrong_is_one_line(
    weights: PublishedWeights, both: Server, monkeypatch: pytest.MonkeyPatch, change: str, text: str
) -> None:
    if change == "missing":
        both.files.clear()
    else:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchError) as caught:
        fetch(weights)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value)


def test_progress_is_told_and_never_shown(
    weights: PublishedWeights, hub_bytes: bytes, told: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    fetch(weights)
    assert told[0] == ("acme/custom-model/model.safetensors", 0, len(hub_bytes))
    assert sum(told[1:-1]) == len(hub_bytes)
    assert told[-1] == "end"
    assert capfd.readouterr() == ("", "")


def test_a_file_that_another_program_has_fetched_is_found(
    tmp_path: Path, weights: PublishedWeights, published: Architecture, both: Server
) -> None:
    other = put_there(hub_cache_dir(), "a" * 40)
    assert find_or_fetch_weights(published, cache_dir=tmp_path, offline=True) == other
    newest = put_there(hub_cache_dir(), "b" * 40)
    refs = hub_cache_dir() / "models--acme--custom-model" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    assert find_in_hub_cache(weights) == other
    (refs / "main").write_text("b" * 40)
    assert find_in_hub_cache(weights) == newest
    assert not both.requests


def test_where_the_hub_and_its_files_are() -> None:
    assert hub_url({}) == hub_url({"HF_ENDPOINT": ""}) == "https://huggingface.co"
    assert hub_url({"HF_ENDPOINT": "http://m/"}) == "http://m"
    assert hub_cache_dir({"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}) == Path("/c")
    assert hub_cache_dir({"HF_HOME": "/h", "XDG_CACHE_HOME": "/x"}) == Path("/h/hub")
    assert hub_cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/huggingface/hub")
    assert hub_cache_dir({}) == Path.home() / ".cache" / "huggingface" / "hub"
