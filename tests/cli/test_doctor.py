"""`sam2-adapter doctor`: what is here, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import sam2_adapter
from tests.command_line import run

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"


@pytest.mark.slow
def test_doctor_says_what_is_here_and_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path))
    done = run("doctor")
    assert done.status == 0
    assert torch.__version__ in done.stdout
    assert str(NANO) in done.stdout
    assert "The weights of the default model sam2_hiera_s are missing" in done.stdout
    assert f"to {tmp_path / 'sam2_hiera_small.pt'}" in done.stdout


@pytest.mark.slow
def test_doctor_for_machines() -> None:
    document = json.loads(run("doctor", "--json").stdout)
    assert document["version"] == sam2_adapter.__version__
    assert "cpu" in [device["name"] for device in document["devices"]]
    weights = {entry["name"]: entry["path"] for entry in document["weights"]}
    assert weights["sam2_nano"] == str(NANO)
    assert weights["sam2_hiera_l"] is None
