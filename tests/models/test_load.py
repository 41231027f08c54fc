"""From names and paths to models."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.errors import CheckpointError, ConfigError, WeightsNotFoundError
from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.names import Tensors
from sam2_adapter.models.load import load_model
from sam2_adapter.models.weights.checkpoint import (
    save_checkpoint,
)
from tests.models.seeded_checkpoint import (
    SMALL_2_1,
    SMALL_IMAGE_ONLY,
    assert_same,
    image_model_of,
    seeded_tensors,
    video_tensors_of,
)


class TestLoadingModels:
    def test_from_a_file(self, tmp_path: Path, tensors: Tensors) -> None:
        video = video_tensors_of(tensors)
        identity = save_checkpoint(
            tmp_path / "a.torch", image_model_of(tensors), SMALL_2_1, video_tensors=video, metadata={"resize": "pad"}
        )
        loaded = load_model(str(tmp_path / "a.torch"))
        assert (loaded.name, loaded.resize, loaded.weights_sha256) == ("custom", "pad", identity)
        assert loaded.architecture == SMALL_2_1
        assert loaded.path == tmp_path / "a.torch"
        assert_same(loaded.video_tensors, video)
        assert_same(dict(loaded.model.state_dict()), image_model_of(tensors))
        assert not loaded.model.training

    def test_model_does_not_change_with_its_file(self, tmp_path: Path) -> None:
        tensors = seeded_tensors(SMALL_IMAGE_ONLY)
        save_checkpoint(tmp_path / "a.torch", tensors, SMALL_IMAGE_ONLY)
        loaded = load_model(tmp_path / "a.torch")
        with (tmp_path / "a.torch").open("r+b") as file:
            file.write(b"\xff" * (tmp_path / "a.torch").stat().st_size)
        assert_same(dict(loaded.model.state_dict()), tensors)

    def test_unknown_resize(self, tmp_path: Path) -> None:
        tensors = seeded_tensors(SMALL_IMAGE_ONLY)
        save_checkpoint(tmp_path / "a.torch", tensors, SMALL_IMAGE_ONLY, metadata={"resize": "crop"})
        with pytest.raises(CheckpointError, match="saved with resize = 'crop'"):
            load_model(tmp_path / "a.torch")

    @pytest.mark.parametrize("source", ["sam3", "sam2_hiera_s.yml"])
    def test_unknown_names(self, source: str) -> None:
        with pytest.raises(ConfigError, match="The choices are"):
            load_model(source)

    @pytest.mark.parametrize("source", ["none.pt", "some/where/none.torch", Path("none")])
    def test_missing_files(self, source: str | Path) -> None:
        with pytest.raises(WeightsNotFoundError, match="There is no weights file"):
            load_model(source)

    def test_a_published_files_name_without_the_file(self) -> None:
        with pytest.raises(
            WeightsNotFoundError, match=r"no weights file sam2_hiera_small\.pt\. .*'sam2_hiera_s' names"
        ):
            load_model("sam2_hiera_small.pt")

    def test_name_wins_over_a_configuration_file_in_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "sam2_hiera_s.yaml").write_text("model: {}")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(WeightsNotFoundError, match="the network is switched off"):
            load_model("sam2_hiera_s.yaml", cache_dir=tmp_path, offline=True)

    def test_bundled_model(self) -> None:
        loaded = load_model("sam2_nano.yaml", offline=True)
        assert (loaded.name, loaded.resize) == ("sam2_nano", "stretch")
        assert loaded.architecture is get_architecture("sam2_nano")
        assert not loaded.video_tensors
