"""What an engine is, and where and in which number format it computes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Literal, Protocol, TypeVar, get_args

import torch

from sam2_adapter.arguments import one_of
from sam2_adapter.errors import ConfigError, Sam2AdapterError
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from sam2_adapter.text import unknown_name

logger = logging.getLogger(__name__)

Part = TypeVar("Part")

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]

# bf16 is native from compute capability 8.0 (Ampere); older GPUs emulate it slowly, while `torch.cuda.is_bf16_supported` still says yes.
_BF16_COMPUTE_CAPABILITY = (8, 0)
_FP16_COMPUTE_CAPABILITY = (7, 0)


# What allocators say, besides raising their own class: torch on the CPU, oneDNN, MPS.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "could not create a memory object",
    "failed to allocate",
)


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

    def decode(self, images: EncodedImages, prompts: PromptTensors) -> DecodedMasks:
        """Decode P prompts of one shape, in pixels of the model's square; the outputs are fp32 on the CPU or the device."""


def refuse_after_fork(process: int, runtime: Runtime) -> None:
    """Refuse to work in a copy of the process that made an engine: the engine's threads are not in it, and waiting for them never ends.

    Args:
        process: id of the process that made it.
        runtime: the engine.

    Raises:
        Sam2AdapterError: this is another process, and the engine needs what is not in it.
    """
    if os.getpid() == process or (runtime.name == "torch" and runtime.device == "cpu" and torch.get_num_threads() == 1):
        return
    raise Sam2AdapterError(
        "This process is a copy (fork) of the one that loaded the model, without its threads. Load the model in each process, and start "
        'processes with multiprocessing.get_context("spawn"), or share one predictor among threads.'
    )


def resolve_device(device: str) -> str:
    """The device that `auto` stands for, or `device` itself when it is there.

    Raises:
        ConfigError: the device is unknown or not on this machine.
    """
    available = available_devices()
    kind, _, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if device == "auto":
        return available[0]
    if kind not in ("cuda", "mps", "cpu"):
        raise ConfigError(unknown_name("device", device, ["auto", *available]))
    if kind not in available or (index and not _is_gpu(index)):
        raise ConfigError(
            f"device = {device!r} is not available here; there is {', '.join(available)}. Use device=auto to take the best."
        )
    return device


def _is_gpu(index: str) -> bool:
    return index.isdecimal() and int(index) < torch.cuda.device_count()


def available_devices() -> list[str]:
    """The kinds of device that torch can use here, best first."""
    kinds = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    return [kind for kind, there in kinds if there]


def resolve_precision(precision: str, device: str) -> str:
    """The number format that `auto` stands for on a device, or `precision` itself.

    Raises:
        ConfigError: an unknown one, fp16 on a CPU, which has no fp16 arithmetic worth the name, or int8, which torch has not for this model.
    """
    one_of(precision, "precision", get_args(Precision))
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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, on the CPU or a GPU, ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def in_parts_that_fit(count: int, at_once: int, work: Callable[[range], Part]) -> Iterator[tuple[range, Part]]:
    """Do `count` pieces of work, such as prompts to decode, so many at a time, and fewer once memory has run out."""
    start = 0
    while start < count:
        rows = range(start, min(count, start + at_once))
        try:
            part = work(rows)
        except (RuntimeError, MemoryError) as error:
            if len(rows) == 1 or not is_out_of_memory(error):
                raise
            at_once = len(rows) // 2
            logger.warning("Out of memory: going on with %d prompts at a time.", at_once)
            continue
        yield rows, part
        start = rows.stop
