"""Compiled parts beside torch on the same input.

OpenVINO's graph transformations and kernels depend on its version and on the processor, and some have been wrong: attention in windows after a
conversion, attention of small windows in bf16. Nothing is trusted before it has agreed with torch where it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.openvino.int8 import HELD_OUT, picture_pixel_values
from sam2_adapter.models.network.image_encoder import EncodedImages, encode_image
from sam2_adapter.models.network.mask_decoder import decode_masks, image_position_tokens
from sam2_adapter.models.network.prompt_encoder import EncodedPrompts

if TYPE_CHECKING:
    from transformers import Sam2Model

# Largest mean difference of fp32 results, as a part of their mean size.
_MAX_ERROR_FP32 = 1e-4

# Largest error in bf16 and in int8, as a multiple of the error of torch's own bf16 autocast on the same input.
_MAX_ERROR_OF_BF16 = 1.3

# An error in bf16 up to this is rounding in any case; of a few numbers more, as their mean is left to chance.
_ROUNDING_BF16 = 0.02
_ROUNDING_BF16_OF_FEW = 0.1
_FEW = 1000

# Prompts and their tokens in the comparison of the decoder.
_NUM_PROMPTS = 3
_NUM_TOKENS = 4

Tensors = tuple[torch.Tensor, ...]
Computation = Callable[..., Tensors]


def check_encoder(model: Sam2Model, compiled: Computation, precision: str) -> None:
    """Compare a compiled image encoder with torch; arguments and errors as in `require_agreement`."""
    pixel_values = _typical_input(model, precision)

    def reference() -> Tensors:
        encoded = encode_image(model, pixel_values)
        return encoded.image_embedding, *encoded.high_res_features

    require_agreement("image encoder", precision, compiled(pixel_values), reference)


def _typical_input(model: Sam2Model, precision: str) -> torch.Tensor:
    """1 x 3 x S x S pixel values; for int8, whose weights were rounded for typical pictures, one that is none of those."""
    prompt_encoder: Any = model.prompt_encoder
    size: int = prompt_encoder.input_image_size
    if precision == "int8":
        return picture_pixel_values(HELD_OUT, size)
    # A smooth picture with some noise, in the range of normalised pixel values.
    waves = torch.linspace(0, 20, size).sin()
    noise = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    return waves[:, None] + waves.roll(size // 3)[None] + 0.2 * noise


def check_image_side(model: Sam2Model, compiled: Computation, precision: str) -> None:
    """Compare a compiled image side of the decoder with torch, without and with mask input; as in `require_agreement`."""
    for images, prompts in _questions(model):
        outputs = compiled(*image_side_inputs(images, prompts.dense_embeddings))
        require_agreement("image side of the decoder", precision, outputs, partial(_image_side, model, images, prompts))


def check_decoder(model: Sam2Model, compiled: Computation, precision: str) -> None:
    """Compare a compiled mask decoder with torch, without and with mask input; as in `require_agreement`."""
    for images, prompts in _questions(model):
        with torch.inference_mode():
            side = _image_side(model, images, prompts)
        outputs = compiled(*side, prompts.sparse_embeddings)
        require_agreement("mask decoder", precision, outputs, partial(decode_masks, model, images, prompts))


def image_side_inputs(images: EncodedImages, dense_embeddings: torch.Tensor) -> Tensors:
    """What the graph of the decoder's image side takes, in its order."""
    return images.image_embedding, *images.high_res_features, dense_embeddings


