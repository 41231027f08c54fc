"""Compiled parts beside torch: what computes something else is refused by name."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.openvino.check import (
    check_decoder,
    check_encoder,
    check_image_side,
    relative_error,
    require_agreement,
)
from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.decoder import decoder_graph, image_side_graph
from sam2_adapter.models.engines.openvino.encoder import encoder_graph
from tests.small_model import small_model

EXPECTED = torch.linspace(-1, 1, 2000)


def test_errors_are_parts_of_the_mean_size():
    assert relative_error(EXPECTED, EXPECTED) == 0
    assert relative_error(1.25 * EXPECTED, EXPECTED) == pytest.approx(0.25)


def test_rounding_is_agreement_and_more_is_not():
    require_agreement("part", "fp32", (EXPECTED * (1 + 1e-6),), lambda: (EXPECTED,))
    with pytest.raises(ConfigError, match=r"OpenVINO computes the part in fp32 with errors of .*runtime=torch"):
        require_agreement("part", "fp32", (EXPECTED * 1.01,), lambda: (EXPECTED,))
    with pytest.raises(ConfigError, match="OpenVINO computes the part in bf16"):
        require_agreement("part", "bf16", (EXPECTED * 1.5,), lambda: (EXPECTED,))


@pytest.mark.slow
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
