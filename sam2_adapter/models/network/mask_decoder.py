"""The mask decoder, composed from the model's submodules so that one pass gives all mask outputs.

The library's own forward computes four masks and throws away three or one of them, repeats the image for every prompt, and chooses differently
in training and evaluation mode. Here prediction, training and export share one composition, what is the same for all prompts of an image is
computed once, and choosing is a separate step. Steps and names follow SAM2 (https://arxiv.org/abs/2408.00714, section 4) and
`Sam2MaskDecoder.forward` of transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
import torch.nn.functional as F

from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.prompt_encoder import EncodedPrompts
from sam2_adapter.models.network.upscaling import mask_logits

if TYPE_CHECKING:
    from transformers import Sam2Model
    from transformers.models.sam2.modeling_sam2 import (
        Sam2Attention,
        Sam2MaskDecoder,
        Sam2TwoWayAttentionBlock,
        Sam2TwoWayTransformer,
    )

# Output tokens stand before the prompt's: object score, IoU scores, then the masks.
_OBJECT_SCORE_TOKEN = 0
_IOU_TOKEN = 1
_FIRST_MASK_TOKEN = 2

# Queries for each key from which on a CPU attends faster by the formula than by the fused kernel: 3 to 4 times at 4096 to 8, training included.
_MANY_QUERIES = 16


class DecodedMasks(NamedTuple):
    """All outputs of the mask decoder for P prompts; K = 4 masks: the single-mask output and three candidates.

    Attributes:
        low_res_logits: P x K x h x w.
        iou_scores: P x K, in 0..1.
        object_score_logits: P x 1; above 0 the object is there.
    """

    low_res_logits: torch.Tensor
    iou_scores: torch.Tensor
    object_score_logits: torch.Tensor


def decode_masks(
    model: Sam2Model, images: EncodedImages, prompts: EncodedPrompts, image_positions: torch.Tensor | None = None
) -> DecodedMasks:
    """Run the mask decoder on P prompts.

    Args:
        model: the model; weights in fp32, surround with autocast for other precisions.
        images: one image for all prompts (B = 1) or one for each (B = P).
        prompts: P encoded prompts.
        image_positions: `image_position_tokens(model)` where the caller has it at hand.

    Returns:
        All four masks and scores; see `selection`.
    """
    decoder = model.mask_decoder
    num_prompts = max(len(prompts.sparse_embeddings), len(prompts.dense_embeddings))
    positions = image_position_tokens(model) if image_positions is None else image_positions
    # 1: output tokens beside the prompt's tokens; the image, with the mask input added, as a list of tokens
    tokens = _with_output_tokens(decoder, prompts.sparse_embeddings, num_prompts)
    image_tokens = (images.image_embedding + prompts.dense_embeddings).flatten(2).transpose(1, 2)
    # 2: two-way attention between the tokens and the image, whose tokens are rounded once, not again for every product
    dtype = _arithmetic_dtype(image_tokens)
    tokens, image_tokens = _two_way_transformer(
        decoder.transformer, tokens, image_tokens.to(dtype), positions.to(dtype)
    )
    # 3: upscale the image and take its inner product with what each mask token asks for
    mask_tokens = tokens[:, _FIRST_MASK_TOKEN : _FIRST_MASK_TOKEN + decoder.num_mask_tokens]
    low_res_logits = mask_logits(decoder, mask_tokens, image_tokens, images)
    # 4: scores
    iou_scores = decoder.iou_prediction_head(tokens[:, _IOU_TOKEN])
    object_score_logits = decoder.pred_obj_score_head(tokens[:, _OBJECT_SCORE_TOKEN])
    return DecodedMasks(low_res_logits, iou_scores, object_score_logits)


def image_position_tokens(model: Sam2Model) -> torch.Tensor:
    """Positional encoding of the image's tokens, 1 x (h w) x C, fp32."""
    return model.get_image_wide_positional_embeddings().flatten(2).transpose(1, 2)


def _with_output_tokens(decoder: Sam2MaskDecoder, sparse_embeddings: torch.Tensor, num_prompts: int) -> torch.Tensor:
    output_tokens = torch.cat([decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight])
    expanded = output_tokens.expand(num_prompts, -1, -1)
    return torch.cat([expanded, sparse_embeddings.expand(num_prompts, -1, -1)], dim=1)


def _arithmetic_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The number format that matrix products of a tensor are computed in: autocast's where it is on."""
    device_type = tensor.device.type
    return torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else tensor.dtype


def _two_way_transformer(
    transformer: Sam2TwoWayTransformer, tokens: torch.Tensor, image_tokens: torch.Tensor, positions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    queries, keys = tokens, image_tokens
    blocks = cast("list[Sam2TwoWayAttentionBlock]", list(transformer.layers))
    for index, block in enumerate(blocks):
        # The first self-attention sees the tokens alone: they are their own positions.
        query = queries if index == 0 else queries + tokens
        attended = _attention(block.self_attn, query, query, queries)
        queries = block.layer_norm1(attended if index == 0 else queries + attended)
        placed = keys + positions
        queries = block.layer_norm2(
            queries + _attention(block.cross_attn_token_to_image, queries + tokens, placed, keys)
        )
        queries = block.layer_norm3(queries + block.mlp(queries))
        keys = block.layer_norm4(keys + _attention(block.cross_attn_image_to_token, placed, queries + tokens, queries))
    attended = _attention(transformer.final_attn_token_to_image, queries + tokens, keys + positions, keys)
    return transformer.layer_norm_final_attn(queries + attended), keys


def _attention(attention: Sam2Attention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Multi-head attention; a batch of 1 on the image's side is projected once and shared by all prompts."""
    batch, num_heads = max(len(query), len(key)), attention.num_attention_heads
    attend = _attend_to_few if _has_few_keys(query, key) else F.scaled_dot_product_attention
    attended = attend(
        _heads(attention.q_proj(query), num_heads, batch),
        _heads(attention.k_proj(key), num_heads, batch),
        _heads(attention.v_proj(value), num_heads, batch),
    )
    output: torch.Tensor = attention.o_proj(attended.transpose(1, 2).flatten(2))
    return output


def _has_few_keys(query: torch.Tensor, key: torch.Tensor) -> bool:
    """Whether the fused kernel, made for long lists of keys, is the slow way: on a CPU, a whole image attending to a prompt's tokens."""
    return query.device.type == "cpu" and query.shape[1] >= _MANY_QUERIES * key.shape[1]


def _attend_to_few(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Scaled dot-product attention by its formula, with the long side innermost in memory."""
    scores = (key * query.shape[-1] ** -0.5) @ query.transpose(-1, -2)
    attended: torch.Tensor = scores.softmax(dim=-2).transpose(-1, -2) @ value
    return attended


def _heads(tokens: torch.Tensor, num_heads: int, batch: int) -> torch.Tensor:
    """Split B x N x C into `batch` x heads x N x C / heads, repeating a batch of 1 without a copy."""
    return tokens.reshape(len(tokens), tokens.shape[1], num_heads, -1).transpose(1, 2).expand(batch, -1, -1, -1)
