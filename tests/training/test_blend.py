"""Blending: exact at both ends, only where the image encoder is one, and never over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.errors import CheckpointError, ConfigError, OutputExistsError
from sam2_adapter.models.load import load_model
from sam2_adapter.models.weights.checkpoint import load_checkpoint, save_checkpoint
from sam2_adapter.training.blend import blend_checkpoints, blended
from sam2_adapter.training.forward import trained_names
from sam2_adapter.training.saving import check_proof
from tests.models.seeded_checkpoint import SMALL_2_1, image_model_of, seeded_tensors, video_tensors_of

# Most tests write whole models.
pytestmark = pytest.mark.slow

BASE = "sam2_nano"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with other values in what fine-tuning trains."""
    path = tmp_path_factory.mktemp("tuned") / "tuned.torch"
    base = load_model(BASE)
    generator = torch.Generator().manual_seed(1)
    trained = set(trained_names(base.model))
    state = {
        name: value + 0.01 * torch.randn(value.shape, generator=generator) if name in trained else value
        for name, value in base.model.state_dict().items()
    }
    save_checkpoint(path, state, base.architecture, metadata={"name": "cells", "resize": "pad"})
    return path


@given(st.floats(0, 1), st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=5))
def test_values_lie_between_the_two_and_are_exact_at_the_ends(share: float, values: list[float]) -> None:
    untouched, tuned_values = torch.tensor(values), torch.tensor(values).flip(0) * 0.5 + 1
    found = blended({"w": untouched}, {"w": tuned_values}, share)["w"]
    low, high = torch.minimum(untouched, tuned_values), torch.maximum(untouched, tuned_values)
    assert ((found >= low - 1e-4) & (found <= high + 1e-4)).all()
    assert torch.equal(blended({"w": untouched}, {"w": tuned_values}, 0.0)["w"], untouched)
    assert torch.equal(blended({"w": untouched}, {"w": tuned_values}, 1.0)["w"], tuned_values)


def test_the_file_holds_the_share_of_what_was_trained_and_proves_its_answers(tuned: Path, tmp_path: Path) -> None:
    path = blend_checkpoints(BASE, tuned, 0.25, tmp_path / "quarter.pt")
    base, own, found = load_model(BASE), load_model(tuned), load_model(path)
    trained = set(trained_names(base.model))
    for name, value in found.state.items():
        wanted = 0.75 * base.state[name].float() + 0.25 * own.state[name].float()
        assert torch.allclose(value, wanted if name in trained else base.state[name].float(), atol=1e-6), name
    assert (found.name, found.base, found.resize) == ("cells (blend 0.25)", BASE, "pad")
    assert found.metadata["blend"] == {"share": 0.25, "tuned_sha256": own.weights_sha256}
    assert check_proof(found) == 0


def test_the_ends_are_the_two_models(tuned: Path, tmp_path: Path) -> None:
    for share, of in ((0, BASE), (1, tuned)):
        found = load_model(blend_checkpoints(BASE, tuned, share, tmp_path / f"{share}.torch"))
        assert found.weights_sha256 == load_model(of).weights_sha256


def test_video_tensors_of_either_are_kept(tmp_path: Path) -> None:
    tensors = seeded_tensors(SMALL_2_1)
    save_checkpoint(tmp_path / "a.pt", image_model_of(tensors), SMALL_2_1, video_tensors=video_tensors_of(tensors))
    path = blend_checkpoints(tmp_path / "a.pt", tmp_path / "a.pt", 0.5, tmp_path / "b.pt")
    assert load_checkpoint(path).video_tensors.keys() == video_tensors_of(tensors).keys()


@pytest.mark.parametrize("name", ["vision_encoder.backbone.patch_embed.projection.weight", "mask_decoder.conv_s0.bias"])
def test_another_image_encoder_is_refused(tuned: Path, tmp_path: Path, name: str) -> None:
    own = load_model(tuned)
    state = dict(own.model.state_dict())
    state[name] = state[name] + 1
    save_checkpoint(tmp_path / "other.pt", state, own.architecture)
    with pytest.raises(CheckpointError, match=rf"different image encoders \(1 of \d+ tensors, such as {name}\)"):
        blend_checkpoints(BASE, tmp_path / "other.pt", 0.5, tmp_path / "x.pt")
    assert not (tmp_path / "x.pt").exists()


def test_another_architecture_is_refused(tuned: Path, tmp_path: Path) -> None:
    tensors = seeded_tensors(SMALL_2_1)
    save_checkpoint(tmp_path / "a.pt", image_model_of(tensors), SMALL_2_1, video_tensors=video_tensors_of(tensors))
    with pytest.raises(CheckpointError, match=r"tuned.torch is sam2_nano, but .*a.pt is custom"):
        blend_checkpoints(tmp_path / "a.pt", tuned, 0.5, tmp_path / "x.pt")


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), "0.5", True, None])
def test_a_share_outside_of_0_to_1_is_refused(tuned: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(ConfigError, match="a number from 0 to 1, but got"):
        blend_checkpoints(BASE, tuned, share, tmp_path / "x.pt")


def test_nothing_is_overwritten_unasked_and_no_input_ever(tuned: Path, tmp_path: Path) -> None:
    path, before = tmp_path / "there.pt", tuned.read_bytes()
    path.write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="exists already"):
        blend_checkpoints(BASE, tuned, 0.5, path)
    assert path.read_bytes() == b"mine"
    with pytest.raises(OutputExistsError, match="one of the two models"):
        blend_checkpoints(BASE, tuned, 0.5, tuned, overwrite=True)
    assert tuned.read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="no weights file by its name"):
        blend_checkpoints(BASE, tuned, 0.5, tmp_path / "notes.txt", overwrite=True)
    blend_checkpoints(BASE, tuned, 0.5, path, overwrite=True)
    assert load_model(path).name == "cells (blend 0.5)"


def test_safetensors_as_a_name_and_a_missing_model_are_refused(tuned: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Name it x\.pt"):
        blend_checkpoints(BASE, tuned, 0.5, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=r"nowhere\.pt"):
        blend_checkpoints(BASE, tmp_path / "nowhere.pt", 0.5, tmp_path / "x.pt")
