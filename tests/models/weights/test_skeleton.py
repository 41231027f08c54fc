"""Models that are built for weights at hand: the same modules, without the first values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn
from transformers import Sam2Model

from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.sam2_config import sam2_config
from sam2_adapter.models.weights.skeleton import NoFirstValues


def shapes(model: nn.Module) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}


def test_a_model_has_the_same_tensors() -> None:
    config = sam2_config(get_architecture("sam2_nano"))
    with torch.device("meta"):
        expected = Sam2Model(config)
        with NoFirstValues():
            found = Sam2Model(config)
    assert shapes(found) == shapes(expected)
    assert str(found) == str(expected)


def test_no_random_number_is_drawn() -> None:
    before = torch.random.get_rng_state()
    with NoFirstValues():
        layer = nn.Sequential(nn.Linear(3, 4), nn.Conv2d(3, 4, 2), nn.ConvTranspose2d(3, 4, 2), nn.Embedding(3, 4))
        weight = nn.init.uniform_(tensor=layer[0].weight)
    assert weight is layer[0].weight
    assert torch.equal(torch.random.get_rng_state(), before)
    # What is made afterwards is as ever.
    nn.Linear(3, 4)
    assert not torch.equal(torch.random.get_rng_state(), before)


def test_other_threads_make_models_as_ever() -> None:
    """A model that somebody else builds meanwhile has its first values."""
    torch.manual_seed(0)
    expected = nn.Linear(3, 4).weight
    torch.manual_seed(0)
    with NoFirstValues(), ThreadPoolExecutor(1) as pool:
        found = pool.submit(nn.Linear, 3, 4).result().weight
    assert torch.equal(found, expected)
