"""`convert`: every value stays, and nothing of the user's is replaced unasked."""

from __future__ import annotations

import json
from pathlib import Path

import torch

import sam2_adapter
from tests.command_line import run

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"


def test_convert_there_and_back(tmp_path: Path) -> None:
    assert run("convert", NANO, tmp_path / "nano.pt").stdout == f"{tmp_path / 'nano.pt'}\n"
    done = run("convert", tmp_path / "nano.pt", tmp_path / "hub", "--to", "transformers", "--json")
    assert json.loads(done.stdout) == {"written": str(tmp_path / "hub"), "layout": "transformers"}
    run("convert", tmp_path / "hub", tmp_path / "again.pt")
    first, second = (torch.load(tmp_path / name, weights_only=True) for name in ("nano.pt", "again.pt"))
    assert first["model"].keys() == second["model"].keys()
    assert all(torch.equal(first["model"][name], second["model"][name]) for name in first["model"])


def test_a_converted_model_predicts_the_same(tmp_path: Path, photos: Path) -> None:
    run("convert", NANO, tmp_path / "nano.pt")
    arguments = (
        "predict",
        photos / "disk.png",
        "--precision",
        "fp32",
        "--box",
        "40,20,120,100",
        "--no-overlay",
        "--json",
    )
    documents = []
    for model in ("sam2_nano", tmp_path / "nano.pt"):
        documents.append(
            json.loads(run(*arguments, "--model", model, "--output", tmp_path / f"of-{Path(model).name}").stdout)
        )
    assert documents[0]["images"][0]["objects"] == documents[1]["images"][0]["objects"]
    assert documents[0]["model"]["weights_sha256"] == documents[1]["model"]["weights_sha256"]


def test_convert_replaces_a_file_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "mine.pt"
    target.write_bytes(b"weights of a week of training")
    done = run("convert", NANO, target)
    assert done.status == 2
    assert "mine.pt exists already" in done.stderr
    assert "--overwrite" in done.stderr
    assert target.read_bytes() == b"weights of a week of training"
    assert run("convert", NANO, target, "--overwrite").status == 0
    assert target.stat().st_size > 100_000
