"""The model executed by OpenVINO on the CPU.

Encoder and decoder are compiled once for a machine and kept on disk, each by its own weights: a fine-tuned model finds the encoder that it
shares with its origin. The prompt encoder is cheap and stays with torch, where coordinates keep their fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.base import Precision, cpu_has_int8, resolve_precision
from sam2_adapter.models.engines.openvino.check import image_side_inputs
from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.compiled_graph import Tensors, has_bf16
from sam2_adapter.models.engines.openvino.compiled_parts import DECODER, ENCODER, IMAGE_SIDE, load_part, part_states
from sam2_adapter.models.families.sam2 import Sam2Architecture
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.prompt_encoder import EncodedPrompts, PromptEncoder
from sam2_adapter.models.network.prompt_tensors import PromptTensors

# Channels of the first stage. Of all known architectures, the very small one alone has fewer, and gains little.
_LEAST_CHANNELS_FOR_INT8 = 96

# On two cores, rounding the weights and comparing with torch takes about 25 seconds more than compiling in fp32, and an image saves 0.4 seconds.
_INT8_REPAID_BY_IMAGES = 100

# Prompts that are decoded at once, for each thread.
_PROMPTS_PER_THREAD = 2


class OpenVinoRuntime:
    """Image encoder and mask decoder compiled by OpenVINO; see `Runtime`."""

    name = "openvino"
    device = "cpu"
    # What is the same for all prompts takes as long as one of them. The masks of each prompt take 1 MiB.
    prompts_per_call = 32
    # A batch makes no image faster.
    images_per_call = 1

    def __init__(
        self, loaded: LoadedModel, cache: CompiledCache, precision: Precision = "auto", with_decoder: bool = True
    ) -> None:
        """Take the compiled parts from the cache, or compile them, compare them with torch and keep them.

        Args:
            loaded: on the CPU; weights that change later are not noticed.
            cache: where compiled parts are kept.
            precision: `fp32`, `bf16` or `int8`, which is the encoder's alone; `auto` is one of the first two.
            with_decoder: whether `decode` will be called.

        Raises:
            ConfigError: the processor does not have the precision, or OpenVINO computes the model wrongly here.
        """
        self.precision: str = resolve_openvino_precision(precision)
        architecture = loaded.architecture
        self.image_size = architecture.image_size
        self.low_res_hw = (architecture.low_res_mask_size, architecture.low_res_mask_size)
        self._prompt_encoder = PromptEncoder(loaded.state, architecture.image_size)
        self._encoder = load_part(ENCODER, loaded, self.precision, cache)
        self._decoder = _Decoder(loaded, cache, self.precision) if with_decoder else None

    @torch.inference_mode()
    def encode(self, pixel_values: torch.Tensor) -> EncodedImages:
        """Encode B x 3 x S x S pixel values, one after the other."""
        images = [self._encoder(values[None]) for values in pixel_values]
        embedding, fine, middle = (torch.cat(level) for level in zip(*images, strict=True))
        return EncodedImages(embedding, (fine, middle))

    @torch.inference_mode()
    def decode(self, images: EncodedImages, prompts: PromptTensors) -> DecodedMasks:
        """Decode P prompts of one shape on one image (B = 1), in pixels of the model's square."""
        assert self._decoder is not None, "this runtime was made without a decoder"
        return self._decoder(images, self._prompt_encoder(prompts))


class _Decoder:
    """The mask decoder, for a few prompts at a time; what all prompts of an image share is computed once."""

    def __init__(self, loaded: LoadedModel, cache: CompiledCache, precision: str) -> None:
        decoder_precision = "fp32" if precision == "int8" else precision
        self._image_side = load_part(IMAGE_SIDE, loaded, decoder_precision, cache)
        self._prompts = load_part(DECODER, loaded, decoder_precision, cache)
        # Each prompt takes some ten MiB; the caches of the cores hold no more of them.
        self._at_once = _PROMPTS_PER_THREAD * torch.get_num_threads()

    def __call__(self, images: EncodedImages, prompts: EncodedPrompts) -> DecodedMasks:
        """All masks of P prompts."""
        sparse, dense = prompts
        few = [slice(start, start + self._at_once) for start in range(0, len(sparse), self._at_once)]
        if len(dense) == 1:
            parts = self._parts(images, dense, [sparse[rows] for rows in few])
        else:
            parts = [part for rows in few for part in self._parts(images, dense[rows], [sparse[rows]])]
        return DecodedMasks(*(torch.cat(outputs) for outputs in zip(*parts, strict=True)))

    def _parts(self, images: EncodedImages, dense: torch.Tensor, sparse: Sequence[torch.Tensor]) -> list[Tensors]:
        """The outputs for some prompts after others, with one image's side for all."""
        with self._image_side.lent(*image_side_inputs(images, dense)) as side:
            return [self._prompts(*side, part) for part in sparse]


@dataclass(frozen=True)
class EncoderChoice:
    """The number format of the encoder for a job.

    Attributes:
        precision: what `auto` stands for, or what was asked for.
        is_compiled: whether the encoder can be taken from the cache.
        is_refused: whether it did not agree with torch when it was compiled.
        faster: a number format that would be faster, once it is compiled; `None` where there is none.
    """

    precision: Precision
    is_compiled: bool
    is_refused: bool = False
    faster: str | None = None


def choose_encoder(
    loaded: LoadedModel, cache: CompiledCache, precision: Precision = "auto", expected_images: int = 1
) -> EncoderChoice:
    """Find what a `precision` stands for: bf16, else int8 where it pays and is compiled or will be repaid, else fp32.

    Args:
        loaded: the model.
        cache: where compiled parts are kept.
        precision: as it was asked for.
        expected_images: how many images will be encoded.

    Raises:
        ConfigError: the processor does not have it.
    """
    plain = resolve_openvino_precision(precision)
    wants_int8 = precision == "auto" and plain == "fp32" and cpu_has_int8() and _gains_by_int8(loaded)
    states = part_states(ENCODER, loaded, (plain, "int8"), cache)
    if not wants_int8 or states["int8"].is_refused:
        return EncoderChoice(plain, *states[plain])
    if states["int8"].is_compiled or expected_images >= _INT8_REPAID_BY_IMAGES:
        return EncoderChoice("int8", *states["int8"])
    return EncoderChoice(plain, *states[plain], faster="int8")


def _gains_by_int8(loaded: LoadedModel) -> bool:
    return (
        isinstance(loaded.architecture, Sam2Architecture)
        and loaded.architecture.hiera.embed_dim >= _LEAST_CHANNELS_FOR_INT8
    )


def resolve_openvino_precision(precision: Precision) -> Precision:
    """The number format that `auto` stands for when nothing is known of the model, or `precision` itself.

    Raises:
        ConfigError: the processor does not have it.
    """
    if precision == "auto":
        return "bf16" if resolve_precision("auto", "cpu") == "bf16" and has_bf16() else "fp32"
    there = {"bf16": has_bf16, "int8": cpu_has_int8}
    if precision in there and not there[precision]():
        raise ConfigError(
            f"precision = {precision!r} with runtime = 'openvino' needs a processor with {precision} arithmetic; use 'fp32'."
        )
    if precision != "int8":
        resolve_precision(precision, "cpu")
    return precision
