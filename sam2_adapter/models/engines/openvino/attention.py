"""Attention inside windows of tokens, in the graph of the image encoder.

Windows that reach beyond the image are padded with zeros before the projections. The bias of keys adds the same to all scores of a query,
which changes no softmax, and that of values leaves the attention as it entered. Without the two, padding is zeros after the projections too: it
is left out of everything but the attention itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from openvino import opset15 as ops

from sam2_adapter.models.engines.openvino.ops import affine, concatenated, matmul, permute, reshape, shape_of
from sam2_adapter.models.engines.openvino.tokens import Tokens


class _Operands(NamedTuple):
    """What attention takes, and the weight of the projection that follows.

    Attributes:
        queries: a query of each head for each of N_q tokens, N_q x (heads C_q).
        keys: N x (heads C_q), or N x C_q for all heads.
        values: the same.
        weight: C_out x (heads C_q).
    """

    queries: Tokens
    keys: Tokens
    values: Tokens
    weight: torch.Tensor


def attention(module: Any, x: Tokens, num_keys: int, stride: int) -> Any:
    """A `Sam2MultiScaleAttention` on windows of tokens.

    Args:
        module: with its weights.
        x: N x C tokens.
        num_keys: tokens of a whole window; smaller ones are padded.
        stride: queries are pooled by it.

    Returns:
        N / stride^2 x C_out.
    """
    with torch.no_grad():
        queries, keys, values, weight = _operands(module, x, stride)
        bias = module.proj.bias + module.proj.weight @ module.qkv.bias.chunk(3)[2]
    is_shared = keys.channels < queries.channels
    num_heads = 1 if is_shared else module.num_attention_heads
    parts = zip(queries.windows(), keys.windows(), values.windows(), strict=True)
    attended = [
        _attended(query, _padded(key, num_keys), _padded(value, num_keys), num_heads) for query, key, value in parts
    ]
    return affine(concatenated(attended), weight, bias)


def _operands(module: Any, x: Tokens, stride: int) -> _Operands:
    """Keys and values of each head, or tokens for both where heads are no narrower than tokens."""
    if x.channels * module.num_attention_heads <= module.dim_out:
        return _operands_with_shared_keys(module, x, stride)
    _, key_weight, value_weight = module.qkv.weight.chunk(3)
    keys, values = (Tokens(affine(x.values, weight, None), x.order) for weight in (key_weight, value_weight))
    return _Operands(_queries(module, x, stride), keys, values, module.proj.weight)


def _operands_with_shared_keys(module: Any, x: Tokens, stride: int) -> _Operands:
    """Tokens as keys and values of all heads: their projections become part of those before and after the attention."""
    _, key_weight, value_weight = (
        weight.double().unflatten(0, (module.num_attention_heads, -1)) for weight in module.qkv.weight.chunk(3)
    )
    to_tokens: torch.Tensor = torch.block_diag(*key_weight.transpose(1, 2))  # type: ignore[no-untyped-call]
    if stride == 1:
        weight, bias = (to_tokens @ part.double() for part in _query_layer(module))
        queries = Tokens(affine(x.values, weight, bias), x.order)
    else:
        pooled = _queries(module, x, stride)
        queries = Tokens(affine(pooled.values, to_tokens, None), pooled.order)
    proj = module.proj.weight.double().unflatten(1, (module.num_attention_heads, -1))
    return _Operands(queries, x, x, torch.einsum("ohd,hdc->ohc", proj, value_weight).flatten(1))


def _queries(module: Any, x: Tokens, stride: int) -> Tokens:
    return Tokens(affine(x.values, *_query_layer(module)), x.order).pooled(stride)


def _query_layer(module: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias, scaled so that scores need not be; pooling takes maxima, which a positive factor does not disturb."""
    return module.qkv.weight.chunk(3)[0] * module.scale, module.qkv.bias.chunk(3)[0] * module.scale


def _padded(tokens: Any, count: int) -> Any:
    """W x T x C to W x count x C with zeros."""
    missing = count - tokens.get_output_shape(0)[1]
    if not missing:
        return tokens
    return ops.pad(tokens, shape_of(0, 0, 0), shape_of(0, missing, 0), "constant", ops.constant(0.0, np.float32))


def _attended(query: Any, key: Any, value: Any, num_heads: int) -> Any:
    """Queries W x T_q x C_q, keys and values W x T x C to (W T_q) x C_q.

    Args:
        query: of one or more heads.
        key: of `num_heads` heads; if that is 1, then for all queries.
        value: as `key`.
        num_heads: see `key`.
    """
    count, _, width = query.get_output_shape(0)
    if num_heads == 1:
        return reshape(_softmax_attention(reshape(query, 0, -1, key.get_output_shape(0)[2]), key, value), -1, width)
    heads = _softmax_attention(*(_heads_as_batch(x, num_heads) for x in (query, key, value)))
    heads = reshape(heads, count, num_heads, *heads.get_output_shape(0)[1:])
    return reshape(permute(heads, 0, 2, 1, 3), -1, width)


def _heads_as_batch(tokens: Any, num_heads: int) -> Any:
    """W x T x C to (W heads) x T x C / heads.

    With windows and heads as two axes, OpenVINO 2026.4 fuses the attention of small windows into a kernel that is wrong in bf16.
    """
    count, length, width = tokens.get_output_shape(0)
    heads = permute(reshape(tokens, 0, 0, num_heads, -1), 0, 2, 1, 3)
    return reshape(heads, count * num_heads, length, width // num_heads)


def _softmax_attention(query: Any, key: Any, value: Any) -> Any:
    return matmul(ops.softmax(matmul(query, key, transpose_b=True), -1), value)
