"""Compiled graphs: as bytes and back, in the order of their outputs, and gone without a trace."""

from __future__ import annotations

import gc
import os
import signal
from multiprocessing.connection import Connection

import numpy as np
import pytest
import torch
from openvino import opset15

from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.encoder import encoder_graph
from sam2_adapter.models.engines.openvino.ops import model_of
from tests import processes
from tests.models.engines.openvino.inputs import pixel_values
from tests.small_model import small_model

# OpenVINO compiles each graph.
pytestmark = pytest.mark.slow


def sum_and_difference():
    first, second = (opset15.parameter([2, 3], np.float32, name=name) for name in "ab")
    results = [opset15.add(first, second), opset15.subtract(first, second)]
    return model_of(results, [first, second], ("sum", "difference"), "both")


def test_inputs_and_outputs_keep_their_order_through_bytes():
    first, second = torch.arange(6.0).view(2, 3), torch.full((2, 3), 2.0, dtype=torch.float64)
    compiled = CompiledGraph.of(sum_and_difference(), "fp32")
    for graph in (compiled, CompiledGraph.from_bytes(compiled.to_bytes(), "fp32")):
        added, taken = graph(first, second)
        assert torch.equal(added, first + 2)
        assert torch.equal(taken, first - 2)
        with graph.lent(first, second) as lent:
            assert torch.equal(lent[1], first - 2)


def test_bytes_of_something_else_are_refused():
    with pytest.raises(RuntimeError):
        CompiledGraph.from_bytes(b"no graph", "fp32")


def _interrupt_after_use(sender: Connection) -> None:
    """Compile, execute and drop two graphs, then take a signal."""
    graphs = [CompiledGraph.of(encoder_graph(small_model(seed)), "fp32") for seed in (0, 1)]
    while graphs:
        graphs.pop(0)(pixel_values(1))
        gc.collect()
    signal.signal(signal.SIGTERM, lambda *_: sender.send("handled"))
    os.kill(os.getpid(), signal.SIGTERM)


def test_signals_are_handled_after_graphs_are_dropped():
    processes.ready()
    receiver, sender = processes.CONTEXT.Pipe(duplex=False)
    process = processes.CONTEXT.Process(target=_interrupt_after_use, args=(sender,))
    process.start()
    sender.close()
    process.join(120)
    assert process.exitcode == 0
    assert receiver.recv() == "handled"
