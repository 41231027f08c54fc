"""What this machine has: found without the network, told in plain types."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

import sam2_adapter
from sam2_adapter.doctor import Package, _package, examine

# Python asks the system for the name of its processor in a process.
pytestmark = pytest.mark.slow

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"


def test_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path))
    found = examine("sam2_nano", "fp32")
    assert found.version == sam2_adapter.__version__
    assert Package("numpy", np.__version__) in found.packages
    assert "cpu" in [device.name for device in found.devices]
    assert found.threads == torch.get_num_threads()
    assert found.runtime.model == "sam2_nano"
    assert found.runtime.runtime in ("torch", "openvino")
    assert found.cache_dir == tmp_path
    assert found.offline
    weights = {entry.name: entry for entry in found.weights}
    assert weights["sam2_nano"].path == NANO
    assert weights["sam2_hiera_s"].path is None
    assert weights["sam2_hiera_s"].target == tmp_path / "sam2_hiera_small.pt"
    assert json.loads(json.dumps(found.to_dict()))["cache_dir"] == str(tmp_path)


def test_a_model_that_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    runtime = examine(str(tmp_path / "none.pt")).runtime
    assert runtime.runtime is None
    assert "none.pt" in runtime.reason


def test_packages_that_are_not_there() -> None:
    assert _package("torch") == Package("torch", version("torch"))
    assert _package("no-such-package-at-all") == Package("no-such-package-at-all", None)
