"""Checking a model on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import sam2_adapter
from sam2_adapter.cli.doctor_report import check_lines
from sam2_adapter.model_check import EngineFigures, ModelCheck
from tests.command_line import run

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"


@pytest.mark.slow
def test_a_good_model_passes_with_every_engine() -> None:
    done = run("doctor", "--check", "sam2_nano", "--json")
    document = json.loads(done.stdout)
    assert (done.status, document["findings"]) == (0, [])
    assert document["path"] == str(NANO)
    first, *others = document["engines"]
    assert (first["engine"], first["precision"], first["least_agreement"]) == ("torch", "fp32", 1.0)
    assert {"openvino"} <= {entry["engine"] for entry in others}
    assert all(0.9 < entry["least_agreement"] < 1 for entry in others)
    assert document["mean_iou"]["boxes"] > document["mean_iou"]["ellipse"] > 0.6
    assert document["mean_iou"]["one click"] > 0.4


@pytest.mark.slow
def test_a_model_that_learned_nothing_is_found_out(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = load_file(NANO)
    for name, values in tensors.items():
        if values.ndim >= 2:
            shuffled = torch.randperm(values.numel(), generator=generator)
            tensors[name] = values.flatten()[shuffled].reshape(values.shape).contiguous()
    positions = tensors["shared_image_embedding.positional_embedding"]
    tensors["prompt_encoder.shared_embedding.positional_embedding"] = positions.clone()  # one matrix in SAM2
    save_file(tensors, tmp_path / "noise.safetensors")
    done = run("doctor", "--check", tmp_path / "noise.safetensors")
    assert done.status == 1
    assert "WRONG: masks from boxes fit the outlined cells no better than an ellipse in the box." in done.stdout


def test_the_figures_are_shown() -> None:
    engines = (
        EngineFigures("torch", "fp32", "cpu", 0.5, 0.75, 1.0),
        EngineFigures("openvino", "int8", "cpu", 0.25, 0.5, 0.875),
    )
    check = ModelCheck(
        "1.2.3", "sam2_hiera_s", Path("w.pt"), "ab" * 32, engines, {"boxes": 0.8, "ellipse": 0.7}, ("x is y",)
    )
    lines = check_lines(check)
    assert lines[0] == "sam2_hiera_s with sam2-adapter 1.2.3"
    assert "  engine    precision  device  s/image  score  agreement" in lines
    assert "  openvino  int8       cpu     0.25     0.500  0.8750" in lines
    assert "  mean IoU: boxes 0.800, ellipse 0.700" in lines
    assert lines[-1] == "WRONG: x is y."
