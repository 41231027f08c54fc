"""The encoder and decoder that OpenVINO executes, beside torch on the same input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sam2_adapter.models.engines.base import cpu_has_bf16
from sam2_adapter.models.engines.openvino.check import relative_error
from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.engine import OpenVinoRuntime
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from tests.models.engines.openvino.inputs import pixel_values
from tests.small_model import IMAGE_SIZE, loaded, small_model

# OpenVINO compiles a model in nearly every test.
pytestmark = pytest.mark.slow

NUM_PROMPTS = 5


@pytest.fixture(scope="module")
def in_torch() -> TorchRuntime:
    return TorchRuntime(small_model(), "cpu", "fp32")


@pytest.fixture(scope="module")
def in_openvino(tmp_path_factory) -> OpenVinoRuntime:
    return OpenVinoRuntime(loaded(small_model()), CompiledCache(tmp_path_factory.mktemp("compiled")), "fp32")


@pytest.fixture(scope="module")
def image(in_torch):
    return in_torch.encode(pixel_values(1))


def prompt_parts(*, points=0, box=False, mask=False):
    """Point coordinates and labels, boxes and mask inputs of `NUM_PROMPTS` prompts; `None` for what is not asked for."""
    draw = torch.Generator().manual_seed(11)
    coords = torch.rand(NUM_PROMPTS, points, 2, generator=draw) * IMAGE_SIZE
    labels = torch.randint(0, 2, (NUM_PROMPTS, points), generator=draw)
    low = torch.rand(NUM_PROMPTS, 2, generator=draw) * IMAGE_SIZE / 2
    size = IMAGE_SIZE // 4
    return (
        coords if points else None,
        labels if points else None,
        torch.cat([low, low + IMAGE_SIZE / 3], dim=1) if box else None,
        torch.randn(NUM_PROMPTS, size, size, generator=draw) * 5 if mask else None,
    )


KINDS = [
    {"points": 1},
    {"points": 4},
    {"box": True},
    {"box": True, "points": 2},
    {"mask": True},
    {"mask": True, "box": True, "points": 1},
]


def test_the_encoder_gives_torchs_embeddings(in_torch, in_openvino):
    expected, (expected_fine, expected_middle) = in_torch.encode(pixel_values(2))
    embedding, (fine, middle) = in_openvino.encode(pixel_values(2))
    torch.testing.assert_close(embedding, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fine, expected_fine, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(middle, expected_middle, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_decoder_gives_torchs_masks_and_scores(in_torch, in_openvino, image, kind):
    parts = prompt_parts(**kind)
    expected, found = in_torch.decode(image, PromptTensors(*parts)), in_openvino.decode(image, PromptTensors(*parts))
    assert found.low_res_logits.std() > 0.1
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


@pytest.mark.parametrize("at_once", [1, 2, 5, 8])
@pytest.mark.parametrize("mask", [False, True], ids=["no mask", "mask"])
def test_any_number_of_prompts_is_decoded_at_once(monkeypatch, in_torch, in_openvino, image, mask, at_once):
    monkeypatch.setattr(in_openvino._decoder, "_at_once", at_once)
    parts = prompt_parts(box=True, mask=mask)
    for one, other in zip(
        in_openvino.decode(image, PromptTensors(*parts)), in_torch.decode(image, PromptTensors(*parts)), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_prompts_do_not_see_each_other(in_openvino, image):
    parts = prompt_parts(box=True, mask=True)
    together = in_openvino.decode(image, PromptTensors(*parts))
    for index in range(NUM_PROMPTS):
        alone = in_openvino.decode(image, PromptTensors(*parts)[index : index + 1])
        torch.testing.assert_close(alone.low_res_logits[0], together.low_res_logits[index], atol=1e-4, rtol=1e-4)


def test_many_threads_get_their_own_results(in_openvino, image):
    parts = [prompt_parts(**kind) for kind in KINDS] * 3
    expected = [in_openvino.decode(image, PromptTensors(*part)) for part in parts]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda part: in_openvino.decode(image, PromptTensors(*part)), parts))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.low_res_logits, other.low_res_logits, atol=1e-5, rtol=1e-5)


def test_results_outlive_the_next_call(in_openvino):
    first = in_openvino.encode(pixel_values(1)).image_embedding
    kept = first.clone()
    in_openvino.encode(-pixel_values(1))
    assert torch.equal(first, kept)


@pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bf16 arithmetic")
def test_bf16_is_as_close_to_fp32_as_torchs_own(in_torch, tmp_path):
    model = small_model()
    in_bf16 = OpenVinoRuntime(loaded(model), CompiledCache(tmp_path), "auto")
    assert in_bf16.precision == "bf16"
    expected = in_torch.encode(pixel_values(1)).image_embedding
    error = relative_error(in_bf16.encode(pixel_values(1)).image_embedding, expected)
    torchs = relative_error(TorchRuntime(model, "cpu", "bf16").encode(pixel_values(1)).image_embedding, expected)
    assert 0 < error < 1.3 * torchs
