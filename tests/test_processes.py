"""Processes that start with everything imported do so."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

import pytest

from tests import processes


def _tell_imported(connection: Connection) -> None:
    connection.send([name for name in ("torch", "sam2_adapter.training.fine_tune") if name in sys.modules])


@pytest.mark.slow
def test_a_process_has_all_imported_when_it_starts() -> None:
    processes.ready()
    receiver, sender = processes.CONTEXT.Pipe(duplex=False)
    process = processes.CONTEXT.Process(target=_tell_imported, args=(sender,))
    process.start()
    assert receiver.recv() == ["torch", "sam2_adapter.training.fine_tune"]
    process.join()
