"""Int8 weights: how they are rounded, which products get them, and when they are taken."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset15 as ops

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines import base
from sam2_adapter.models.engines.base import cpu_has_int8
from sam2_adapter.models.engines.choose import choose_runtime, make_runtime
from sam2_adapter.models.engines.openvino import (
    check,
    compiled_parts,
    encoder,
    engine,
    int8,
)
from sam2_adapter.models.engines.openvino.check import check_encoder, relative_error
from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.encoder import encoder_graph
from sam2_adapter.models.engines.openvino.engine import (
    EncoderChoice,
    OpenVinoRuntime,
    choose_encoder,
    resolve_openvino_precision,
)
from sam2_adapter.models.engines.openvino.int8 import (
    Spread,
    picture_pixel_values,
    round_products,
    round_weight,
    sample_pixel_values,
)
from sam2_adapter.models.engines.torch import TorchRuntime
from tests.small_model import IMAGE_SIZE, loaded, small_model

# OpenVINO compiles a model in many tests.
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def narrow_products_too(monkeypatch) -> None:
    """Let products of the small model be large enough."""
    monkeypatch.setattr(int8, "_LEAST_CHANNELS", 32)


def test_channels_that_move_alone_are_rounded_to_the_nearest():
    weight = np.array([[1.27, 0.504, -0.006], [0.0, -2.54, 0.05]], np.float32)
    rounded, scale = round_weight(weight, Spread(np.array([2, 0, 1]), np.eye(3, dtype=np.float32)))
    assert rounded.dtype == np.int8
    np.testing.assert_array_equal(rounded, [[127, 50, -1], [0, -127, 2]])
    np.testing.assert_allclose(scale, [[0.01], [0.02]], rtol=1e-6)


def test_what_one_weight_loses_another_makes_up_for():
    # Two channels that are always equal: 0.4 + 0.4 of a step are lost to the nearest, but not in turn.
    moments = torch.ones(2, 2, dtype=torch.float64) + 1e-3 * torch.eye(2)
    factor = torch.linalg.cholesky(torch.linalg.inv(moments), upper=True).float().numpy()
    weight = np.array([[127.0, 0.4, 0.4]], np.float32)
    whole = np.eye(3, dtype=np.float32)
    whole[1:, 1:] = factor
    rounded, _ = round_weight(weight, Spread(np.arange(3), whole))
    np.testing.assert_array_equal(rounded, [[127, 0, 1]])


def test_products_of_blocks_get_int8_weights_and_those_of_the_neck_stay():
    model = small_model()
    graph = encoder_graph(model)
    round_products(graph, sample_pixel_values(model)[:1])
    rounded = [node for node in graph.get_ops() if node.get_type_name() == "Constant" and node.data.dtype == np.int8]
    # Of tokens in groups of 64 channels: six of each of the last two blocks and one between their stages, three of the block before, whose other
    # products take 32, and one of the first.
    assert len(rounded) == 2 * 6 + 1 + 3 + 1
    assert graph.get_rt_info(["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]).astype(str) == "64"
    neck = {tuple(conv.weight.shape[:2]) for conv in model.vision_encoder.neck.convs}
    whole = {
        node.data.shape
        for node in graph.get_ops()
        if node.get_type_name() == "Constant" and node.data.dtype == np.float32
    }
    assert {(32, 128), (32, 64)} <= neck & whole


def test_int8_weights_change_the_embeddings_by_their_rounding_only():
    model = small_model()
    expected = TorchRuntime(small_model(), "cpu", "fp32").encode(pixel_values())
    graph = encoder_graph(model)
    round_products(graph, sample_pixel_values(model)[:2])
    made = CompiledGraph.of(graph, "int8")
    found = made(pixel_values())
    embedding, fine, middle = (
        relative_error(one, other)
        for one, other in zip(found, (expected.image_embedding, *expected.high_res_features), strict=True)
    )
    # One product before the fine level is rounded.
    assert 1e-4 < fine < 0.01
    assert 1e-4 < middle < 0.01
    assert max(fine, middle) < embedding < 0.03
    again = CompiledGraph.from_bytes(made.to_bytes(), "int8")(pixel_values())
    assert all(torch.equal(one, other) for one, other in zip(again, found, strict=True))


def test_parts_of_the_tokens_share_their_weights(monkeypatch):
    whole = weights_of(rounded_graph())
    monkeypatch.setattr(encoder, "_CACHED_BYTES", 2**10)
    graph = rounded_graph()
    assert sum(node.get_type_name() == "VariadicSplit" for node in graph.get_ops()) == 2
    in_parts = weights_of(graph)
    assert [one.shape for one in in_parts] == [one.shape for one in whole]
    # Their channels move together as those of all tokens do.
    assert all((one == other).mean() > 0.99 for one, other in zip(in_parts, whole, strict=True))
    found, expected = (
        CompiledGraph.of(graph, "int8")(pixel_values()),
        TorchRuntime(small_model(), "cpu", "fp32").encode(pixel_values()),
    )
    assert relative_error(found[0], expected.image_embedding) < 0.03


def test_the_last_feed_forward_network_before_the_middle_level_stays_whole():
    shapes = [weight.shape for weight in weights_of(rounded_graph())]
    # Of the stages with 16, 32, 64 and 128 channels, which have one, one, two and one blocks; 16 are too few.
    networks = {width: [shapes.count((4 * width, width)), shapes.count((width, 4 * width))] for width in (16, 32, 64)}
    assert networks == {16: [0, 1], 32: [0, 0], 64: [2, 2]}


def test_products_of_few_channels_stay_whole(monkeypatch):
    monkeypatch.setattr(int8, "_LEAST_CHANNELS", 128)
    assert {weight.shape[1] for weight in weights_of(rounded_graph())} == {128, 256, 512}
    monkeypatch.setattr(int8, "_LEAST_CHANNELS", 1000)
    assert not weights_of(rounded_graph())


def test_queries_and_keys_of_large_attentions_are_rounded(monkeypatch):
    assert fake_quantizations(rounded_graph()) == 0
    # Those of the first two blocks, which have windows of 8 x 8, and of the fourth, whose window is the whole image.
    monkeypatch.setattr(int8, "_LEAST_KEYS", (IMAGE_SIZE // 16) ** 2)
    graph = rounded_graph()
    assert fake_quantizations(graph) == 2 * 3
    expected = TorchRuntime(small_model(), "cpu", "fp32").encode(pixel_values())
    assert relative_error(CompiledGraph.of(graph, "int8")(pixel_values())[0], expected.image_embedding) < 0.03


def test_scores_of_rounded_queries_and_keys_are_those_of_whole_steps(monkeypatch):
    generator = torch.Generator().manual_seed(3)
    queries, keys, values = (torch.randn(2, 64, 32, generator=generator) for _ in range(3))
    queries[0, 5] = 0
    parameters = [ops.parameter(list(x.shape), np.float32) for x in (queries, keys, values)]
    scores = ops.matmul(parameters[0], parameters[1], False, True)
    attended = ops.matmul(ops.softmax(scores, -1), parameters[2], False, False)
    graph = ov.Model([ops.result(attended)], parameters, "attention")
    (exact,) = CompiledGraph.of(graph, "fp32")(queries, keys, values)
    monkeypatch.setattr(int8, "_LEAST_KEYS", 64)
    int8._round_queries_and_keys(graph)
    (found,) = CompiledGraph.of(graph, "int8")(queries, keys, values)
    expected = ((in_steps(queries) @ in_steps(keys).mT).softmax(-1) @ values.double()).float()
    # A number half way between two steps may go to either.
    assert relative_error(found, expected) < 2e-4
    torch.testing.assert_close(found[0, 5], values[0].mean(0), atol=1e-5, rtol=0)
    assert 1e-3 < relative_error(found, exact) < 0.02


@pytest.mark.parametrize(
    ("bf16", "int8", "least_channels", "expected"),
    [
        (True, True, 0, ("bf16", None)),
        (False, True, 0, ("fp32", "int8")),
        (False, True, 17, ("fp32", None)),
        (False, False, 0, ("fp32", None)),
    ],
)
def test_auto_is_int8_where_it_pays_and_is_compiled(monkeypatch, tmp_path, bf16, int8, least_channels, expected):
    processor(monkeypatch, bf16=bf16, int8=int8)
    monkeypatch.setattr(engine, "_LEAST_CHANNELS_FOR_INT8", least_channels)
    cache, model = CompiledCache(tmp_path), loaded(small_model())
    choice = choose_encoder(model, cache)
    assert (choice.precision, choice.faster) == expected
    assert choice.is_compiled is False
    many = choose_encoder(model, cache, expected_images=100)
    assert many == EncoderChoice(expected[1] or expected[0], False)
    assert choose_encoder(model, cache, "fp32", 100) == EncoderChoice("fp32", False)


def test_auto_takes_what_is_there_and_says_what_would_be_faster(monkeypatch, compiled_models):
    processor(monkeypatch, bf16=False, int8=True)
    monkeypatch.setattr(engine, "_LEAST_CHANNELS_FOR_INT8", 0)
    model = loaded(small_model())
    assert make_runtime(model, "cpu", "openvino", with_decoder=False).precision == "fp32"
    choice = choose_runtime(model, "cpu")
    assert (choice.name, choice.precision) == ("openvino", "fp32")
    assert choice.reason == "compiled for this machine in fp32; int8 would be faster: see sam2-adapter doctor --prepare"
    many = make_runtime(model, "cpu", expected_images=100, with_decoder=False)
    assert (many.name, many.precision) == ("openvino", "int8")
    choice = choose_runtime(model, "cpu")
    assert (choice.name, choice.precision, choice.reason) == ("openvino", "int8", "compiled for this machine in int8")
    assert make_runtime(model, "cpu", with_decoder=False).precision == "int8"
    assert make_runtime(model, "cpu", precision="fp32", with_decoder=False).precision == "fp32"


def test_a_model_that_int8_changes_too_much_is_computed_in_fp32_without_another_try(monkeypatch, compiled_models):
    processor(monkeypatch, bf16=False, int8=True)
    monkeypatch.setattr(engine, "_LEAST_CHANNELS_FOR_INT8", 0)
    allow_no_int8(monkeypatch)
    model = loaded(small_model())
    assert make_runtime(model, "cpu", expected_images=100, with_decoder=False).precision == "fp32"
    assert sorted(kept(compiled_models)) == ["encoder-fp32", "encoder-int8-refused"]
    monkeypatch.setattr(compiled_parts, "_make", None)
    assert make_runtime(model, "cpu", expected_images=100, with_decoder=False).precision == "fp32"
    assert choose_runtime(model, "cpu").reason == "compiled for this machine in fp32"
    with pytest.raises(ConfigError, match="image encoder in int8 with errors of"):
        make_runtime(model, "cpu", precision="int8", with_decoder=False)


def test_int8_is_judged_by_a_picture_that_it_was_not_made_for(monkeypatch):
    seen = []
    model = small_model()
    monkeypatch.setattr(check, "require_agreement", lambda *asked: None)
    check_encoder(model, seen.append, "int8")
    assert len(seen) == 1
    samples = sample_pixel_values(model)
    assert len(samples) == 3
    assert all(relative_error(sample, seen[0]) > 0.1 for sample in samples)
    torch.testing.assert_close(seen[0], picture_pixel_values("astronaut.jpg", IMAGE_SIZE))


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_no_int8_where_nothing_is_known_of_the_model(monkeypatch, bf16, expected):
    processor(monkeypatch, bf16=bf16, int8=True)
    assert resolve_openvino_precision("auto") == expected
    assert resolve_openvino_precision("int8") == "int8"
    assert resolve_openvino_precision("fp32") == "fp32"


def test_int8_without_the_arithmetic_is_refused(monkeypatch):
    processor(monkeypatch, bf16=False, int8=False)
    for precision in ("bf16", "int8"):
        with pytest.raises(
            ConfigError, match=f"'{precision}' with runtime = 'openvino' needs a processor with {precision}"
        ):
            resolve_openvino_precision(precision)


def test_int8_is_openvinos_alone(monkeypatch):
    processor(monkeypatch, bf16=False, int8=True)
    with pytest.raises(ConfigError, match="'int8' is for prediction with runtime = 'openvino'"):
        make_runtime(loaded(small_model()), "cpu", "torch", "int8")
    choice = choose_runtime(loaded(small_model()), "cpu", "auto", "int8")
    assert (choice.name, choice.reason) == ("openvino", "only OpenVINO computes in int8")


@pytest.mark.skipif(not cpu_has_int8(), reason="this processor has no int8 arithmetic")
def test_the_encoder_computes_in_int8_and_the_decoder_in_fp32(tmp_path):
    made = OpenVinoRuntime(loaded(small_model()), CompiledCache(tmp_path), "int8")
    assert made.precision == "int8"
    names = sorted("-".join(path.name.split("-")[:2]) for path in tmp_path.glob("*.bin"))
    assert names == ["decoder-fp32", "encoder-int8", "image_side-fp32"]


def test_a_model_that_int8_changes_too_much_is_refused_and_not_kept(monkeypatch, tmp_path):
    processor(monkeypatch, bf16=False, int8=True)
    allow_no_int8(monkeypatch)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"image encoder in int8 with errors of .* Use runtime=torch"):
            OpenVinoRuntime(loaded(small_model()), CompiledCache(tmp_path), "int8", with_decoder=False)
        assert kept(tmp_path) == ["encoder-int8-refused"]


@pytest.fixture
def compiled_models(monkeypatch, tmp_path) -> Path:
    """An empty directory of compiled models, which is the user's."""
    monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path))
    return tmp_path / "openvino"


