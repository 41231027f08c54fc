"""Models compiled for OpenVINO before anything is timed, as a user does it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def prepare(weights: Path, environment: Mapping[str, str] | None = None) -> None:
    """Compile the model, unless it is; by default in the environment of this process."""
    command = [sys.executable, "-m", "sam2_adapter", "doctor", "--prepare", "--model", str(weights)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def prepared_precision() -> str:
    """The number format that `auto` stands for with OpenVINO on this processor, once the model is prepared."""
    from sam2_adapter.models.engines.base import cpu_has_bf16, cpu_has_int8

    return "bf16" if cpu_has_bf16() else "int8" if cpu_has_int8() else "fp32"
