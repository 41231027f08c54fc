"""The encoder and decoder that OpenVINO executes, beside torch on the same input."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.base import cpu_has_bf16
from sam2_adapter.models.engines.openvino import encoder as openvino_encoder
from sam2_adapter.models.engines.openvino.check import check_decoder, check_encoder, check_image_side, relative_error
from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.decoder import decoder_graph, image_side_graph
from sam2_adapter.models.engines.openvino.encoder import encoder_graph
from sam2_adapter.models.engines.openvino.engine import OpenVinoRuntime
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.network.prompt_tensors import PromptTensors
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


def pixel_values(count, image_size=IMAGE_SIZE):
    return torch.randn(count, 3, image_size, image_size, generator=torch.Generator().manual_seed(7))


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


@pytest.mark.parametrize("size", [96, 160, 224])
def test_windows_that_do_not_fit_the_image_are_padded_as_torch_pads_them(size):
    # Of 160, the last stage has 5 x 5 tokens in windows of 2 x 2; of 96 and 224 the third has 6 and 14 in windows of 4 x 4, too.
    model = small_model(image_size=size)
    expected = TorchRuntime(model, "cpu", "fp32").encode(pixel_values(1, size))
    embedding, fine, middle = CompiledGraph.of(encoder_graph(model), "fp32")(pixel_values(1, size))
    torch.testing.assert_close(embedding, expected.image_embedding, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close((fine, middle), expected.high_res_features, atol=1e-4, rtol=1e-4)


def test_parts_of_the_tokens_give_what_all_of_them_give(monkeypatch, in_openvino):
    monkeypatch.setattr(openvino_encoder, "_CACHED_BYTES", 3000)
    in_parts = encoder_graph(small_model())
    assert sum(node.get_type_name() == "VariadicSplit" for node in in_parts.get_ops()) == 2
    expected = in_openvino.encode(pixel_values(1)).image_embedding
    torch.testing.assert_close(CompiledGraph.of(in_parts, "fp32")(pixel_values(1))[0], expected, atol=1e-4, rtol=1e-4)


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


def test_a_graph_that_computes_something_else_is_refused():
    right, wrong = small_model(0), small_model(1)
    encoder, image_side, decoder = (
        CompiledGraph.of(graph(wrong), "fp32") for graph in (encoder_graph, image_side_graph, decoder_graph)
    )
    with pytest.raises(
        ConfigError, match=r"OpenVINO computes the image encoder in fp32 with errors of .*runtime=torch"
    ):
        check_encoder(right, encoder, "fp32")
    with pytest.raises(ConfigError, match="OpenVINO computes the image side of the decoder in fp32 with errors of"):
        check_image_side(right, image_side, "fp32")
    with pytest.raises(ConfigError, match="OpenVINO computes the mask decoder in fp32 with errors of"):
        check_decoder(right, decoder, "fp32")
    check_encoder(wrong, encoder, "fp32")
    check_image_side(wrong, image_side, "fp32")
    check_decoder(wrong, decoder, "fp32")


def interrupt_after_use() -> None:
    """Compile, execute and drop two graphs, then take a signal; what the process of the next test runs."""
    graphs = [CompiledGraph.of(encoder_graph(small_model(seed)), "fp32") for seed in (0, 1)]
    while graphs:
        graphs.pop(0)(pixel_values(1))
        gc.collect()
    signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"handled"))
    os.kill(os.getpid(), signal.SIGTERM)


def test_signals_are_handled_after_graphs_are_dropped():
    program = "from tests.models.engines.openvino.test_engine import interrupt_after_use as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[4], capture_output=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"handled"), done.stderr.decode()
