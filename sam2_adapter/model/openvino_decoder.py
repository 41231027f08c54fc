"""The mask decoder as an OpenVINO graph, built operation by operation from the torch modules.

Steps and names follow `decode_masks`. Three rearrangements, which change rounding only, make it fast:

- A prompt has about ten tokens, the image thousands. In attention between them, a projection W of the image's tokens x is not computed:
  q . (W x) = (W^T q) . x, so the tokens are projected instead. The first layer is the exception: its image is the same for all prompts.
- Up-scaling works on patches: the transposed convolutions have kernel = stride, so they are matrix products that leave the pixels of a patch
  side by side. Only the masks are brought into rows and columns.
- What is added to every prompt's image is added up beforehand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import torch
from openvino import opset15 as ops

from sam2_adapter.model.decode import image_position_tokens
from sam2_adapter.model.openvino_ops import (
    affine,
    constant,
    feed_forward,
    gelu,
    layer_norm,
    linear,
    matmul,
    model_of,
    permute,
    reshape,
)

if TYPE_CHECKING:
    from transformers import Sam2Model


def decoder_graph(model: Sam2Model) -> ov.Model:
    """The decoder with any number of prompts P and prompt tokens T, and one dense embedding for all prompts or one for each.

    Inputs: image_embedding 1 x C x h x w, fine, middle (as in `EncodedImages`, B = 1), sparse_embeddings P x T x C and dense_embeddings, which
    is 1 x C x 1 x 1 or P x C x h x w. Outputs: the parts of `DecodedMasks`. All float32.
    """
    decoder: Any = model.mask_decoder
    channels, (height, width) = decoder.hidden_size, model.prompt_encoder.image_embedding_size
    image = ops.parameter([1, channels, height, width], np.float32, name="image_embedding")
    fine = ops.parameter([1, channels // 8, 4 * height, 4 * width], np.float32, name="fine")
    middle = ops.parameter([1, channels // 4, 2 * height, 2 * width], np.float32, name="middle")
    sparse = ops.parameter([-1, -1, channels], np.float32, name="sparse_embeddings")
    dense = ops.parameter([-1, channels, -1, -1], np.float32, name="dense_embeddings")
    image_tokens = permute(reshape(ops.add(image, dense), 0, 0, height * width), 0, 2, 1)
    with torch.no_grad():
        positions = constant(image_position_tokens(model))
    tokens, image_tokens = _two_way_transformer(
        decoder.transformer, _with_output_tokens(decoder, sparse), image_tokens, positions
    )
    upscaled = _upscale(decoder, image_tokens, fine, middle, height, width)
    logits = _mask_logits(decoder, tokens, upscaled, height, width)
    iou_scores = feed_forward(_token(tokens, 1), decoder.iou_prediction_head)
    object_score_logits = feed_forward(_token(tokens, 0), decoder.pred_obj_score_head)
    return model_of(
        [logits, iou_scores, object_score_logits],
        [image, fine, middle, sparse, dense],
        ("low_res_logits", "iou_scores", "object_score_logits"),
        "mask_decoder",
    )


def _token(tokens: Any, index: int) -> Any:
    return ops.gather(tokens, ops.constant(index, np.int64), ops.constant(1, np.int64))


def _with_output_tokens(decoder: Any, sparse: Any) -> Any:
    output = torch.cat([decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight])
    prompts = ops.gather(ops.shape_of(sparse), ops.constant([0]), ops.constant(0))
    target = ops.concat([prompts, ops.constant(list(output.shape), np.int64)], 0)
    return ops.concat([ops.broadcast(constant(output[None]), target), sparse], 1)


def _two_way_transformer(transformer: Any, tokens: Any, image: Any, positions: Any) -> tuple[Any, Any]:
    queries = tokens
    for index, block in enumerate(transformer.layers):
        shared = index == 0
        # The first self-attention sees the tokens alone: they are their own positions.
        query = queries if index == 0 else ops.add(queries, tokens)
        attended = _self_attention(block.self_attn, query, query, queries)
        queries = layer_norm(attended if index == 0 else ops.add(queries, attended), block.layer_norm1)
        placed = ops.add(image, positions)
        attended = _to_image(block.cross_attn_token_to_image, ops.add(queries, tokens), placed, image, shared)
        queries = layer_norm(ops.add(queries, attended), block.layer_norm2)
        queries = layer_norm(ops.add(queries, feed_forward(queries, block.mlp)), block.layer_norm3)
        attended = _from_image(block.cross_attn_image_to_token, placed, ops.add(queries, tokens), queries, shared)
        image = layer_norm(ops.add(image, attended), block.layer_norm4)
    attended = _to_image(
        transformer.final_attn_token_to_image, ops.add(queries, tokens), ops.add(image, positions), image, False
    )
    return layer_norm(ops.add(queries, attended), transformer.layer_norm_final_attn), image


def _self_attention(attention: Any, query: Any, key: Any, value: Any) -> Any:
    query, key, value = (
        _heads(linear(x, layer), attention)
        for x, layer in (
            (query, attention.q_proj),
            (key, attention.k_proj),
            (value, attention.v_proj),
        )
    )
    scores = matmul(ops.multiply(query, _scale(attention)), key, transpose_b=True)
    return linear(_joined(matmul(ops.softmax(scores, -1), value)), attention.o_proj)


def _to_image(attention: Any, tokens: Any, keys: Any, values: Any, shared: bool) -> Any:
    """Tokens attend to the image: P x T x C from keys and values B x N x C."""
    query = ops.multiply(_heads(linear(tokens, attention.q_proj), attention), _scale(attention))
    if shared:
        key, value = (
            _heads(linear(keys, attention.k_proj), attention),
            _heads(linear(values, attention.v_proj), attention),
        )
        scores = matmul(query, key, transpose_b=True)
        return linear(_joined(matmul(ops.softmax(scores, -1), value)), attention.o_proj)
    # The bias of the keys adds the same to all scores of a query, which the softmax takes away again.
    scores = matmul(_projected_back(query, attention.k_proj, attention), keys, transpose_b=True)
    mixed = reshape(
        matmul(ops.softmax(scores, -1), values), 0, attention.num_attention_heads, -1, attention.hidden_size
    )
    value_weight = _by_head(attention.v_proj.weight, attention)
    # Probabilities add up to one: the bias of the values comes through unchanged.
    bias = attention.o_proj.weight @ attention.v_proj.bias + attention.o_proj.bias
    return affine(_joined(matmul(mixed, constant(value_weight), transpose_b=True)), attention.o_proj.weight, bias)


def _from_image(attention: Any, image: Any, keys: Any, values: Any, shared: bool) -> Any:
    """The image attends to tokens: P x N x C from the image B x N x C and keys and values P x T x C."""
    heads = attention.num_attention_heads
    key = ops.multiply(_heads(linear(keys, attention.k_proj), attention), _scale(attention))
    if shared:
        query = _heads(linear(image, attention.q_proj), attention)
        scores = matmul(key, query, transpose_b=True)
    else:
        bias = attention.q_proj.bias.reshape(heads, -1, 1)
        scores = ops.add(
            matmul(_projected_back(key, attention.q_proj, attention), image, transpose_b=True),
            reshape(matmul(key, constant(bias)), 0, -1, 1),
        )
        scores = reshape(scores, 0, heads, -1, scores.get_output_partial_shape(0)[2].get_length())
    probabilities = ops.softmax(scores, 2)
    length = probabilities.get_output_partial_shape(0)[3].get_length()
    value = _heads(linear(values, attention.v_proj), attention)
    output_weight = attention.o_proj.weight.t().reshape(heads, -1, attention.hidden_size)
    projected = reshape(matmul(value, constant(output_weight)), 0, -1, attention.hidden_size)
    mixed = matmul(reshape(probabilities, 0, -1, length), projected, transpose_a=True)
    return ops.add(mixed, constant(attention.o_proj.bias))


def _projected_back(tokens: Any, layer: Any, attention: Any) -> Any:
    """W^T q for every head: P x H x T x C/H to P x (H T) x C."""
    return reshape(matmul(tokens, constant(_by_head(layer.weight, attention))), 0, -1, attention.hidden_size)


def _by_head(weight: torch.Tensor, attention: Any) -> torch.Tensor:
    """(H d) x C to H x d x C."""
    return weight.reshape(attention.num_attention_heads, -1, weight.shape[1])


def _heads(tokens: Any, attention: Any) -> Any:
    """B x N x (H d) to B x H x N x d."""
    return permute(reshape(tokens, 0, 0, attention.num_attention_heads, -1), 0, 2, 1, 3)


def _joined(heads: Any) -> Any:
    """B x H x N x d to B x N x (H d)."""
    sizes = heads.get_output_partial_shape(0)
    return reshape(permute(heads, 0, 2, 1, 3), 0, 0, sizes[1].get_length() * sizes[3].get_length())


def _scale(attention: Any) -> Any:
    return ops.constant(float(attention.scaling), np.float32)


def _upscale(decoder: Any, image: Any, fine: Any, middle: Any, height: int, width: int) -> Any:
    """P x N x C to the pixels of its patches, P x (N 16) x C/8."""
    channels = decoder.hidden_size
    beside = reshape(permute(reshape(middle, 0, 0, height, 2, width, 2), 0, 2, 4, 3, 5, 1), 1, -1, channels // 4)
    halves = _doubling(decoder.upscale_conv1, image, beside)
    halves = gelu(layer_norm(halves, decoder.upscale_layer_norm))
    split = permute(reshape(fine, 0, 0, height, 2, 2, width, 2, 2), 0, 2, 5, 3, 6, 4, 7, 1)
    return gelu(_doubling(decoder.upscale_conv2, halves, reshape(split, 1, -1, channels // 8)))


def _doubling(conv: Any, x: Any, beside: Any) -> Any:
    """A transposed convolution of kernel and stride 2, plus what stands beside it: P x N x C to P x (N 4) x c."""
    weight = conv.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (2 2 c) x C
    product = reshape(affine(x, weight, None), 0, -1, conv.out_channels)
    return ops.add(product, ops.add(beside, constant(conv.bias)))


def _mask_logits(decoder: Any, tokens: Any, upscaled: Any, height: int, width: int) -> Any:
    mlps = decoder.output_hypernetworks_mlps
    one = ops.constant(1, np.int64)
    weights = ops.concat(
        [ops.unsqueeze(feed_forward(_token(tokens, 2 + k), mlp), one) for k, mlp in enumerate(mlps)], 1
    )
    logits = reshape(matmul(weights, upscaled, transpose_b=True), 0, 0, height, width, 2, 2, 2, 2)
    return reshape(permute(logits, 0, 1, 2, 4, 6, 3, 5, 7), 0, 0, 4 * height, 4 * width)
