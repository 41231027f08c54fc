"""The graph of the image encoder: the same embeddings as torch for sizes that windows do not fit, and in parts."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.models.engines.openvino import encoder as openvino_encoder
from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.encoder import encoder_graph
from sam2_adapter.models.engines.torch import TorchRuntime
from tests.models.engines.openvino.inputs import pixel_values
from tests.small_model import small_model

# OpenVINO compiles each graph.
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("size", [96, 160, 224])
def test_windows_that_do_not_fit_the_image_are_padded_as_torch_pads_them(size):
    # Of 160, the last stage has 5 x 5 tokens in windows of 2 x 2; of 96 and 224 the third has 6 and 14 in windows of 4 x 4, too.
    model = small_model(image_size=size)
    expected = TorchRuntime(model, "cpu", "fp32").encode(pixel_values(1, size))
    embedding, fine, middle = CompiledGraph.of(encoder_graph(model), "fp32")(pixel_values(1, size))
    torch.testing.assert_close(embedding, expected.image_embedding, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close((fine, middle), expected.high_res_features, atol=1e-4, rtol=1e-4)


def test_parts_of_the_tokens_give_what_all_of_them_give(monkeypatch):
    monkeypatch.setattr(openvino_encoder, "_CACHED_BYTES", 3000)
    in_parts = encoder_graph(small_model())
    assert sum(node.get_type_name() == "VariadicSplit" for node in in_parts.get_ops()) == 2
    expected = TorchRuntime(small_model(), "cpu", "fp32").encode(pixel_values(1)).image_embedding
    torch.testing.assert_close(CompiledGraph.of(in_parts, "fp32")(pixel_values(1))[0], expected, atol=1e-4, rtol=1e-4)