def kept(directory: Path) -> list[str]:
    """Parts in a directory of compiled models, without what they depend on."""
    return [re.sub("-[0-9a-f]{32}", "", path.stem) for path in directory.glob("*.bin")]


def allow_no_int8(monkeypatch) -> None:
    """Let any error in int8 be too large."""
    limits = check._limits
    monkeypatch.setattr(
        check,
        "_limits",
        lambda precision, *asked: [limit / (100 if precision == "int8" else 1) for limit in limits(precision, *asked)],
    )


def processor(monkeypatch, *, bf16: bool, int8: bool) -> None:
    """Let it be a processor with this arithmetic."""
    monkeypatch.setattr(base, "cpu_has_bf16", lambda: bf16)
    monkeypatch.setattr(engine, "has_bf16", lambda: bf16)
    monkeypatch.setattr(engine, "cpu_has_int8", lambda: int8)


def fake_quantizations(graph) -> int:
    return sum(node.get_type_name() == "FakeQuantize" for node in graph.get_ops())


def in_steps(tokens: torch.Tensor) -> torch.Tensor:
    """Each token rounded to whole parts of a 127th of its largest channel."""
    tokens = tokens.double()
    step = tokens.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
    return (tokens / step).round() * step


def rounded_graph():
    model = small_model()
    graph = encoder_graph(model)
    round_products(graph, sample_pixel_values(model)[:1])
    return graph


def weights_of(graph) -> list[np.ndarray]:
    """Int8 weights, in the order of the graph."""
    return [
        node.data
        for node in graph.get_ordered_ops()
        if node.get_type_name() == "Constant" and node.data.dtype == np.int8
    ]


def pixel_values() -> torch.Tensor:
    return torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(7))
