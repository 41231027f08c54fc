"""Int8 weights: how they are rounded, which products get them, and when they are taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.model import openvino_check, openvino_encoder, openvino_runtime, runtime
from sam2_adapter.model.compiled_cache import CompiledCache
from sam2_adapter.model.openvino_check import relative_error
from sam2_adapter.model.openvino_compiled import CompiledGraph
from sam2_adapter.model.openvino_encoder import encoder_graph
from sam2_adapter.model.openvino_int8 import (
    Spread,
    round_projections,
    round_weight,
    sample_pixel_values,
)
from sam2_adapter.model.openvino_runtime import OpenVinoRuntime, resolve_openvino_precision
from sam2_adapter.model.runtime import TorchRuntime, cpu_has_int8
from sam2_adapter.model.runtimes import choose_runtime, make_runtime
from tests.small_model import IMAGE_SIZE, loaded, small_model


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
    round_projections(graph, sample_pixel_values(model)[:1])
    rounded = [node for node in graph.get_ops() if node.get_type_name() == "Constant" and node.data.dtype == np.int8]
    # Six of each of three blocks and two between their stages. Of the first block, whose other products take 16 channels, one; of the second, whose
    # heads are as wide as its tokens, the two around the attention and two more.
    assert len(rounded) == 3 * 6 + 2 + 1 + 4
    assert graph.get_rt_info(["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]).astype(str) == "32"
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
    round_projections(graph, sample_pixel_values(model)[:2])
    made = CompiledGraph.of(graph, "int8")
    found = made(pixel_values())
    for one, other in zip(found, (expected.image_embedding, *expected.high_res_features), strict=True):
        assert 1e-4 < relative_error(one, other) < 0.03
    again = CompiledGraph.from_bytes(made.to_bytes(), "int8")(pixel_values())
    assert all(torch.equal(one, other) for one, other in zip(again, found, strict=True))


def test_parts_of_the_tokens_share_their_weights(monkeypatch):
    whole = weights_of(rounded_graph())
    monkeypatch.setattr(openvino_encoder, "_CACHED_BYTES", 2**10)
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


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_does_not_take_int8(monkeypatch, bf16, expected):
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
    errors = openvino_check._errors
    monkeypatch.setattr(openvino_check, "_errors", lambda *outputs: [9 * error for error in errors(*outputs)])
    limits = openvino_check._limits
    monkeypatch.setattr(openvino_check, "_limits", lambda *asked: [limit / 9 for limit in limits(*asked)])
    with pytest.raises(ConfigError, match=r"image encoder in int8 with errors of .* Use runtime=torch"):
        OpenVinoRuntime(loaded(small_model()), CompiledCache(tmp_path), "int8", with_decoder=False)
    assert not list(tmp_path.glob("*.bin"))


def processor(monkeypatch, *, bf16: bool, int8: bool) -> None:
    """Let it be a processor with this arithmetic."""
    monkeypatch.setattr(runtime, "cpu_has_bf16", lambda: bf16)
    monkeypatch.setattr(openvino_runtime, "has_bf16", lambda: bf16)
    monkeypatch.setattr(openvino_runtime, "cpu_has_int8", lambda: int8)


def rounded_graph():
    model = small_model()
    graph = encoder_graph(model)
    round_projections(graph, sample_pixel_values(model)[:1])
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
