"""The mask decoder as OpenVINO graphs, built operation by operation from the torch modules.

Steps and names follow `decode_masks`. These rearrangements, which change rounding only, make it fast:

- What is the same for all prompts of an image is a graph of its own, which runs once: the image's projections in the first layer, and the
  fine levels, sorted as they are added.
- A prompt has about ten tokens, the image thousands. In attention between them, a projection W of the image's tokens x is not computed:
  q . (W x) = (W^T q) . x, so the tokens are projected instead. The first layer is the exception, see above.
- Up-scaling works on patches: the transposed convolutions have kernel = stride, so they are matrix products that leave the pixels of a patch
  side by side. Only the masks are brought into rows and columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import openvino as ov
import torch
from openvino import opset15 as ops

from sam2_adapter.models.engines.openvino.ops import (
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
from sam2_adapter.models.network.mask_decoder import image_position_tokens

if TYPE_CHECKING:
    from transformers import Sam2Model


class ImageSide(NamedTuple):
    """What all prompts of an image share; B = 1, or P where each has its own mask input. N = h w.

    Attributes:
        tokens: B x N x C, the image with the dense embeddings added.
        keys: B x H x N x d, of the first attention of tokens to the image.
        values: the same.
        queries: B x H x N x d, of the first attention of the image to tokens.
        fine: 1 x (N 16) x C/8, what is added to the finest pixels, patch by patch.
        middle: 1 x (N 4) x C/4, the same of the middle level.
    """

    tokens: Any
    keys: Any
    values: Any
    queries: Any
    fine: Any
    middle: Any


def image_side_graph(model: Sam2Model) -> ov.Model:
    """What the decoder computes of an image alone.

    Inputs: image_embedding 1 x C x h x w, fine, middle (as in `EncodedImages`, B = 1), and dense_embeddings, which is 1 x C x 1 x 1 or
    B x C x h x w. Outputs: the parts of `ImageSide`. All float32.
    """
    decoder: Any = model.mask_decoder
    channels, (height, width) = decoder.hidden_size, model.prompt_encoder.image_embedding_size
    image = ops.parameter([1, channels, height, width], np.float32, name="image_embedding")
    fine = ops.parameter([1, channels // 8, 4 * height, 4 * width], np.float32, name="fine")
    middle = ops.parameter([1, channels // 4, 2 * height, 2 * width], np.float32, name="middle")
    dense = ops.parameter([-1, channels, -1, -1], np.float32, name="dense_embeddings")
    tokens = permute(reshape(ops.add(image, dense), 0, 0, height * width), 0, 2, 1)
    placed = ops.add(tokens, _positions(model))
    first = decoder.transformer.layers[0]
    to_image, from_image = first.cross_attn_token_to_image, first.cross_attn_image_to_token
    side = ImageSide(
        tokens,
        _heads(linear(placed, to_image.k_proj), to_image),
        _heads(linear(tokens, to_image.v_proj), to_image),
        _heads(linear(placed, from_image.q_proj), from_image),
        _by_patch_twice(fine, height, width, decoder.upscale_conv2.bias),
        _by_patch(middle, height, width, decoder.upscale_conv1.bias),
    )
    return model_of(list(side), [image, fine, middle, dense], ImageSide._fields, "image_side")


def decoder_graph(model: Sam2Model) -> ov.Model:
    """The decoder with any number of prompts P and prompt tokens T.

    Inputs: the parts of `ImageSide` and sparse_embeddings P x T x C. Outputs: the parts of `DecodedMasks`. All float32.
    """
    decoder: Any = model.mask_decoder
    channels, (height, width) = decoder.hidden_size, model.prompt_encoder.image_embedding_size
    side = _image_side_parameters(decoder, height * width)
    sparse = ops.parameter([-1, -1, channels], np.float32, name="sparse_embeddings")
    tokens, image = _two_way_transformer(
        decoder.transformer, _with_output_tokens(decoder, sparse), side, _positions(model)
    )
    logits = _mask_logits(decoder, tokens, _upscale(decoder, image, side), height, width)
    iou_scores = feed_forward(_token(tokens, 1), decoder.iou_prediction_head)
    object_score_logits = feed_forward(_token(tokens, 0), decoder.pred_obj_score_head)
    return model_of(
        [logits, iou_scores, object_score_logits],
        [*side, sparse],
        ("low_res_logits", "iou_scores", "object_score_logits"),
        "mask_decoder",
    )


def _image_side_parameters(decoder: Any, num_tokens: int) -> ImageSide:
    channels, attention = decoder.hidden_size, decoder.transformer.layers[0].cross_attn_token_to_image
    projected = [
        -1,
        attention.num_attention_heads,
        num_tokens,
        attention.k_proj.out_features // attention.num_attention_heads,
    ]
    shapes = ImageSide(
        [-1, num_tokens, channels],
        projected,
        projected,
        projected,
        [1, 16 * num_tokens, channels // 8],
        [1, 4 * num_tokens, channels // 4],
    )
    return ImageSide(*(ops.parameter(shape, np.float32, name=name) for name, shape in shapes._asdict().items()))


def _positions(model: Sam2Model) -> Any:
    with torch.no_grad():
        return constant(image_position_tokens(model))


def _token(tokens: Any, index: int) -> Any:
    return ops.gather(tokens, ops.constant(index, np.int64), ops.constant(1, np.int64))


def _with_output_tokens(decoder: Any, sparse: Any) -> Any:
    output = torch.cat([decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight])
    prompts = ops.gather(ops.shape_of(sparse), ops.constant([0]), ops.constant(0))
    target = ops.concat([prompts, ops.constant(list(output.shape), np.int64)], 0)
    return ops.concat([ops.broadcast(constant(output[None]), target), sparse], 1)


def _two_way_transformer(transformer: Any, tokens: Any, side: ImageSide, positions: Any) -> tuple[Any, Any]:
    queries, image = tokens, side.tokens
    for index, block in enumerate(transformer.layers):
        # The first self-attention sees the tokens alone: they are their own positions.
        query = queries if index == 0 else ops.add(queries, tokens)
        attended = _self_attention(block.self_attn, query, query, queries)
        queries = layer_norm(attended if index == 0 else ops.add(queries, attended), block.layer_norm1)
        placed = ops.add(image, positions)
        attended = (
            _to_projected_image(block.cross_attn_token_to_image, ops.add(queries, tokens), side)
            if index == 0
            else _to_image(block.cross_attn_token_to_image, ops.add(queries, tokens), placed, image)
        )
        queries = layer_norm(ops.add(queries, attended), block.layer_norm2)
        queries = layer_norm(ops.add(queries, feed_forward(queries, block.mlp)), block.layer_norm3)
        attention = block.cross_attn_image_to_token
        keys = ops.multiply(_heads(linear(ops.add(queries, tokens), attention.k_proj), attention), _scale(attention))
        scores = (
            matmul(keys, side.queries, transpose_b=True) if index == 0 else _scores_from_image(attention, placed, keys)
        )
        image = layer_norm(ops.add(image, _mixed_into_image(attention, scores, queries)), block.layer_norm4)
    attended = _to_image(
        transformer.final_attn_token_to_image, ops.add(queries, tokens), ops.add(image, positions), image
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


def _to_projected_image(attention: Any, tokens: Any, side: ImageSide) -> Any:
    """Tokens attend to the image: P x T x C."""
    query = ops.multiply(_heads(linear(tokens, attention.q_proj), attention), _scale(attention))
    scores = matmul(query, side.keys, transpose_b=True)
    return linear(_joined(matmul(ops.softmax(scores, -1), side.values)), attention.o_proj)


def _to_image(attention: Any, tokens: Any, keys: Any, values: Any) -> Any:
    """Tokens attend to images: P x T x C from keys and values P x N x C."""
    query = ops.multiply(_heads(linear(tokens, attention.q_proj), attention), _scale(attention))
    # The bias of the keys adds the same to all scores of a query, which the softmax takes away again.
    scores = matmul(_projected_back(query, attention.k_proj, attention), keys, transpose_b=True)
    mixed = reshape(
        matmul(ops.softmax(scores, -1), values), 0, attention.num_attention_heads, -1, attention.hidden_size
    )
    value_weight = _by_head(attention.v_proj.weight, attention)
    # Probabilities add up to one: the bias of the values comes through unchanged.
    bias = attention.o_proj.weight @ attention.v_proj.bias + attention.o_proj.bias
    return affine(_joined(matmul(mixed, constant(value_weight), transpose_b=True)), attention.o_proj.weight, bias)


def _scores_from_image(attention: Any, image: Any, keys: Any) -> Any:
    """Scores P x H x T x N of images P x N x C, each of whose tokens asks keys P x H x T x d."""
    heads = attention.num_attention_heads
    bias = attention.q_proj.bias.reshape(heads, -1, 1)
    scores = ops.add(
        matmul(_projected_back(keys, attention.q_proj, attention), image, transpose_b=True),
        reshape(matmul(keys, constant(bias)), 0, -1, 1),
    )
    return reshape(scores, 0, heads, -1, scores.get_output_partial_shape(0)[2].get_length())


def _mixed_into_image(attention: Any, scores: Any, tokens: Any) -> Any:
    """What each of the image's tokens gets of P x T x C by scores P x H x T x N: P x N x C."""
    heads = attention.num_attention_heads
    probabilities = ops.softmax(scores, 2)
    length = probabilities.get_output_partial_shape(0)[3].get_length()
    value = _heads(linear(tokens, attention.v_proj), attention)
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


