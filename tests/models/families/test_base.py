"""The seam between families and everything else: a made-up family is one file and one registration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sam2_adapter.errors import CheckpointError, ConfigError
from sam2_adapter.models.engines.choose import choose_runtime
from sam2_adapter.models.families import architectures
from sam2_adapter.models.families.architectures import architecture_from_dict, get_architecture
from sam2_adapter.models.families.shared import POSITIONS, POSITIONS_COPY
from sam2_adapter.models.load import load_model
from sam2_adapter.models.weights.checkpoint import load_checkpoint, save_checkpoint
from sam2_adapter.models.weights.checks import expected_shapes
from sam2_adapter.models.weights.convert import convert_checkpoint
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.training.trainer import train
from tests.models.families.made_up import TINY, MadeUpFamily
from tests.training.small_run import make_samples, small_config_of_run


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(architectures._FAMILIES, "made_up", MadeUpFamily())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A seeded state in Meta's layout, as this package writes it."""
    generator = torch.Generator().manual_seed(0)
    shapes = expected_shapes(TINY, "transformers", with_video=False)
    tensors = {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}
    tensors[POSITIONS_COPY] = tensors[POSITIONS]
    save_checkpoint(tmp_path / "made_up.torch", tensors, TINY)
    return tmp_path / "made_up.torch"


def test_its_names_are_known() -> None:
    assert get_architecture("made_up_tiny") is TINY
    assert architecture_from_dict(TINY.to_dict()) == TINY
    with pytest.raises(ConfigError, match="Did you mean 'made_up_tiny'"):
        get_architecture("made_up_tini")


def test_it_loads_and_predicts(saved: Path) -> None:
    loaded = load_model(saved)
    assert loaded.architecture == TINY
    predictor = make_predictor(loaded, device="cpu", precision="fp32")
    assert (predictor.info.name, predictor.info.runtime) == ("made_up_tiny", "torch")
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    found = predictor.predict(predictor.embed([image])[0], [{"box": [5, 5, 40, 30]}, {"points": [[20, 20]]}])
    assert found.masks.shape == (2, 1, 40, 60)
    assert np.isfinite(found.low_res_logits).all()
    assert found.low_res_logits.std() > 0


def test_its_weights_are_recognised_by_their_shapes(saved: Path, tmp_path: Path) -> None:
    content = torch.load(saved, weights_only=True)["model"]
    torch.save(content, tmp_path / "bare.pt")
    assert load_checkpoint(tmp_path / "bare.pt").architecture == TINY
    del content["image_encoder.fine.bias"]
    torch.save(content, tmp_path / "bare.pt")
    with pytest.raises(CheckpointError, match=r"1 tensor missing \(image_encoder\.fine\.bias\)"):
        load_checkpoint(tmp_path / "bare.pt")


def test_it_converts_there_and_back(saved: Path, tmp_path: Path) -> None:
    there = convert_checkpoint(saved, tmp_path / "hub", to="transformers")
    back = convert_checkpoint(there, tmp_path / "back.pt")
    original, again = (torch.load(path, weights_only=True)["model"] for path in (saved, back))
    assert original.keys() == again.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in original.items())


@pytest.mark.slow
def test_it_is_fine_tuned_and_its_encoder_stays(saved: Path, tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "images", 2)
    settings = small_config_of_run(num_epochs=2, save_model_name="best.torch")
    result = train(load_model(saved), samples, samples, tmp_path / "run", settings)
    assert result.epochs == 2
    before, after = load_checkpoint(saved), load_checkpoint(result.model_path)
    assert after.architecture == TINY
    encoder = [name for name in before.state if name.startswith("vision_encoder.")]
    assert all(torch.equal(before.state[name], after.state[name]) for name in encoder)


def test_only_torch_runs_it(saved: Path) -> None:
    loaded = load_model(saved)
    choice = choose_runtime(loaded, "cpu", "auto", "fp32", expected_images=10**6)
    assert (choice.name, choice.reason) == ("torch", "only torch runs made_up_tiny")
    with pytest.raises(ConfigError, match="runtime = 'openvino' does not run made_up_tiny; use runtime=torch"):
        choose_runtime(loaded, "cpu", "openvino")
