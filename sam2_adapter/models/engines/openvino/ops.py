"""Layers of the model as OpenVINO operations, with the weights of the torch layers that they are named after.

Tokens are kept channels-last, ... x C: every projection is one matrix product and no layout changes lie between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import torch
from openvino import opset15 as ops

_EXACT = "exact"


def constant(tensor: torch.Tensor) -> Any:
    """A float32 constant with the values of a tensor."""
    return ops.constant(np.ascontiguousarray(tensor.detach().cpu().to(torch.float32).numpy()))


def shape_of(*sizes: int) -> Any:
    """The target of a reshape: 0 keeps the size of that axis, one -1 takes what is left."""
    return ops.constant(np.array(sizes, np.int64))


def reshape(x: Any, *sizes: int) -> Any:
    """Reshape; see `shape_of`."""
    return ops.reshape(x, shape_of(*sizes), special_zero=True)


def permute(x: Any, *axes: int) -> Any:
    """Reorder axes."""
    return ops.transpose(x, shape_of(*axes))


def gather(x: Any, indices: npt.NDArray[np.int64]) -> Any:
    """Rows of N x C at constant positions."""
    return ops.gather(x, ops.constant(indices), ops.constant(np.int64(0)))


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """Matrix product over the last two axes; leading axes are broadcast."""
    return ops.matmul(a, b, transpose_a, transpose_b)


def affine(x: Any, weight: torch.Tensor, bias: torch.Tensor | None, exact: bool = False) -> Any:
    """`x @ weight.T + bias` for ... x C_in tokens and a C_out x C_in weight; in int8 too a product that is `exact` stays in float32."""
    return _affine(x, constant(weight), None if bias is None else constant(bias), exact)


def _affine(x: Any, weight: Any, bias: Any | None, exact: bool) -> Any:
    product = matmul(x, weight, transpose_b=True)
    if exact:
        product.get_rt_info()[_EXACT] = True
    return product if bias is None else ops.add(product, bias)


def is_exact(node: Any) -> bool:
    """Whether a product was made by an exact `affine`."""
    return _EXACT in node.get_rt_info()


def linear(x: Any, layer: torch.nn.Linear) -> Any:
    """A linear layer on ... x C tokens."""
    return affine(x, layer.weight, layer.bias)


def layer_norm(x: Any, layer: torch.nn.LayerNorm) -> Any:
    """Layer normalisation of ... x C tokens over C."""
    normed = ops.mvn(x, shape_of(-1), True, layer.eps, "inside_sqrt")
    return ops.add(ops.multiply(normed, constant(layer.weight)), constant(layer.bias))


def gelu(x: Any) -> Any:
    """The exact GELU."""
    return ops.gelu(x, "erf")


def feed_forward(x: Any, mlp: Any, num_parts: int = 1, exact: bool = False) -> Any:
    """A `Sam2FeedForward` on ... x C tokens; in parts along the first axis, one after the other, with the same weights; `exact` as in `affine`."""
    activation = {"gelu": gelu, "relu": ops.relu}[_activation_name(mlp.activation)]
    layers = [(constant(layer.weight), constant(layer.bias)) for layer in (mlp.proj_in, *mlp.layers, mlp.proj_out)]
    outputs = []
    for part in split(x, _part_lengths(x, num_parts)):
        hidden = part
        for weight, bias in layers[:-1]:
            hidden = activation(_affine(hidden, weight, bias, exact))
        outputs.append(_affine(hidden, *layers[-1], exact))
    output = concatenated(outputs)
    return ops.sigmoid(output) if mlp.sigmoid_output else output


def split(x: Any, lengths: Sequence[int]) -> list[Any]:
    """Cut along the first axis."""
    if len(lengths) == 1:
        return [x]
    parts: list[Any] = ops.variadic_split(x, ops.constant(np.int64(0)), shape_of(*lengths)).outputs()
    return parts


def concatenated(parts: list[Any]) -> Any:
    """Put together along the first axis."""
    return parts[0] if len(parts) == 1 else ops.concat(parts, 0)


def _part_lengths(x: Any, num_parts: int) -> list[int]:
    if num_parts == 1:
        return [-1]
    count = x.get_output_shape(0)[0]
    longest = -(-count // num_parts)
    return [min(longest, count - start) for start in range(0, count, longest)]


def _activation_name(activation: torch.nn.Module) -> str:
    return "relu" if isinstance(activation, torch.nn.ReLU) else "gelu"


def model_of(results: list[Any], parameters: list[Any], names: tuple[str, ...], title: str) -> ov.Model:
    """A model whose outputs carry `names`."""
    outputs = [ops.result(result, name=name) for result, name in zip(results, names, strict=True)]
    return ov.Model(outputs, parameters, title)
