"""The torch engine: what precisions do to the numbers, and that equal input gives equal bits."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from tests.small_model import IMAGE_SIZE, small_model

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="these expectations are those of a machine without a GPU"
)


def test_the_model_is_frozen_and_in_evaluation_mode():
    loaded = TorchRuntime(small_model().train(), "cpu", "fp32")
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_bf16_is_close_to_fp32_and_not_equal():
    pixel_values = torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(5))
    boxes = torch.tensor([[10.0, 10.0, 90.0, 100.0]])
    outputs = {}
    for precision in ("fp32", "bf16"):
        engine = TorchRuntime(small_model(), "cpu", precision)
        decoded = engine.decode(engine.encode(pixel_values), PromptTensors(box_xyxy=boxes))
        assert decoded.low_res_logits.dtype == torch.float32
        outputs[precision] = decoded.low_res_logits
    difference = (outputs["fp32"] - outputs["bf16"]).abs().mean() / outputs["fp32"].abs().mean()
    assert 0 < difference < 0.03


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_equal_input_gives_equal_bits(precision):
    """Twenty times, wherever the input lies in memory and whatever lies around it."""
    engine, rng = TorchRuntime(small_model(), "cpu", precision), np.random.default_rng(0)
    pixel_values = torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(5))
    prompts = PromptTensors(
        torch.tensor([[[20.0, 30.0], [50.0, 60.0]], [[100.5, 3.25], [7.0, 9.0]], [[64.0, 64.0], [1.0, 127.0]]]),
        torch.tensor([[1, 0], [1, 1], [1, 0]]),
        mask_input=torch.randn(3, IMAGE_SIZE // 4, IMAGE_SIZE // 4, generator=torch.Generator().manual_seed(6)),
    )
    seen = set()
    for offset in range(20):
        others = [torch.full((int(rng.integers(1, 9000)),), torch.nan) for _ in range(20)]
        move = partial(_moved, offset=offset)
        encoded = engine.encode(move(pixel_values))
        decoded = engine.decode(encoded.map(move), prompts.map(move))
        outputs = (encoded.image_embedding, *encoded.high_res_features, *decoded)
        seen.add(b"".join(output.float().numpy().tobytes() for output in outputs))
        del others
    assert len(seen) == 1


def _moved(tensor: torch.Tensor, offset: int) -> torch.Tensor:
    """A copy that starts `offset` values behind where memory of its own would."""
    memory = torch.empty(tensor.numel() + offset, dtype=tensor.dtype)
    return memory[offset:].view(tensor.shape).copy_(tensor)
