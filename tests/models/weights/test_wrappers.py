"""State dicts as training programs save them: under keys, with prefixes, and never two at once in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.families.names import Tensors
from sam2_adapter.models.weights.checkpoint import load_checkpoint
from sam2_adapter.models.weights.wrappers import find_state_dict, without_prefixes
from tests.models.seeded_checkpoint import SMALL_2_1, image_model_of, seeded_tensors, write_meta_file


def prefixed(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()}


def compiled_parts(tensors: Tensors) -> Tensors:
    """As when the encoder and the decoder alone were compiled."""
    parts = ("image_encoder.", "sam_mask_decoder.")
    return {
        name.replace(".", "._orig_mod.", 1) if name.startswith(parts) else name: tensor
        for name, tensor in tensors.items()
    }


WRAPPED = {
    "DataParallel": lambda plain: {"model": prefixed("module.")(plain)},
    "compiled": prefixed("_orig_mod."),
    "parts compiled": compiled_parts,
    "DataParallel, compiled": prefixed("module._orig_mod."),
    "Lightning": lambda plain: {"state_dict": prefixed("model.")(plain), "epoch": 3, "callbacks": {}},
    "Lightning, compiled": lambda plain: {"state_dict": prefixed("model._orig_mod.")(plain), "global_step": 10},
    "another attribute": lambda plain: {"state_dict": prefixed("sam2.net.")(plain)},
    "state_dict": lambda plain: {"state_dict": plain},
    "state_dict below model": lambda plain: {"model": {"state_dict": plain, "name": "x"}},
    "model_state_dict": lambda plain: {"model_state_dict": plain, "optimizer_state_dict": {}, "epoch": 3},
    "ema": lambda plain: {"ema": plain, "epoch": 3},
    "ema of DataParallel": lambda plain: {"ema": {"module": prefixed("module.")(plain)}, "updates": 10},
    "averaged model": lambda plain: {"n_averaged": torch.tensor(7), **prefixed("module.")(plain)},
}


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return seeded_tensors(SMALL_2_1)


@pytest.fixture(scope="module")
def plain(tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    """Under Meta's names."""
    return write_meta_file(tmp_path_factory.mktemp("plain") / "plain.pt", tensors)


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED.keys())
def test_the_same_weights_in_other_wrappings(
    tmp_path: Path, tensors: Tensors, plain: Tensors, wrapped: Callable[[Tensors], dict]
) -> None:
    torch.save(wrapped(plain), tmp_path / "wrapped.pth")
    found = load_checkpoint(tmp_path / "wrapped.pth", SMALL_2_1).state
    expected = image_model_of(tensors)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_safetensors_and_transformers_names_too(tmp_path: Path, tensors: Tensors) -> None:
    save_file({f"module.{name}": tensor.clone() for name, tensor in tensors.items()}, tmp_path / "some.safetensors")
    found = load_checkpoint(tmp_path / "some.safetensors", SMALL_2_1).state
    assert found.keys() == image_model_of(tensors).keys()


def test_what_is_not_the_models_is_still_refused(tmp_path: Path, plain: Tensors) -> None:
    content = {"state_dict": {**prefixed("model.")(plain), "loss.weight": torch.zeros(1)}}
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"does not fit custom: 1 tensor unexpected \(loss\.weight\)"):
        load_checkpoint(tmp_path / "a.ckpt", SMALL_2_1)


def test_two_models_under_two_prefixes_are_refused_by_name(tmp_path: Path, plain: Tensors) -> None:
    content = {**prefixed("teacher.")(plain), **prefixed("student.")(plain)}
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt holds several models, .* begin with 'student\.', 'teacher\.'"):
        load_checkpoint(tmp_path / "a.pt", SMALL_2_1)


def test_two_tensors_of_one_name_are_refused() -> None:
    both = {"image_encoder.x": torch.zeros(1), "module.image_encoder.x": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"file holds two tensors that are both image_encoder\.x"):
        without_prefixes(both, "file")


@pytest.mark.parametrize("content", [{}, {"model": None}, {"model": {"a": 1}}, {"a": {"model": {"x": torch.zeros(1)}}}])
def test_no_state_dict_is_there(content: dict) -> None:
    assert find_state_dict(content) is None


def test_the_model_goes_before_its_average() -> None:
    content = {"ema": {"x": torch.zeros(1)}, "model": {"x": torch.ones(1)}}
    assert find_state_dict(content)["x"] == 1
