"""The nano model for training: built, initialised so that it learns fast, run through the package's own forward pass, and saved."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Sam2Model
from transformers.models.sam2.modeling_sam2 import Sam2Attention, Sam2MultiScaleAttention, do_pool

from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.sam2_config import sam2_config
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.mask_decoder import DecodedMasks, decode_masks
from sam2_adapter.models.network.prompt_encoder import EncodedPrompts, encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors

PATCH_SIZE = 16
# Channels of the throw-away head: foreground, boundary, distances to the left, top, right and bottom of the object's box.
DENSE_CHANNELS = 6

# Frequencies of the positional encoding, in periods per half image: from almost linear to a quarter period in 8 px of 256.
_LOWEST_FREQUENCY, _HIGHEST_FREQUENCY = 0.1, 4.0
_ATTENTION_GAIN = 2.0
_TOKEN_STD = 0.7


class NanoTrainer(nn.Module):
    """The model with a dense head on its finest features that is thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        config = sam2_config(get_architecture("sam2_nano"))
        self.model = Sam2Model(config)
        self.dense_head = nn.Conv2d(config.vision_config.fpn_hidden_size, DENSE_CHANNELS, 1)

    def set_image_size(self, image_size: int) -> None:
        """Let the model take squares of `image_size` pixels; every weight stays valid."""
        encoder = self.model.prompt_encoder
        side = image_size // PATCH_SIZE
        encoder.input_image_size = image_size
        encoder.image_embedding_size = (side, side)
        encoder.mask_input_size = (4 * side, 4 * side)

    def encode(self, pixel_values: torch.Tensor) -> tuple[EncodedImages, torch.Tensor]:
        """Encode images B x 3 x S x S; also the dense head's B x DENSE_CHANNELS x S/4 x S/4 outputs."""
        fine, middle, coarse = self.model.vision_encoder(pixel_values).fpn_hidden_states
        decoder = self.model.mask_decoder
        embedding = coarse + self.model.no_memory_embedding.view(1, -1, 1, 1)
        return EncodedImages(embedding, (decoder.conv_s0(fine), decoder.conv_s1(middle))), self.dense_head(fine)

    def decode(
        self,
        images: EncodedImages,
        positions: torch.Tensor,
        points: torch.Tensor | None,
        labels: torch.Tensor | None,
        boxes: torch.Tensor | None,
        mask_input: torch.Tensor | None = None,
    ) -> DecodedMasks:
        """Decode P prompts for each of B images; prompts are B x P x ..., results (B P) x 4 x h x w."""
        given = next(part for part in (points, boxes) if part is not None)
        flat = [None if part is None else part.flatten(0, 1) for part in (points, labels, boxes, mask_input)]
        encoded = encode_prompts(self.model, PromptTensors(*flat))
        dtype = images.image_embedding.dtype
        prompts = EncodedPrompts(encoded.sparse_embeddings.to(dtype), encoded.dense_embeddings.to(dtype))
        return decode_masks(self.model, _repeat(images, given.shape[1]), prompts, positions)

    def low_precision_copy(self) -> NanoTrainer:
        """A copy in bf16 for fast arithmetic; frequencies of positions stay in fp32, rounded they would be other places."""
        twin = copy.deepcopy(self)
        encodings = (twin.model.shared_image_embedding, twin.model.prompt_encoder.shared_embedding)
        frequencies = [encoding.positional_embedding.clone() for encoding in encodings]
        twin.bfloat16()
        for encoding, values in zip(encodings, frequencies, strict=True):
            encoding.positional_embedding = values
        use_lean_attention(twin)
        return twin


