"""What a process of its own compiles; see tests/processes.py."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Barrier

import torch

from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.engine import OpenVinoRuntime
from tests.small_model import loaded, small_model


def compile_in(directory: Path, log: Path, together: Barrier) -> None:
    """Compile the encoder of the small model into a cache, at the same time as others, and write what is said to a file."""
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s", filename=log)
    together.wait(120)
    OpenVinoRuntime(loaded(small_model()), CompiledCache(directory), "fp32", with_decoder=False)
