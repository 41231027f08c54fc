"""Layers as OpenVINO operations, beside the torch layers whose weights they take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from openvino import opset15
from torch import nn

from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.ops import (
    affine,
    gather,
    gelu,
    is_exact,
    layer_norm,
    linear,
    model_of,
    permute,
    reshape,
    split,
)

# OpenVINO compiles each of them.
pytestmark = pytest.mark.slow

TOKENS = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


def computed(build) -> torch.Tensor:
    """What a graph of one layer gives for TOKENS."""
    x = opset15.parameter([6, 8], np.float32, name="x")
    model = model_of([build(x)], [x], ("y",), "layer")
    (found,) = CompiledGraph.of(model, "fp32")(TOKENS)
    return found


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(8, 5)


def test_linear_layers(layer):
    torch.testing.assert_close(computed(lambda x: linear(x, layer)), layer(TOKENS), atol=1e-5, rtol=1e-5)
    without_bias = computed(lambda x: affine(x, layer.weight, None))
    torch.testing.assert_close(without_bias, TOKENS @ layer.weight.T, atol=1e-5, rtol=1e-5)


def test_norms_and_activations():
    norm = nn.LayerNorm(8)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.uniform_(-1, 1)
    torch.testing.assert_close(computed(lambda x: layer_norm(x, norm)), norm(TOKENS), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(computed(gelu), nn.functional.gelu(TOKENS), atol=1e-5, rtol=1e-5)


def test_shapes_and_positions():
    torch.testing.assert_close(
        computed(lambda x: permute(reshape(x, 0, 2, -1), 1, 0, 2)), TOKENS.view(6, 2, 4).permute(1, 0, 2)
    )
    torch.testing.assert_close(computed(lambda x: gather(x, np.array([5, 0, 0]))), TOKENS[[5, 0, 0]])
    torch.testing.assert_close(computed(lambda x: split(x, [2, 4])[1]), TOKENS[2:])


def test_exact_products_are_marked(layer):
    x = opset15.parameter([6, 8], np.float32)
    exact, other = (affine(x, layer.weight, None, exact=exact) for exact in (True, False))
    assert is_exact(exact)
    assert not is_exact(other)