def _upscale(decoder: Any, image: Any, side: ImageSide) -> Any:
    """P x N x C to the pixels of its patches, P x (N 16) x C/8."""
    halves = ops.add(_doubled(decoder.upscale_conv1, image), side.middle)
    halves = gelu(layer_norm(halves, decoder.upscale_layer_norm))
    return gelu(ops.add(_doubled(decoder.upscale_conv2, halves), side.fine))


def _doubled(conv: Any, x: Any) -> Any:
    """A transposed convolution of kernel and stride 2 without its bias: P x N x C to P x (N 4) x c."""
    weight = conv.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (2 2 c) x C
    return reshape(affine(x, weight, None), 0, -1, conv.out_channels)


def _by_patch(middle: Any, height: int, width: int, bias: torch.Tensor) -> Any:
    """1 x c x 2h x 2w to 1 x (N 4) x c."""
    cells = permute(reshape(middle, 0, 0, height, 2, width, 2), 0, 2, 4, 3, 5, 1)
    return ops.add(reshape(cells, 1, 4 * height * width, -1), constant(bias))


def _by_patch_twice(fine: Any, height: int, width: int, bias: torch.Tensor) -> Any:
    """1 x c x 4h x 4w to 1 x (N 16) x c: four cells of four pixels each."""
    cells = permute(reshape(fine, 0, 0, height, 2, 2, width, 2, 2), 0, 2, 5, 3, 6, 4, 7, 1)
    return ops.add(reshape(cells, 1, 16 * height * width, -1), constant(bias))


def _mask_logits(decoder: Any, tokens: Any, upscaled: Any, height: int, width: int) -> Any:
    mlps = decoder.output_hypernetworks_mlps
    one = ops.constant(1, np.int64)
    weights = ops.concat(
        [ops.unsqueeze(feed_forward(_token(tokens, 2 + k), mlp), one) for k, mlp in enumerate(mlps)], 1
    )
    logits = reshape(matmul(weights, upscaled, transpose_b=True), 0, 0, height, width, 2, 2, 2, 2)
    return reshape(permute(logits, 0, 1, 2, 4, 6, 3, 5, 7), 0, 0, 4 * height, 4 * width)
