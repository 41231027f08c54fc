"""A graph compiled by OpenVINO for this processor: called with tensors, and kept as bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import openvino as ov
import torch

logger = logging.getLogger(__name__)

# Keeps OpenVINO from fusing a product, a softmax and a product into one kernel. It is a setting for its developers: not every build knows it.
_UNFUSED = {"SNIPPETS_MODE": "DISABLE"}

# Of int8, everything but the products that the graph itself marks.
_PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}

Tensors = tuple[torch.Tensor, ...]


class CompiledGraph:
    """A compiled graph; calls are safe from many threads."""

    def __init__(self, compiled: Any) -> None:
        """Execute OpenVINO's `CompiledModel`."""
        self._compiled = compiled
        self._idle: list[Any] = []

    @classmethod
    def of(cls, graph: ov.Model, precision: str, fuse_attention: bool = True) -> CompiledGraph:
        """Compile a graph.

        Args:
            graph: computes in float32, but for the products that it marks itself.
            precision: `fp32`, `bf16` or, for a graph with int8 weights, `int8`.
            fuse_attention: whether attention may become one kernel; `False` is kept where this OpenVINO can.
        """
        settings = _settings(precision)
        if not fuse_attention:
            try:
                return cls(_core().compile_model(graph, "CPU", settings | _UNFUSED))
            except RuntimeError as error:
                logger.debug("compiled with fused attention: %s", error)
        return cls(_core().compile_model(graph, "CPU", settings))

    @classmethod
    def from_bytes(cls, content: bytes, precision: str) -> CompiledGraph:
        """Take what `to_bytes` gave for this version of OpenVINO on this processor.

        Raises:
            RuntimeError: OpenVINO refuses it.
        """
        return cls(_core().import_model(content, "CPU", _settings(precision)))

    def to_bytes(self) -> bytes:
        """The compiled graph with its weights."""
        return self._compiled.export_model().getvalue()  # type: ignore[no-any-return]

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs, float32, of inputs in the order of the graph."""
        request = self._request()
        outputs = self._infer(request, inputs)
        self._idle.append(request)
        return outputs

    @contextmanager
    def lent(self, *inputs: torch.Tensor) -> Iterator[Tensors]:
        """The outputs without a copy, which may be read inside the block only."""
        request = self._request()
        yield self._infer(request, inputs, share_outputs=True)
        self._idle.append(request)

    def _infer(self, request: Any, inputs: Tensors, share_outputs: bool = False) -> Tensors:
        arrays = [tensor.detach().float().contiguous().numpy() for tensor in inputs]
        outputs = request.infer(arrays, share_inputs=True, share_outputs=share_outputs)
        return tuple(torch.from_numpy(outputs[index]) for index in range(len(self._compiled.outputs)))

    def _request(self) -> Any:
        # A request serves one call at a time. Lists pop and append atomically; a look at the length first would not be.
        try:
            return self._idle.pop()
        except IndexError:
            return self._compiled.create_infer_request()


def cpu_facts() -> dict[str, Any]:
    """What OpenVINO says of itself and of this processor; code compiled under other facts is not for here."""
    core = _core()
    return {
        "openvino": ov.get_version(),
        "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
    }


def has_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def _core() -> ov.Core:
    # One, never released: the CPU plugin gives the thread that loads it a signal stack of its own, and frees that stack
    # without taking it back when the plugin is unloaded. After that, any signal with a handler kills the process.
    return ov.Core()


def _settings(precision: str) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        # Pinned threads of two processes would fight for the same cores.
        "ENABLE_CPU_PINNING": False,
    }