def initialise(trainer: NanoTrainer, seed: int) -> None:
    """Give all weights their starting values; see docs/nano.md for the reasons."""
    torch.manual_seed(seed)
    for module in trainer.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    model = trainer.model
    tokens = (model.prompt_encoder, model.mask_decoder)
    with torch.no_grad():
        for embedding in (m for part in tokens for m in part.modules() if isinstance(m, nn.Embedding)):
            embedding.weight.normal_(0, _TOKEN_STD)
        for attention in (m for m in model.modules() if isinstance(m, Sam2Attention)):
            _look_at_the_same_place(attention)
        for encoding in (model.shared_image_embedding, model.prompt_encoder.shared_embedding):
            encoding.positional_embedding.copy_(_frequencies(encoding.positional_embedding.shape[1], seed))
        backbone = model.vision_encoder.backbone
        _encode_position(backbone.pos_embed)
        backbone.pos_embed_window.normal_(0, 0.02)
        model.no_memory_embedding.zero_()


def use_lean_attention(trainer: NanoTrainer) -> None:
    """Swap the encoder's attention for the same arithmetic on plain matrix products, which is faster on a CPU at this size."""
    for module in trainer.modules():
        if isinstance(module, Sam2MultiScaleAttention):
            module.forward = _LeanAttention(module)


def save_weights(state: dict[str, torch.Tensor], path: Path) -> None:
    """Write a `Sam2Model` state dict in fp16, atomically."""
    tensors = {name: value.detach().to("cpu", torch.float16).contiguous().clone() for name, value in state.items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"format": "pt"})
    temporary.chmod(0o644)
    temporary.replace(path)


class _LeanAttention:
    """`Sam2MultiScaleAttention.forward` on plain matrix products."""

    def __init__(self, module: Sam2MultiScaleAttention) -> None:
        self.module = module

    def __call__(self, hidden_states: torch.Tensor, **_: object) -> torch.Tensor:
        """Attend within windows B x H x W x C."""
        module = self.module
        batch, height, width, _channels = hidden_states.shape
        qkv = module.qkv(hidden_states).reshape(batch, height * width, 3, module.num_attention_heads, -1)
        query, key, value = qkv.unbind(2)
        if module.query_stride:
            pooled = do_pool(query.reshape(batch, height, width, -1), module.query_stride)
            height, width = pooled.shape[1:3]
            query = pooled.reshape(batch, height * width, module.num_attention_heads, -1)
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        weights = torch.softmax((query * module.scale) @ key.transpose(-2, -1), dim=-1, dtype=query.dtype)
        return module.proj((weights @ value).transpose(1, 2).reshape(batch, height, width, -1))


def _look_at_the_same_place(attention: Sam2Attention) -> None:
    # Equal query and key weights make attention a kernel of the distance between positional encodings from the first step on.
    attention.q_proj.weight.mul_(_ATTENTION_GAIN)
    attention.q_proj.bias.zero_()
    attention.k_proj.weight.copy_(attention.q_proj.weight)
    attention.k_proj.bias.zero_()


def _frequencies(count: int, seed: int) -> torch.Tensor:
    """2 x count: three quarters along one axis with geometric magnitudes, the rest in random directions."""
    rng = np.random.default_rng(seed)
    per_axis = count * 3 // 8
    magnitudes = np.geomspace(_LOWEST_FREQUENCY, _HIGHEST_FREQUENCY, per_axis)
    zeros = np.zeros(per_axis)
    free = rng.normal(0, 1, (2, count - 2 * per_axis))
    return torch.from_numpy(np.concatenate([[magnitudes, zeros], [zeros, magnitudes], free], axis=1)).float()


def _encode_position(pos_embed: torch.Tensor) -> None:
    """Fill 1 x C x h x w with slow waves along each axis and small noise."""
    _, channels, height, width = pos_embed.shape
    pos_embed.normal_(0, 0.02)
    y = torch.linspace(-1, 1, height)[:, None].expand(height, width)
    x = torch.linspace(-1, 1, width)[None].expand(height, width)
    waves = [
        wave(2 * np.pi * f * axis) for f in (0.125, 0.25, 0.5, 1) for wave in (torch.sin, torch.cos) for axis in (x, y)
    ]
    pos_embed[0, : len(waves)] += 0.5 * torch.stack(waves)[:channels]


def _repeat(images: EncodedImages, times: int) -> EncodedImages:
    return images.map(lambda level: level.repeat_interleave(times, 0))
