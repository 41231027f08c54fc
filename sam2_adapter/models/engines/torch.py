"""The model executed by torch, on a CPU or a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from sam2_adapter.models.engines.base import Precision, resolve_device, resolve_precision
from sam2_adapter.models.engines.cuda import CudaEncoder
from sam2_adapter.models.network.image_encoder import EncodedImages, make_image_encoder
from sam2_adapter.models.network.mask_decoder import DecodedMasks, decode_masks, image_position_tokens
from sam2_adapter.models.network.prompt_encoder import encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors

if TYPE_CHECKING:
    from transformers import Sam2Model

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchRuntime:
    """The model executed by torch: prompts in fp32, image encoder and mask decoder under autocast."""

    name = "torch"

    def __init__(
        self, model: Sam2Model, device: str = "auto", precision: Precision = "auto", *, compile_encoder: bool = False
    ) -> None:
        """Move the model to its device.

        Args:
            model: in fp32.
            device: as in `resolve_device`.
            precision: as in `resolve_precision`.
            compile_encoder: let torch compile the image encoder, on NVIDIA's GPUs.

        Raises:
            ConfigError: the device or the precision is not available here.
        """
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        torch.nn.Module.to(model, self.device)
        self.model = model.train(False).requires_grad_(False)
        encoder: Any = model.prompt_encoder
        self.image_size: int = encoder.input_image_size
        self.low_res_hw: tuple[int, int] = encoder.mask_input_size
        self._kind = self.device.partition(":")[0]
        # At 1024 px a prompt takes about 60 MiB, and an image 170 MiB.
        self.prompts_per_call = 32 if self._kind == "cuda" else 8
        self.images_per_call = 16 if self._kind == "cuda" else 1
        self._compile_encoder = compile_encoder
        self._encoder: Callable[[torch.Tensor], EncodedImages] | None = None
        self._encoder_lock = threading.Lock()
        with torch.inference_mode():
            self._image_positions = image_position_tokens(self.model)

    @torch.inference_mode()
    def encode(self, pixel_values: torch.Tensor) -> EncodedImages:
        """Encode B x 3 x S x S pixel values."""
        return self._made_encoder()(pixel_values.to(self.device))

    @torch.inference_mode()
    def decode(self, images: EncodedImages, prompts: PromptTensors) -> DecodedMasks:
        """Decode P prompts of one shape, in pixels of the model's square."""
        encoded_prompts = encode_prompts(self.model, prompts.to(self.device))
        with self._autocast():
            # Encoded images that were kept lie on the CPU.
            decoded = decode_masks(self.model, images.to(self.device), encoded_prompts, self._image_positions)
        return DecodedMasks(*(output.float() for output in decoded))

    def _made_encoder(self) -> Callable[[torch.Tensor], EncodedImages]:
        # Made when it is first used: training decodes only, and the weights in half precision are copies.
        with self._encoder_lock:
            if self._encoder is None:
                encoder = make_image_encoder(self.model, _DTYPES[self.precision])
                is_cuda = self._kind == "cuda"
                self._encoder = (
                    CudaEncoder(encoder, self.images_per_call, self._compile_encoder) if is_cuda else encoder
                )
            return self._encoder

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._kind, dtype=_DTYPES[self.precision], enabled=self.precision != "fp32")
