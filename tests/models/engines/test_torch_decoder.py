"""Images encoded by one engine and decoded by torch, as fine-tuning measures a model."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.engine import OpenVinoRuntime
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.engines.torch_decoder import with_torch_decoder
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from tests.small_model import IMAGE_SIZE, loaded, small_model


def test_torch_decodes_what_it_has_encoded():
    runtime = TorchRuntime(small_model(), "cpu", "fp32")
    assert with_torch_decoder(runtime, loaded(small_model()), "cpu", "fp32") is runtime


@pytest.mark.slow  # OpenVINO compiles
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_openvino_encodes_and_torch_decodes_to_the_same_bits(tmp_path, precision):
    model = loaded(small_model())
    encoder = OpenVinoRuntime(model, CompiledCache(tmp_path), "fp32", with_decoder=False)
    mixed = with_torch_decoder(encoder, model, "cpu", precision)
    pixels = torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(3))
    images = mixed.encode(pixels)
    assert torch.equal(images.image_embedding, encoder.encode(pixels).image_embedding)
    prompts = PromptTensors(None, None, torch.tensor([[10.0, 20.0, 90.0, 70.0]]), None)
    expected = TorchRuntime(small_model(), "cpu", "fp32").decode(images, prompts)
    assert all(map(torch.equal, mixed.decode(images, prompts), expected))
    assert (mixed.name, mixed.precision, mixed.device) == ("openvino", "fp32", "cpu")
