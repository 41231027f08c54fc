"""The image encoder on an NVIDIA GPU: a single image without launching its kernels one by one, and batches, compiled where that pays."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from importlib.util import find_spec

import torch

from sam2_adapter.models.engines.base import is_out_of_memory
from sam2_adapter.models.network.image_encoder import EncodedImages

logger = logging.getLogger(__name__)

# Images of one size that are encoded before a graph is captured: the first ones load kernels and choose algorithms.
_WARM_UP_ROUNDS = 2


class CudaEncoder:
    """Pixel values on the GPU to `EncodedImages`; calls are safe from many threads."""

    def __init__(
        self, encoder: Callable[[torch.Tensor], EncodedImages], images_per_call: int, is_compiled: bool = False
    ) -> None:
        """Take an encoder that is on the GPU.

        Args:
            encoder: executes the model.
            images_per_call: larger batches are encoded in parts.
            is_compiled: compile it for batches of `images_per_call`, which takes half a minute; smaller ones are filled up.
        """
        self._encoder = encoder
        self._images_per_call = images_per_call
        self._compiled = torch.compile(encoder, dynamic=False, fullgraph=True) if is_compiled else None
        self._single: _Replay | None = None
        self._lock = threading.Lock()

    def __call__(self, pixel_values: torch.Tensor) -> EncodedImages:
        """Encode B x 3 x S x S pixel values."""
        if len(pixel_values) == 1:
            return self._encode_single(pixel_values)
        parts = [self._encode_part(part) for part in torch.split(pixel_values, self._images_per_call)]
        return parts[0] if len(parts) == 1 else EncodedImages.stack(parts)

    def _encode_part(self, pixel_values: torch.Tensor) -> EncodedImages:
        count = len(pixel_values)
        if self._compiled is None or count <= self._images_per_call // 2:
            return self._encoder(pixel_values)
        filled = pixel_values.new_zeros(self._images_per_call, *pixel_values.shape[1:])
        filled[:count] = pixel_values
        try:
            with self._lock:
                encoded: EncodedImages = self._compiled(filled)
        except RuntimeError as error:  # what the compiler raises, which also needs a C compiler on the machine
            if is_out_of_memory(error):
                raise
            logger.warning("Encoding without the compiler, which failed: %s", str(error).partition("\n")[0])
            self._compiled = None
            return self._encode_part(pixel_values)
        return encoded.images(slice(count))

    def _encode_single(self, pixel_values: torch.Tensor) -> EncodedImages:
        with self._lock:
            if self._single is None:
                self._single = _Replay(self._encoder, pixel_values)
            return self._single(pixel_values)


class _Replay:
    """The encoder's kernels for one shape of input, recorded once as a CUDA graph and launched together."""

    def __init__(self, encoder: Callable[[torch.Tensor], EncodedImages], example: torch.Tensor) -> None:
        """Record; see https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs."""
        self._input = example.clone()
        stream = torch.cuda.Stream(example.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(example.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_ROUNDS):
                encoder(self._input)
        torch.cuda.current_stream(example.device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may allocate and launch meanwhile.
        with torch.cuda.device(example.device), torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._output: EncodedImages = encoder(self._input)

    def __call__(self, pixel_values: torch.Tensor) -> EncodedImages:
        """Encode; the result is a copy, since the next call writes over the graph's own."""
        self._input.copy_(pixel_values)
        self._graph.replay()
        return self._output.map(torch.clone)


def compiler_is_installed() -> bool:
    """Whether torch can compile for a GPU here."""
    return find_spec("triton") is not None