def _questions(model: Sam2Model) -> Iterator[tuple[EncodedImages, EncodedPrompts]]:
    """Random prompts about a random image, without and with mask input."""
    generator = torch.Generator().manual_seed(0)
    prompt_encoder: Any = model.prompt_encoder
    channels, (height, width) = prompt_encoder.hidden_size, prompt_encoder.image_embedding_size
    images = EncodedImages(
        torch.randn(1, channels, height, width, generator=generator),
        (
            torch.randn(1, channels // 8, 4 * height, 4 * width, generator=generator),
            torch.randn(1, channels // 4, 2 * height, 2 * width, generator=generator),
        ),
    )
    sparse = torch.randn(_NUM_PROMPTS, _NUM_TOKENS, channels, generator=generator)
    no_mask = prompt_encoder.no_mask_embed.weight.detach().view(1, -1, 1, 1)
    for dense in (no_mask, torch.randn(_NUM_PROMPTS, channels, height, width, generator=generator)):
        yield images, EncodedPrompts(sparse, dense)


def _image_side(model: Sam2Model, images: EncodedImages, prompts: EncodedPrompts) -> Tensors:
    """The parts of `ImageSide`, computed by torch."""
    decoder: Any = model.mask_decoder
    first = decoder.transformer.layers[0]
    to_image, from_image = first.cross_attn_token_to_image, first.cross_attn_image_to_token
    tokens = (images.image_embedding + prompts.dense_embeddings).flatten(2).transpose(1, 2)
    placed = tokens + image_position_tokens(model)
    projections = ((to_image.k_proj, placed), (to_image.v_proj, tokens), (from_image.q_proj, placed))
    num_heads = to_image.num_attention_heads
    heads = [layer(x).reshape(*x.shape[:2], num_heads, -1).transpose(1, 2) for layer, x in projections]
    fine, middle = images.high_res_features
    halves = F.pixel_unshuffle(middle, 2).reshape(1, middle.shape[1], 4, -1)
    quarters = F.pixel_unshuffle(F.pixel_unshuffle(fine, 2), 2).reshape(1, fine.shape[1], 4, 4, -1)
    return (
        tokens,
        *heads,
        quarters.permute(0, 4, 3, 2, 1).flatten(1, 3) + decoder.upscale_conv2.bias,
        halves.permute(0, 3, 2, 1).flatten(1, 2) + decoder.upscale_conv1.bias,
    )


def require_agreement(part: str, precision: str, computed: Tensors, reference: Callable[[], Tensors]) -> None:
    """Compare what OpenVINO computed with torch.

    Args:
        part: name of the part, for the message.
        precision: `fp32`, `bf16` or `int8`, as `computed` was.
        computed: the outputs.
        reference: computes the same outputs with torch, under the caller's autocast.

    Raises:
        ConfigError: they differ by more than the precision explains.
    """
    expected = _computed(reference, autocast=False)
    errors = _errors(computed, expected)
    limits = _limits(precision, reference, expected)
    if any(not error <= limit for error, limit in zip(errors, limits, strict=True)):
        raise ConfigError(
            f"On this machine OpenVINO computes the {part} in {precision} with errors of {_percent(errors)}, where at most "
            f"{_percent(limits)} can be rounding. Use runtime=torch, or another precision or version of OpenVINO."
        )


def relative_error(computed: torch.Tensor, expected: torch.Tensor) -> float:
    """Mean difference as a part of the mean size of what is expected."""
    return float((computed.float() - expected).abs().mean() / expected.abs().mean().clamp_min(1e-12))


def _computed(reference: Callable[[], Tensors], autocast: bool) -> Tensors:
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        return reference()


def _limits(precision: str, reference: Callable[[], Tensors], expected: Tensors) -> list[float]:
    if precision == "fp32":
        return [_MAX_ERROR_FP32] * len(expected)
    errors = _errors(_computed(reference, autocast=True), expected)
    # Errors in int8 come of the weights, too: none is taken for mere rounding.
    rounding = [_rounding(output) if precision == "bf16" else 0.0 for output in expected]
    return [max(_MAX_ERROR_OF_BF16 * error, least) for error, least in zip(errors, rounding, strict=True)]


def _rounding(output: torch.Tensor) -> float:
    return _ROUNDING_BF16_OF_FEW if output.numel() < _FEW else _ROUNDING_BF16


def _errors(computed: Tensors, expected: Tensors) -> list[float]:
    return [relative_error(one, other) for one, other in zip(computed, expected, strict=True)]


def _percent(errors: Sequence[float]) -> str:
    return " / ".join(f"{error:.3%}" for error in errors)
