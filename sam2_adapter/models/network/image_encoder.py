"""The image encoder, composed from the model's weights for prediction: Hiera, its neck, and the decoder's projections of it.

Steps and names follow `Sam2HieraDetModel` and `Sam2VisionNeck` of transformers (Hiera, https://arxiv.org/abs/2306.00989). Against the
library's own modules this one widens no fine level to the neck's width only to narrow it again and computes no position encodings that
nobody reads. In bf16 and fp16 it rounds where autocast rounds, but weights once, when it is made. Images stay channels-last, B x h x w x C,
from the patches to the last projection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from sam2_adapter.models.families.architectures import family_of_model

if TYPE_CHECKING:
    from transformers import Sam2Model


class EncodedImages(NamedTuple):
    """What the mask decoder needs to know about a batch of images.

    Attributes:
        image_embedding: B x C x h x w, coarsest level with the no-memory embedding added.
        high_res_features: B x C/8 x 4h x 4w and B x C/4 x 2h x 2w, projected for the decoder.
    """

    image_embedding: torch.Tensor
    high_res_features: tuple[torch.Tensor, torch.Tensor]

    @property
    def num_images(self) -> int:
        """B."""
        return len(self.image_embedding)

    def images(self, rows: slice) -> EncodedImages:
        """Some of the images, sharing memory."""
        return self.map(lambda level: level[rows])

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> EncodedImages:
        """The same with every level changed."""
        fine, middle = self.high_res_features
        return EncodedImages(change(self.image_embedding), (change(fine), change(middle)))

    def to(self, device: str | torch.device) -> EncodedImages:
        """The same on a device."""
        return self.map(lambda level: level.to(device))

    @classmethod
    def stack(cls, batches: Sequence[EncodedImages]) -> EncodedImages:
        """The images of several batches after one another."""
        fine, middle = (torch.cat([batch.high_res_features[level] for batch in batches]) for level in (0, 1))
        return cls(torch.cat([batch.image_embedding for batch in batches]), (fine, middle))


class ImageEncoder(nn.Module):
    """Pixel values B x 3 x S x S to `EncodedImages`. Weights that change later are not noticed."""

    def __init__(self, model: Sam2Model, dtype: torch.dtype = torch.float32) -> None:
        """Take the weights of a model.

        Args:
            model: fp32.
            dtype: of everything but the norms, which are fp32; fp32 weights are shared with the model, others are copies.
        """
        super().__init__()
        backbone: Any = model.vision_encoder.backbone
        prompt_encoder: Any = model.prompt_encoder
        self.patch_embedding = _PatchEmbedding(backbone, prompt_encoder.input_image_size, dtype)
        self.blocks = nn.ModuleList(_Block(block, dtype) for block in backbone.blocks)
        self.stage_ends: list[int] = list(backbone.stage_ends)
        self.neck = _Neck(model, dtype)

    def forward(self, pixel_values: torch.Tensor) -> EncodedImages:
        """Encode a batch of images."""
        x = self.patch_embedding(pixel_values)
        stages = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                stages.append(x)
        return self.neck(stages)  # type: ignore[no-any-return]


class _Linear(nn.Module):
    """A linear layer on ... x C in one number format."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().to(dtype))
        self.register_buffer("bias", bias.detach().to(dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


class _Norm(nn.Module):
    """Layer normalisation of ... x C over C, computed in fp32."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.eps = norm.eps
        self.register_buffer("weight", norm.weight.detach())
        self.register_buffer("bias", norm.bias.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x.float(), self.weight.shape, self.weight, self.bias, self.eps).to(x.dtype)


class _PatchEmbedding(nn.Module):
    """Pixel values B x 3 x S x S to patches with their positions, B x h x w x C."""

    weight: torch.Tensor
    positions: torch.Tensor

    def __init__(self, backbone: Any, image_size: int, dtype: torch.dtype) -> None:
        super().__init__()
        conv: Any = backbone.patch_embed.projection
        self.stride: tuple[int, int] = conv.stride
        self.padding: tuple[int, int] = conv.padding
        side = (image_size + 2 * conv.padding[0] - conv.kernel_size[0]) // conv.stride[0] + 1
        weight = conv.weight.detach().to(dtype)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        with torch.no_grad():
            self.register_buffer("positions", backbone._get_pos_embed((side, side)) + conv.bias)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        is_rounded = pixel_values.is_cuda and self.weight.dtype == torch.float32  # cuDNN would multiply in TF32
        patches = self.multiplied(pixel_values) if is_rounded else self.convolved(pixel_values)
        return (patches + self.positions).to(self.weight.dtype)

    def convolved(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Project patches as a convolution."""
        pixels = pixel_values.to(self.weight.dtype, memory_format=torch.channels_last)
        return F.conv2d(pixels, self.weight, None, self.stride, self.padding).permute(0, 2, 3, 1)

    def multiplied(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Project patches as a matrix product."""
        columns = F.unfold(pixel_values, self.weight.shape[-2:], padding=self.padding, stride=self.stride)
        patches = F.linear(columns.transpose(1, 2), self.weight.flatten(1))
        return patches.reshape(len(patches), *self.positions.shape[1:])


class _Block(nn.Module):
    """One transformer block on B x h x w x C."""

    def __init__(self, block: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.window: int = block.window_size
        self.stride: int = block.query_stride[0] if block.query_stride else 1
        self.norm1, self.norm2 = _Norm(block.layer_norm1), _Norm(block.layer_norm2)
        self.attention = _Attention(block.attn, self.stride, dtype)
        self.shortcut = None if block.dim == block.dim_out else _linear(block.proj, dtype)
        self.mlp = _FeedForward(block.mlp, dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(x)
        residual = x if self.shortcut is None else _pooled(self.shortcut(normed), self.stride)
        height, width = residual.shape[1:3]
        attended = self.attention(_partitioned(normed, self.window) if self.window else normed)
        x = residual + (_put_together(attended, (height, width)) if self.window else attended)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class _FeedForward(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, mlp: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.widen, self.narrow = _linear(mlp.proj_in, dtype), _linear(mlp.proj_out, dtype)
        self.activation = mlp.activation
        self._has_exact_gelu = _is_exact_gelu(mlp.activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        is_fused = x.is_cuda and x.dtype != torch.float32 and self._has_exact_gelu
        hidden = widened_with_gelu(x, self.widen) if is_fused else self.activation(self.widen(x))
        return self.narrow(hidden)  # type: ignore[no-any-return]


def _is_exact_gelu(activation: nn.Module) -> bool:
    from transformers.activations import GELUActivation

    return isinstance(activation, nn.GELU | GELUActivation)


def widened_with_gelu(x: torch.Tensor, layer: _Linear) -> torch.Tensor:
    """A linear layer and its GELU in one kernel on a GPU, which has the GELU's tanh form: its difference is an eighth of bf16's rounding."""
    flat = torch._addmm_activation(layer.bias, x.reshape(-1, x.shape[-1]), layer.weight.t(), use_gelu=True)
    return flat.reshape(*x.shape[:-1], -1)


class _Attention(nn.Module):
    """Multi-head attention inside each of W x h x w x C; queries pooled by `stride`."""

    def __init__(self, attention: Any, stride: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.num_heads: int = attention.num_attention_heads
        self.scale: float = attention.scale
        self.stride = stride
        self.qkv, self.proj = _linear(attention.qkv, dtype), _linear(attention.proj, dtype)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        count, height, width, _ = windows.shape
        query, key, value = self.qkv(windows).chunk(3, dim=-1)
        query = _pooled(query, self.stride)
        query, key, value = (self._heads(x) for x in (query, key, value))
        attended = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        merged = attended.transpose(1, 2).reshape(count, height // self.stride, width // self.stride, -1)
        return self.proj(merged)  # type: ignore[no-any-return]

    def _heads(self, tokens: torch.Tensor) -> torch.Tensor:
        """W x h x w x C to W x heads x (h w) x C / heads."""
        count, height, width, channels = tokens.shape
        return tokens.reshape(count, height * width, self.num_heads, channels // self.num_heads).transpose(1, 2)


class _Neck(nn.Module):
    """The stages' outputs to the three levels that the decoder takes."""

    no_memory: torch.Tensor

    def __init__(self, model: Sam2Model, dtype: torch.dtype) -> None:
        super().__init__()
        neck: Any = model.vision_encoder.neck
        decoder: Any = model.mask_decoder
        convs = list(neck.convs)[::-1]  # the neck lists them from the coarsest stage
        self.top_down: list[int] = list(neck.fpn_top_down_levels)
        projections = [decoder.conv_s0, decoder.conv_s1]
        self.first_wide = next(index for index in range(len(convs)) if index in self.top_down or index > 1)
        self.narrow = nn.ModuleList(
            _Linear(*two_convolutions_as_one(convs[index], projections[index]), dtype)
            for index in range(self.first_wide)
        )
        self.wide = nn.ModuleList(_convolution(conv, dtype) for conv in convs[self.first_wide :])
        self.projections = nn.ModuleList(_convolution(conv, dtype) for conv in projections[self.first_wide :])
        self.register_buffer("no_memory", model.no_memory_embedding.detach().reshape(-1))

    def forward(self, stages: list[torch.Tensor]) -> EncodedImages:
        levels = [self.narrow[index](stages[index]) for index in range(self.first_wide)]
        wide = [lateral(stage) for lateral, stage in zip(self.wide, stages[self.first_wide :], strict=True)]
        for index in range(len(wide) - 2, -1, -1):
            if self.first_wide + index in self.top_down:
                wide[index] = wide[index] + _doubled(wide[index + 1])
        levels += [projection(level) for projection, level in zip(self.projections, wide, strict=False)]
        coarse = wide[2 - self.first_wide] + self.no_memory
        fine, middle, coarse = (level.permute(0, 3, 1, 2).contiguous() for level in (*levels, coarse))
        return EncodedImages(coarse, (fine, middle))


def make_image_encoder(model: Sam2Model, dtype: torch.dtype = torch.float32) -> Callable[[torch.Tensor], EncodedImages]:
    """The image encoder of a model of any family, from pixel values B x 3 x S x S."""
    module, _, name = family_of_model(model).image_encoder.partition(":")
    return getattr(import_module(module), name)(model, dtype)  # type: ignore[no-any-return]


def encode_image(model: Sam2Model, pixel_values: torch.Tensor) -> EncodedImages:
    """Run the image encoder once, in fp32 or under the caller's autocast; `make_image_encoder` is for more."""
    return make_image_encoder(model)(pixel_values)


def _linear(layer: nn.Linear, dtype: torch.dtype) -> _Linear:
    return _Linear(layer.weight, layer.bias, dtype)


def _convolution(conv: nn.Conv2d, dtype: torch.dtype) -> _Linear:
    """A 1 x 1 convolution on channels-last."""
    assert conv.bias is not None
    return _Linear(conv.weight.flatten(1), conv.bias, dtype)


def two_convolutions_as_one(first: Any, second: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of two 1 x 1 convolutions as one."""
    weight = second.weight.detach().flatten(1).double()
    return (
        (weight @ first.weight.detach().flatten(1).double()).float(),
        (weight @ first.bias.detach().double() + second.bias.detach().double()).float(),
    )


def _partitioned(x: torch.Tensor, window: int) -> torch.Tensor:
    """B x h x w x C to W x window x window x C; zeros are added below and to the right where windows do not fit."""
    batch, height, width, channels = x.shape
    if height % window or width % window:
        x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    split = x.reshape(batch, x.shape[1] // window, window, x.shape[2] // window, window, channels)
    return split.transpose(2, 3).reshape(-1, window, window, channels)


def _put_together(windows: torch.Tensor, hw: tuple[int, int]) -> torch.Tensor:
    """Back from W x window x window x C to B x h x w x C."""
    _, window, _, channels = windows.shape
    rows, columns = -(-hw[0] // window), -(-hw[1] // window)
    split = windows.reshape(-1, rows, columns, window, window, channels).transpose(2, 3)
    whole = split.reshape(-1, rows * window, columns * window, channels)
    return whole[:, : hw[0], : hw[1]]


def _pooled(x: torch.Tensor, stride: int) -> torch.Tensor:
    """Maxima of stride x stride cells of B x h x w x C."""
    if stride == 1:
        return x
    return F.max_pool2d(x.permute(0, 3, 1, 2), stride, stride).permute(0, 2, 3, 1)


def _doubled(x: torch.Tensor) -> torch.Tensor:
    """Each pixel of B x h x w x C four times."""
    batch, height, width, channels = x.shape
    cells = x[:, :, None, :, None].expand(-1, -1, 2, -1, 2, -1)
    return cells.reshape(batch, 2 * height, 2 * width, channels)
