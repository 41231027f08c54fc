"""The model executed by OpenVINO on the CPU.

Encoder and decoder are compiled once for a machine and kept on disk, each by its own weights: a fine-tuned model finds the encoder that it
shares with its origin. The prompt encoder is cheap and stays with torch, where coordinates keep their fp32.
"""

from __future__ import annotations

import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.model.compiled_cache import CompiledCache
from sam2_adapter.model.decode import DecodedMasks
from sam2_adapter.model.image_encoder import EncodedImages
from sam2_adapter.model.loading import LoadedModel
from sam2_adapter.model.openvino_check import decoder_inputs
from sam2_adapter.model.openvino_compiled import has_bf16
from sam2_adapter.model.openvino_parts import DECODER, ENCODER, entry_name, load_part
from sam2_adapter.model.prompt_encoder import PromptEncoder
from sam2_adapter.model.runtime import Precision, cpu_has_int8, resolve_precision


class OpenVinoRuntime:
    """Image encoder and mask decoder compiled by OpenVINO; see `Runtime`."""

    name = "openvino"
    device = "cpu"
    # With more a prompt gets no faster.
    prompts_per_call = 16
    # Neither does an image in a batch.
    images_per_call = 1

    def __init__(
        self, loaded: LoadedModel, cache: CompiledCache, precision: Precision = "auto", with_decoder: bool = True
    ) -> None:
        """Take the compiled parts from the cache, or compile them, compare them with torch and keep them.

        Args:
            loaded: on the CPU; weights that change later are not noticed.
            cache: where compiled parts are kept.
            precision: `auto`, `fp32`, `bf16` or `int8`, which is the encoder's alone.
            with_decoder: whether `decode` will be called.

        Raises:
            ConfigError: the processor does not have the precision, or OpenVINO computes the model wrongly here.
        """
        self.precision = resolve_openvino_precision(precision)
        architecture = loaded.architecture
        self.image_size = architecture.image_size
        self.low_res_hw = (architecture.low_res_mask_size, architecture.low_res_mask_size)
        self._prompt_encoder = PromptEncoder(loaded.state, architecture.image_size)
        self._encoder = load_part(ENCODER, loaded, self.precision, cache)
        decoder_precision = "fp32" if self.precision == "int8" else self.precision
        self._decoder = load_part(DECODER, loaded, decoder_precision, cache) if with_decoder else None

    @torch.inference_mode()
    def encode(self, pixel_values: torch.Tensor) -> EncodedImages:
        """Encode B x 3 x S x S pixel values, one after the other."""
        images = [self._encoder(values[None]) for values in pixel_values]
        embedding, fine, middle = (torch.cat(level) for level in zip(*images, strict=True))
        return EncodedImages(embedding, (fine, middle))

    @torch.inference_mode()
    def decode(
        self,
        images: EncodedImages,
        point_coords: torch.Tensor | None,
        point_labels: torch.Tensor | None,
        box_xyxy: torch.Tensor | None,
        mask_input: torch.Tensor | None,
    ) -> DecodedMasks:
        """Decode P prompts of one shape on one image (B = 1), in pixels of the model's square."""
        assert self._decoder is not None, "this runtime was made without a decoder"
        prompts = self._prompt_encoder(point_coords, point_labels, box_xyxy, mask_input)
        return DecodedMasks(*self._decoder(*decoder_inputs(images, prompts)))


def has_compiled_encoder(loaded: LoadedModel, cache: CompiledCache, precision: Precision = "auto") -> bool:
    """Whether the encoder, by far the larger part, can be taken from the cache."""
    return cache.has(entry_name(ENCODER, loaded, resolve_openvino_precision(precision)))


def resolve_openvino_precision(precision: Precision) -> str:
    """The number format that `auto` stands for, or `precision` itself.

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
    return precision if precision == "int8" else resolve_precision(precision, "cpu")
