"""Encoder, decoder and what the latter computes of an image alone, compiled for this machine: made, compared with torch, kept on disk.

Each is kept by its own weights, so that a fine-tuned model finds the encoder that it shares with its origin.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import openvino as ov
import torch

from sam2_adapter import __version__
from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.openvino import (
    attention,
    check,
    compiled_graph,
    decoder,
    encoder,
    int8,
    ops,
    tokens,
)
from sam2_adapter.models.engines.openvino.check import check_decoder, check_encoder, check_image_side
from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph, cpu_facts
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.weights.checkpoint import weights_sha256

if TYPE_CHECKING:
    from transformers import Sam2Model

logger = logging.getLogger(__name__)

_MODULES = (
    ops,
    tokens,
    attention,
    encoder,
    decoder,
    int8,
    compiled_graph,
    check,
)

# Tensors that `encode_image` uses, by transformers' names; the decoder has the others.
_ENCODER_PREFIXES = ("vision_encoder.", "no_memory_embedding", "mask_decoder.conv_s0.", "mask_decoder.conv_s1.")


@dataclass(frozen=True)
class ModelPart:
    """How a part of the model is made.

    Attributes:
        name: `encoder`, `image_side` or `decoder`.
        numbers: attributes of the architecture that describe it.
        graph: builds it with the model's weights.
        check: compares it with torch; raises ConfigError.
        fuse_attention: whether attention in fp32 is compiled into one kernel.
    """

    name: str
    numbers: tuple[str, ...]
    graph: Callable[[Sam2Model], ov.Model]
    check: Callable[[Sam2Model, CompiledGraph, str], None]
    fuse_attention: bool

    def weights(self, loaded: LoadedModel) -> dict[str, torch.Tensor]:
        """The tensors of the model, by transformers' names, that belong to this part."""
        is_encoder = self.name == "encoder"
        return {
            name: tensor for name, tensor in loaded.state.items() if name.startswith(_ENCODER_PREFIXES) == is_encoder
        }


ENCODER = ModelPart(
    "encoder",
    ("image_size", "hiera", "fpn_hidden_size", "fpn_top_down_levels"),
    encoder.encoder_graph,
    check_encoder,
    fuse_attention=True,
)
IMAGE_SIDE = ModelPart(
    "image_side",
    ("image_size", "fpn_hidden_size", "decoder"),
    decoder.image_side_graph,
    check_image_side,
    fuse_attention=True,
)
# The fused kernel takes one and a half times as long for the few tokens of a prompt, which attend to a whole image. In bf16 it is the more exact
# one, as it does not round the scores.
DECODER = ModelPart(
    "decoder",
    ("image_size", "fpn_hidden_size", "decoder"),
    decoder.decoder_graph,
    check_decoder,
    fuse_attention=False,
)


def load_part(part: ModelPart, loaded: LoadedModel, precision: str, cache: CompiledCache) -> CompiledGraph:
    """Take a part from the cache; if it is not there, compile it, compare it with torch and keep it.

    Args:
        part: `ENCODER`, `IMAGE_SIDE` or `DECODER`.
        loaded: on the CPU.
        precision: `fp32`, `bf16` or, of the encoder, `int8`.
        cache: where compiled parts are kept, and what is known of those that did not agree with torch.

    Raises:
        ConfigError: what was compiled does not agree with torch, now or when it was last tried.
    """
    name = entry_name(part, loaded, precision)
    if (ready := _from_cache(name, precision, cache)) is not None:
        return ready
    with cache.making(name):
        # Another process may have made it while this one waited.
        if (ready := _from_cache(name, precision, cache)) is not None:
            return ready
        try:
            return _make(part, name, loaded.model, precision, cache)
        except ConfigError as error:
            cache.write(_refusal(name), str(error).encode())
            raise


class PartState(NamedTuple):
    """What the cache knows of a part in one precision.

    Attributes:
        is_compiled: it is there.
        is_refused: it did not agree with torch.
    """

    is_compiled: bool
    is_refused: bool


def part_states(
    part: ModelPart, loaded: LoadedModel, precisions: Sequence[str], cache: CompiledCache
) -> dict[str, PartState]:
    """What `load_part` would find, by precision."""
    digest = _digest(part, loaded)
    names = {precision: _entry_name(part, precision, digest) for precision in precisions}
    return {precision: PartState(cache.has(name), cache.has(_refusal(name))) for precision, name in names.items()}


def entry_name(part: ModelPart, loaded: LoadedModel, precision: str) -> str:
    """Name in the cache: whatever the compiled part depends on changes it."""
    return _entry_name(part, precision, _digest(part, loaded))


def _entry_name(part: ModelPart, precision: str, digest: str) -> str:
    return f"{part.name}-{precision}-{digest[:32]}"


def _refusal(name: str) -> str:
    """Entry that says why a part was not kept."""
    return f"{name}-refused"


def _digest(part: ModelPart, loaded: LoadedModel) -> str:
    numbers = loaded.architecture.to_dict()
    facts = {
        "weights": weights_sha256(part.weights(loaded)),
        "numbers": [numbers[name] for name in part.numbers],
        "versions": [__version__, version("transformers"), torch.__version__],
        # The version stays the same while these are being worked on.
        "code": [inspect.getsource(module) for module in _MODULES],
        "machine": [platform.machine(), cpu_facts(), torch.cpu.get_capabilities()],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _from_cache(name: str, precision: str, cache: CompiledCache) -> CompiledGraph | None:
    if (reason := cache.read(_refusal(name))) is not None:
        raise ConfigError(reason.decode())
    content = cache.read(name)
    if content is None:
        return None
    try:
        return CompiledGraph.from_bytes(content, precision)
    except RuntimeError as error:
        logger.warning("OpenVINO does not take %s from the cache; it is made again: %s", name, error)
        return None


def _make(part: ModelPart, name: str, model: Sam2Model, precision: str, cache: CompiledCache) -> CompiledGraph:
    logger.info("compiling the %s for OpenVINO in %s; once for these weights on this machine", part.name, precision)
    start = time.perf_counter()
    graph = part.graph(model)
    if precision == "int8":
        int8.round_products(graph, int8.sample_pixel_values(model))
    made = CompiledGraph.of(graph, precision, part.fuse_attention or precision != "fp32")
    part.check(model, made, precision)
    cache.write(name, made.to_bytes())
    logger.info("compiled and compared with torch in %.1f s", time.perf_counter() - start)
    return made
