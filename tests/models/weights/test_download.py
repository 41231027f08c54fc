"""Downloads from a local server that fails in every way that servers fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.errors import ConfigError, WeightsNotFoundError
from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.weights import download
from sam2_adapter.models.weights.checkpoint import load_checkpoint
from sam2_adapter.models.weights.download import (
    default_cache_dir,
    find_or_fetch_weights,
    find_weights,
    is_offline,
    weights_sources,
)
from sam2_adapter.models.weights.hub import hub_cache_dir
from tests.models.weights.weights_server import Server

pytestmark = pytest.mark.usefixtures("environment")


class TestSources:
    def test_hub_is_asked_when_meta_fails(self, tmp_path: Path, both: Server, published: Architecture) -> None:
        del both.files["/models/custom.pt"]
        path = find_or_fetch_weights(published, cache_dir=tmp_path)
        assert path == hub_cache_dir() / "models--acme--custom-model" / "snapshots" / both.commit / "model.safetensors"
        assert find_or_fetch_weights(published, cache_dir=tmp_path, offline=True) == path
        assert load_checkpoint(path, published).video_tensors

    def test_file_of_the_hub_must_be_the_wanted_model(
        self, tmp_path: Path, both: Server, published: Architecture, hub_bytes: bytes
    ) -> None:
        del both.files["/models/custom.pt"]
        both.files["/acme/custom-model/resolve/main/model.safetensors"] = b"garbage" * 1000
        with pytest.raises(WeightsNotFoundError, match="is damaged, cut short or not a safetensors file"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert not list(hub_cache_dir().rglob("*.safetensors"))
        assert find_weights(published, tmp_path) is None

    def test_hash_that_the_hub_announces(self, tmp_path: Path, both: Server, published: Architecture) -> None:
        del both.files["/models/custom.pt"]
        both.headers["X-Linked-Etag"] = f'"{"0" * 64}"'
        with pytest.raises(WeightsNotFoundError, match=f"expected {'0' * 64}"):
            find_or_fetch_weights(published, cache_dir=tmp_path)

    def test_addresses_of_an_official_model(self, tmp_path: Path) -> None:
        meta, hub = weights_sources(get_architecture("sam2.1_hiera_b+"), tmp_path, {})
        assert meta.url == "https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_base_plus.pt"
        assert meta.path == tmp_path / "sam2.1_hiera_base_plus.pt"
        assert hub.url == "https://huggingface.co/facebook/sam2.1-hiera-base-plus/resolve/main/model.safetensors"
        assert hub.path == tmp_path / "sam2.1-hiera-base-plus" / "model.safetensors"
        (mirror,) = weights_sources(
            get_architecture("sam2_hiera_t"), tmp_path, {"SAM2_ADAPTER_WEIGHTS_URL": "http://m/x"}
        )
        assert mirror.url == "http://m/x/sam2_hiera_tiny.pt"

    def test_model_without_published_weights(self) -> None:
        with pytest.raises(ConfigError, match="The weights of sam2_nano are not published"):
            weights_sources(get_architecture("sam2_nano"))


class TestWithoutNetwork:
    def test_one_message_says_what_to_put_where(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "META_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(WeightsNotFoundError) as caught:
            find_or_fetch_weights(get_architecture("sam2_hiera_s"), cache_dir=tmp_path)
        text = str(caught.value)
        assert text.startswith("The weights of sam2_hiera_s are not on this machine and could not be fetched (")
        assert "http://127.0.0.1:9/segment_anything_2/072824/sam2_hiera_small.pt" in text
        assert str(tmp_path / "sam2_hiera_small.pt") in text
        assert "http://127.0.0.1:9/facebook/sam2-hiera-small/resolve/main/model.safetensors" in text
        assert str(tmp_path / "sam2-hiera-small" / "model.safetensors") in text
        assert text.endswith("--model sam2_nano.")

    @pytest.mark.parametrize("variable", ["SAM2_ADAPTER_OFFLINE", "HF_HUB_OFFLINE"])
    def test_offline_variables(
        self, tmp_path: Path, mirror: Server, published: Architecture, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "1")
        with pytest.raises(WeightsNotFoundError, match="the network is switched off"):
            find_or_fetch_weights(published, cache_dir=tmp_path)
        assert not mirror.requests
        find_or_fetch_weights(published, cache_dir=tmp_path, offline=False)
        assert is_offline({variable: "True"})
        assert not is_offline({variable: "0"})

    @pytest.mark.parametrize("name", ["custom.pt", "custom-model/model.safetensors"])
    def test_file_put_there_by_hand(self, tmp_path: Path, published: Architecture, name: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"looked at when it is loaded")
        assert find_weights(published, tmp_path) == path
        assert find_or_fetch_weights(published, cache_dir=tmp_path, offline=True) == path

    def test_cache_directory(self) -> None:
        assert default_cache_dir({"SAM2_ADAPTER_CACHE": "/w", "XDG_CACHE_HOME": "/x"}) == Path("/w")
        assert default_cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/sam2-adapter")
        assert default_cache_dir({}) == Path.home() / ".cache" / "sam2-adapter"
