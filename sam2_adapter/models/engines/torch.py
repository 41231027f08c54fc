"""Where and in which number format the model runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.cuda import CudaEncoder
from sam2_adapter.models.network.image_encoder import EncodedImages, ImageEncoder
from sam2_adapter.models.network.mask_decoder import DecodedMasks, decode_masks, image_position_tokens
from sam2_adapter.models.network.prompt_encoder import encode_prompts

if TYPE_CHECKING:
    from transformers import Sam2Model

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# bf16 is native from compute capability 8.0 (Ampere); older GPUs emulate it slowly, while `torch.cuda.is_bf16_supported` still says yes.
_BF16_COMPUTE_CAPABILITY = (8, 0)
_FP16_COMPUTE_CAPABILITY = (7, 0)


class Runtime(Protocol):
    """What a predictor needs of an engine that executes the model; calls are safe from many threads."""

    name: str
    precision: str
    device: str
    image_size: int
    low_res_hw: tuple[int, int]
    prompts_per_call: int
    images_per_call: int

    def encode(self, pixel_values: torch.Tensor) -> EncodedImages:
        """Encode B x 3 x S x S pixel values."""

    def decode(
        self,
        images: EncodedImages,
        point_coords: torch.Tensor | None,
        point_labels: torch.Tensor | None,
        box_xyxy: torch.Tensor | None,
        mask_input: torch.Tensor | None,
    ) -> DecodedMasks:
        """Decode P prompts of one shape, in pixels of the model's square; the outputs are fp32 on the CPU or the device."""


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
    def decode(
        self,
        images: EncodedImages,
        point_coords: torch.Tensor | None,
        point_labels: torch.Tensor | None,
        box_xyxy: torch.Tensor | None,
        mask_input: torch.Tensor | None,
    ) -> DecodedMasks:
        """Decode P prompts of one shape, in pixels of the model's square."""
        parts = [
            None if part is None else part.to(self.device)
            for part in (point_coords, point_labels, box_xyxy, mask_input)
        ]
        prompts = encode_prompts(self.model, *parts)
        with self._autocast():
            # Encoded images that were kept lie on the CPU.
            decoded = decode_masks(self.model, images.to(self.device), prompts, self._image_positions)
        return DecodedMasks(*(output.float() for output in decoded))

    def _made_encoder(self) -> Callable[[torch.Tensor], EncodedImages]:
        # Made when it is first used: training decodes only, and the weights in half precision are copies.
        with self._encoder_lock:
            if self._encoder is None:
                encoder = ImageEncoder(self.model, _DTYPES[self.precision])
                is_cuda = self._kind == "cuda"
                self._encoder = (
                    CudaEncoder(encoder, self.images_per_call, self._compile_encoder) if is_cuda else encoder
                )
            return self._encoder

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._kind, dtype=_DTYPES[self.precision], enabled=self.precision != "fp32")


def resolve_device(device: str) -> str:
    """The device that `auto` stands for, or `device` itself when it is there.

    Raises:
        ConfigError: the device is unknown or not on this machine.
    """
    available = available_devices()
    if device == "auto":
        return available[0]
    kind, _, index = device.partition(":")
    if kind not in available or (index and int(index) >= torch.cuda.device_count()):
        raise ConfigError(
            f"device = {device!r} is not available here; there is {', '.join(available)}. Use device=auto to take the best."
        )
    return device


def available_devices() -> list[str]:
    """The kinds of device that torch can use here, best first."""
    kinds = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    return [kind for kind, there in kinds if there]


def resolve_precision(precision: str, device: str) -> str:
    """The number format that `auto` stands for on a device, or `precision` itself.

    Raises:
        ConfigError: fp16 on a CPU, which has no fp16 arithmetic worth the name, or int8, which torch has not for this model.
    """
    kind = device.partition(":")[0]
    if precision == "fp16" and kind == "cpu":
        raise ConfigError("precision = 'fp16' needs a GPU; on a CPU use 'bf16', 'fp32' or 'auto'.")
    if precision == "int8":
        raise ConfigError(
            "precision = 'int8' is for prediction with runtime = 'openvino' on a CPU, which pip install \"sam2-adapter[openvino]\" brings; on "
            "torch use 'auto'."
        )
    if precision != "auto":
        return precision
    if kind == "cuda":
        return _cuda_precision(torch.cuda.get_device_capability(device))
    return "bf16" if kind == "cpu" and cpu_has_bf16() else "fp32"


def _cuda_precision(capability: tuple[int, int]) -> str:
    if capability >= _BF16_COMPUTE_CAPABILITY:
        return "bf16"
    return "fp16" if capability >= _FP16_COMPUTE_CAPABILITY else "fp32"


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 natively (AVX-512 BF16 or AMX)."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def cpu_has_int8() -> bool:
    """Whether this processor multiplies int8 several times faster than fp32 (AVX-512 VNNI)."""
    return bool(torch.cpu.get_capabilities().get("avx512_vnni"))
