"""Weights of a graph in int8, for processors that multiply int8 fast and bf16 not at all.

Weights of the projections are rounded here, with a scale for each output channel. OpenVINO rounds the tokens as they come, with a scale for each
group of channels of each token, multiplies int8 by int8 and sums exactly. Queries and keys of large attentions are rounded as they come, too,
with a scale for each of them. Everything else stays in float32: values and their weights, which are too uneven, and what lies between products.

Weights that are each rounded to the nearest err several times more than bf16 does. But channels of tokens move together, so an error of one weight
can make up for that of another: weights are rounded in turn, and what each loses is spread over those still to come. This is GPTQ (Frantar et al.
2023, https://arxiv.org/abs/2210.17323). How channels move together is taken from the pictures of the demo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import openvino as ov
import torch
from openvino import opset15 as ops
from PIL import Image

from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.ops import is_exact, matmul, permute, shape_of
from sam2_adapter.models.network.preprocess import images_to_pixel_values

if TYPE_CHECKING:
    from transformers import Sam2Model

# -128 has no counterpart.
_MAX_INT8 = 127

# Products of fewer channels get no faster.
_LEAST_CHANNELS = 128

# The same of attention to fewer keys.
_LEAST_KEYS = 1024

# Channels of a token that share a scale, best first. A projection whose channels are no multiple of it stays in float32.
_GROUPS = (96, 128, 64, 32)

# Part of all multiplications that a group must serve to be taken before a smaller one, which is slower.
_ENOUGH = 0.75

# Evenly spread tokens of a picture that show how channels move together.
_NUM_TOKENS = 4096

# Variance added to every channel, as a part of their mean variance.
_DAMPING = 0.003

# Weights whose losses are spread together over the rest of their row; sets the speed only.
_BLOCK = 128


Array = npt.NDArray[Any]
Sources = tuple[tuple[str, int], ...]

# How channels of tokens move together is taken from some; how well that serves another is seen on the last.
CALIBRATION = ("coins.png", "flower.jpg", "retina.jpg")
HELD_OUT = "astronaut.jpg"


class _Projection(NamedTuple):
    """Products of parts of the tokens with one weight.

    Attributes:
        products: matrix products of the graph.
    """

    products: list[Any]

    @property
    def weight(self) -> Array:
        """C_out x C."""
        weight: Array = self.products[0].input_value(1).get_node().data
        return weight

    @property
    def sources(self) -> Sources:
        """What the products take; several projections may take the same."""
        outputs = [node.input_value(0) for node in self.products]
        return tuple((output.get_node().get_name(), output.get_index()) for output in outputs)


class Spread(NamedTuple):
    """How losses of weights are spread.

    Attributes:
        order: C positions; the order in which input channels are rounded, those that matter most first.
        factor: C x C upper triangle in that order: the Cholesky factor of the inverse of the channels' second moments.
    """

    order: Array
    factor: Array


def sample_pixel_values(model: Sam2Model) -> list[torch.Tensor]:
    """Pictures to calibrate with, each as 1 x 3 x S x S pixel values."""
    prompt_encoder: Any = model.prompt_encoder
    return [picture_pixel_values(name, prompt_encoder.input_image_size) for name in CALIBRATION]


def round_products(graph: ov.Model, samples: Sequence[torch.Tensor]) -> None:
    """Let a graph compute in int8 what is faster so: give the projections int8 weights, and round queries and keys; in place.

    Args:
        graph: one input, no open sizes.
        samples: typical inputs.
    """
    _round_projections(graph, samples)
    _round_queries_and_keys(graph)


def _round_projections(graph: ov.Model, samples: Sequence[torch.Tensor]) -> None:
    projections = _projections(graph)
    group = _group_of(projections)
    projections = [projection for projection in projections if projection.weight.shape[1] % group == 0]
    if not projections:
        return
    moments = _second_moments(graph, projections, samples)
    spreads = {sources: _spread(moment) for sources, moment in moments.items()}
    for projection in projections:
        rounded, scale = round_weight(projection.weight, spreads[projection.sources])
        steps = ops.convert(ops.constant(rounded), "f32")
        weight = ops.multiply(steps, ops.constant(scale)).output(0)
        for node in projection.products:
            node.input(1).replace_source_output(weight)
    # Stays with the compiled graph on disk, unlike a setting of the compilation.
    graph.set_rt_info(str(group), ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])


def round_weight(weight: Array, spread: Spread) -> tuple[Array, Array]:
    """Round a C_out x C float32 weight to int8 steps C_out x C and the size of a step C_out x 1."""
    scale = np.maximum(np.abs(weight).max(1, keepdims=True), 1e-12) / _MAX_INT8
    # numpy, since threads of torch that wait for each other in so short steps stand still when the processor is shared.
    left = np.ascontiguousarray((weight / scale).T[spread.order])
    rounded = np.empty_like(left)
    for start in range(0, len(left), _BLOCK):
        stop = min(start + _BLOCK, len(left))
        lost = np.empty_like(left[start:stop])
        for channel in range(start, stop):
            rounded[channel] = left[channel].round().clip(-_MAX_INT8, _MAX_INT8)
            lost[channel - start] = (left[channel] - rounded[channel]) / spread.factor[channel, channel]
            left[channel:stop] -= np.outer(spread.factor[channel, channel:stop], lost[channel - start])
        left[stop:] -= spread.factor[start:stop, stop:].T @ lost
    return np.ascontiguousarray(rounded[np.argsort(spread.order)].T).astype(np.int8), scale


def _round_queries_and_keys(graph: ov.Model) -> None:
    # A list, as the graph changes.
    for node in list(graph.get_ordered_ops()):
        if node.get_type_name() != "Softmax" or node.get_output_shape(0)[-1] < _LEAST_KEYS:
            continue
        product = node.input_value(0).get_node()
        queries, query_scale = _rounded(product.input_value(0))
        keys, key_scale = _rounded(product.input_value(1))
        scores = ops.multiply(matmul(queries, keys, transpose_b=True), query_scale)
        scores = ops.multiply(scores, permute(key_scale, 0, 2, 1))
        node.input(0).replace_source_output(scores.output(0))


def _rounded(tokens: Any) -> tuple[Any, Any]:
    """B x T x C as parts of the largest size of a channel of each token, in whole steps of 1 / 127, and those sizes, B x T x 1."""
    largest = ops.reduce_max(ops.abs(tokens), shape_of(-1), True)
    # The least makes a token of zeros no special case.
    largest = ops.maximum(largest, ops.constant(np.float32(1e-12)))
    low, high = (ops.constant(np.float32(limit)) for limit in (-1, 1))
    return ops.fake_quantize(ops.divide(tokens, largest), low, high, low, high, 2 * _MAX_INT8 + 1), largest


def _projections(graph: ov.Model) -> list[_Projection]:
    """Products with the same constant are one projection of several parts of the tokens."""
    products: dict[str, list[Any]] = {}
    for node in graph.get_ordered_ops():
        if _is_projection(node):
            products.setdefault(node.input_value(1).get_node().get_name(), []).append(node)
    return [_Projection(nodes) for nodes in products.values()]


def _is_projection(node: Any) -> bool:
    if node.get_type_name() != "MatMul" or not node.get_attributes()["transpose_b"] or is_exact(node):
        return False
    weight = node.input_value(1)
    shape = weight.get_shape()
    return weight.get_node().get_type_name() == "Constant" and len(shape) == 2 and shape[1] >= _LEAST_CHANNELS


def _group_of(projections: Sequence[_Projection]) -> int:
    work = [(one.weight.shape[1], math.prod(node.get_output_shape(0))) for one in projections for node in one.products]
    total = sum(channels * outputs for channels, outputs in work)
    for group in _GROUPS:
        if sum(channels * outputs for channels, outputs in work if channels % group == 0) >= _ENOUGH * total:
            return group
    return _GROUPS[-1]


def _second_moments(
    graph: ov.Model, projections: Sequence[_Projection], samples: Sequence[torch.Tensor]
) -> dict[Sources, torch.Tensor]:
    """Sums of x x^T over tokens x, C x C, for everything that projections take."""
    inputs = {one.sources: [node.input_value(0) for node in one.products] for one in projections}
    results = [ops.result(_moment(parts)) for parts in inputs.values()]
    compiled = CompiledGraph.of(ov.Model(results, graph.get_parameters(), "second_moments"), "fp32")
    sums = [torch.zeros(tuple(result.get_output_shape(0))) for result in results]
    for sample in samples:
        for total, moment in zip(sums, compiled(sample), strict=True):
            total += moment
    return dict(zip(inputs, sums, strict=True))


def _moment(parts: list[Any]) -> Any:
    """Of some of the tokens, given in parts of N x C."""
    tokens = ops.concat(parts, 0)
    count = tokens.get_output_shape(0)[0]
    # Odd, so that all places in windows are seen, which are sorted and whose sizes are mostly even.
    step = ops.constant([count // _NUM_TOKENS | 1])
    some = ops.slice(tokens, ops.constant([0]), ops.constant([count]), step, ops.constant([0]))
    return ops.matmul(some, some, True, False)


def _spread(moment: torch.Tensor) -> Spread:
    order = torch.argsort(moment.diagonal(), descending=True)
    ordered = moment[order][:, order].double()
    # The least makes a picture without any signal no special case.
    ordered.diagonal().add_(_DAMPING * ordered.diagonal().mean() + 1e-12)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(ordered))
    return Spread(order.numpy(), torch.linalg.cholesky(inverse, upper=True).float().numpy())


def picture_pixel_values(name: str, image_size: int) -> torch.Tensor:
    """A picture of the demo as 1 x 3 x S x S pixel values."""
    with resources.files("sam2_adapter").joinpath("assets", "demo", name).open("rb") as file, Image.open(file) as image:
        return images_to_pixel_values([np.asarray(image.convert("RGB"))], image_size, "stretch")
