"""Encoder and decoder compiled by OpenVINO for this machine: made, compared with torch, kept on disk, executed."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from transformers import Sam2Model

from sam2_adapter.model import openvino_decoder, openvino_encoder, openvino_ops
from sam2_adapter.model.checkpoint import weights_sha256
from sam2_adapter.model.compiled_cache import CompiledCache
from sam2_adapter.model.decode import decode_masks
from sam2_adapter.model.encode import EncodedImages, EncodedPrompts, encode_image
from sam2_adapter.model.openvino_check import require_agreement

logger = logging.getLogger(__name__)

_PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16"}

# Tensors that `encode_image` uses, by transformers' names; the decoder has the others.
_ENCODER_PREFIXES = ("vision_encoder.", "no_memory_embedding", "mask_decoder.conv_s0.", "mask_decoder.conv_s1.")

# Prompts and their tokens in the comparison of the decoder with torch.
_CHECKED_PROMPTS = 3
_CHECKED_TOKENS = 4

Tensors = tuple[torch.Tensor, ...]


class CompiledPart:
    """A compiled model; calls are safe from many threads."""

    def __init__(self, compiled: Any) -> None:
        """Execute OpenVINO's `CompiledModel`."""
        self._compiled = compiled
        self._idle: list[Any] = []

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs, float32, of inputs in the order of the graph."""
        # Lists append and pop atomically; a request serves one call at a time.
        request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
        arrays = [tensor.detach().float().contiguous().numpy() for tensor in inputs]
        outputs = request.infer(arrays, share_inputs=True)
        self._idle.append(request)
        return tuple(torch.from_numpy(outputs[index]) for index in range(len(self._compiled.outputs)))


@dataclass(frozen=True)
class Part:
    """How a part of the model is made.

    Attributes:
        name: `encoder` or `decoder`.
        graph: builds it with the model's weights.
        check: compares it with torch; raises ConfigError.
    """

    name: str
    graph: Callable[[Sam2Model], ov.Model]
    check: Callable[[Sam2Model, CompiledPart, str], None]

    def owns(self, tensor_name: str) -> bool:
        """Whether a tensor of the model, by transformers' name, belongs to this part."""
        return tensor_name.startswith(_ENCODER_PREFIXES) == (self.name == "encoder")


def load_part(part: Part, model: Sam2Model, precision: str, cache: CompiledCache) -> CompiledPart:
    """Take a part from the cache; if it is not there, compile it, compare it with torch and keep it.

    Args:
        part: `ENCODER` or `DECODER`.
        model: on the CPU.
        precision: `fp32` or `bf16`.
        cache: where compiled parts are kept.

    Raises:
        ConfigError: what was compiled does not agree with torch.
    """
    name = entry_name(part, model, precision)
    if (ready := _from_cache(name, precision, cache)) is not None:
        return ready
    with cache.making(name):
        # Another process may have made it while this one waited.
        if (ready := _from_cache(name, precision, cache)) is not None:
            return ready
        return _make(part, name, model, precision, cache)


def entry_name(part: Part, model: Sam2Model, precision: str) -> str:
    """Name in the cache: whatever the compiled part depends on changes it."""
    weights = {name: tensor for name, tensor in model.state_dict().items() if part.owns(name)}
    core = ov.Core()
    facts = {
        "weights": weights_sha256(weights),
        "config": model.config.to_dict(),
        "graph": [_source_sha256(module) for module in (openvino_ops, openvino_encoder, openvino_decoder)],
        "versions": [ov.get_version(), torch.__version__],
        "processor": [
            platform.machine(),
            core.get_property("CPU", "FULL_DEVICE_NAME"),
            sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            torch.cpu.get_capabilities(),
        ],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return f"{part.name}-{precision}-{digest[:32]}"


def _from_cache(name: str, precision: str, cache: CompiledCache) -> CompiledPart | None:
    content = cache.read(name)
    if content is None:
        return None
    try:
        return CompiledPart(ov.Core().import_model(content, "CPU", _settings(precision)))
    except RuntimeError as error:
        logger.warning("OpenVINO does not take %s from the cache; it is made again: %s", name, error)
        return None


def _make(part: Part, name: str, model: Sam2Model, precision: str, cache: CompiledCache) -> CompiledPart:
    logger.info(
        "compiling the %s for OpenVINO in %s; once for these weights on this machine", part.name, precision
    )
    start = time.perf_counter()
    compiled = ov.Core().compile_model(part.graph(model), "CPU", _settings(precision))
    made = CompiledPart(compiled)
    part.check(model, made, precision)
    cache.write(name, compiled.export_model().getvalue())
    logger.info("compiled and compared with torch in %.1f s", time.perf_counter() - start)
    return made


def _settings(precision: str) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        # Pinned threads of two processes would fight for the same cores.
        "ENABLE_CPU_PINNING": False,
    }


def _check_encoder(model: Sam2Model, compiled: CompiledPart, precision: str) -> None:
    size = model.prompt_encoder.input_image_size
    # A smooth picture with some noise, in the range of normalised pixel values.
    waves = torch.linspace(0, 20, size).sin()
    noise = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    pixel_values = waves[:, None] + waves.roll(size // 3)[None] + 0.2 * noise

    def reference() -> Tensors:
        encoded = encode_image(model, pixel_values)
        return encoded.image_embedding, *encoded.high_res_features

    require_agreement("image encoder", precision, compiled(pixel_values), reference)


def _check_decoder(model: Sam2Model, compiled: CompiledPart, precision: str) -> None:
    generator = torch.Generator().manual_seed(0)
    encoder: Any = model.prompt_encoder
    channels, (height, width) = encoder.hidden_size, encoder.image_embedding_size
    images = EncodedImages(
        torch.randn(1, channels, height, width, generator=generator),
        (
            torch.randn(1, channels // 8, 4 * height, 4 * width, generator=generator),
            torch.randn(1, channels // 4, 2 * height, 2 * width, generator=generator),
        ),
    )
    sparse = torch.randn(_CHECKED_PROMPTS, _CHECKED_TOKENS, channels, generator=generator)
    no_mask = encoder.no_mask_embed.weight.detach().view(1, -1, 1, 1)
    for dense in (no_mask, torch.randn(_CHECKED_PROMPTS, channels, height, width, generator=generator)):
        prompts = EncodedPrompts(sparse, dense)
        outputs = compiled(*decoder_inputs(images, prompts))
        require_agreement("mask decoder", precision, outputs, lambda: decode_masks(model, images, prompts))  # noqa: B023


def decoder_inputs(images: EncodedImages, prompts: EncodedPrompts) -> Tensors:
    """What the decoder's graph takes, in its order."""
    return images.image_embedding, *images.high_res_features, *prompts


def _source_sha256(module: Any) -> str:
    return hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()


ENCODER = Part("encoder", openvino_encoder.encoder_graph, _check_encoder)
DECODER = Part("decoder", openvino_decoder.decoder_graph, _check_decoder)
