"""OpenVINO tells nobody that it was imported."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

import pytest

from tests import processes

pytestmark = pytest.mark.slow


def _import(sender: Connection) -> None:
    is_new = "openvino" not in sys.modules
    from sam2_adapter.models.engines.openvino import engine

    reporting = [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]
    sender.send((is_new, "openvino" in sys.modules, engine.__name__, reporting))


def test_what_reports_over_the_network_is_not_imported() -> None:
    processes.ready()
    receiver, sender = processes.CONTEXT.Pipe(duplex=False)
    process = processes.CONTEXT.Process(target=_import, args=(sender,))
    process.start()
    sender.close()
    assert receiver.recv() == (True, True, "sam2_adapter.models.engines.openvino.engine", [])
    process.join()
