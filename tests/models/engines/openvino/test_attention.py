"""Attention inside windows of tokens, beside torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from openvino import opset15

from sam2_adapter.models.engines.openvino.attention import attention
from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.ops import model_of
from sam2_adapter.models.engines.openvino.tokens import Tokens, windows
from tests.small_model import small_model

# OpenVINO compiles each graph.
pytestmark = pytest.mark.slow


# The first block of the small model shares its keys among no heads; later ones have several heads and pool their queries.
@pytest.mark.parametrize("index", [0, 2, 4])
def test_whole_windows_attend_as_in_torch(index):
    block = small_model().vision_encoder.backbone.blocks[index]
    module, channels = block.attn, block.attn.dim
    stride = 1 if module.query_stride is None else module.query_stride[0]
    side = window = 4
    values = torch.randn(side * side, channels, generator=torch.Generator().manual_seed(index))
    order = windows(side, window, stride)
    x = opset15.parameter([side * side, channels], np.float32, name="x")
    graph = model_of([attention(module, Tokens(x, order), window * window, stride)], [x], ("y",), "attention")
    (found,) = CompiledGraph.of(graph, "fp32")(values[torch.from_numpy(order.indices)])
    with torch.no_grad():
        expected = module(values.view(1, side, side, channels)).flatten(0, 2)
    torch.testing.assert_close(
        found,
        expected[torch.from_numpy(order.pooled(stride).indices if stride > 1 else order.indices)],
        atol=1e-4,
        rtol=1e-4,
    )
