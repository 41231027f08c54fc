"""Images encoded by any engine, masks decoded by torch, as fine-tuning measures a model: its decoder changes from epoch to epoch."""

from __future__ import annotations

import torch

from sam2_adapter.models.engines.base import Precision, Runtime
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.prompt_tensors import PromptTensors


def with_torch_decoder(encoder: Runtime, loaded: LoadedModel, device: str, precision: Precision) -> Runtime:
    """A runtime that encodes with `encoder` and decodes with torch.

    Args:
        encoder: may lack a decoder.
        loaded: the model that it runs.
        device: as it was asked for.
        precision: as it was asked for; int8 is the encoder's alone.
    """
    if isinstance(encoder, TorchRuntime):
        return encoder
    return _WithTorchDecoder(encoder, TorchRuntime(loaded.model, device, "fp32" if precision == "int8" else precision))


class _WithTorchDecoder:
    """See `with_torch_decoder`."""

    def __init__(self, encoder: Runtime, decoder: TorchRuntime) -> None:
        self._encoder, self._decoder = encoder, decoder
        self.name, self.precision, self.device = encoder.name, encoder.precision, encoder.device
        self.image_size, self.low_res_hw = encoder.image_size, encoder.low_res_hw
        self.prompts_per_call, self.images_per_call = decoder.prompts_per_call, encoder.images_per_call

    def encode(self, pixel_values: torch.Tensor) -> EncodedImages:
        """Encode B x 3 x S x S pixel values."""
        return self._encoder.encode(pixel_values)

    def decode(self, images: EncodedImages, prompts: PromptTensors) -> DecodedMasks:
        """Decode P prompts of one shape, in pixels of the model's square."""
        return self._decoder.decode(images, prompts)
