"""The commands beside `predict`, and what holds for all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import sam2_adapter
from sam2_adapter.cli import app
from tests.command_line import run, run_process

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"
COMMANDS = ("predict", "train", "evaluate", "convert", "blend", "doctor", "demo")


def test_version() -> None:
    assert run("--version").stdout == f"sam2-adapter {sam2_adapter.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help")
    assert done.status == 0
    assert "--json" in done.stdout
    assert "--debug" in done.stdout


def test_only_finished_commands_are_there() -> None:
    assert sorted(command.callback.__name__ for command in app.registered_commands if command.callback) == sorted(
        COMMANDS
    )


def test_without_arguments_the_help_is_shown() -> None:
    done = run()
    assert "Commands:" in done.stdout
    assert done.status == 2


@pytest.mark.slow
def test_help_answers_in_a_second() -> None:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        assert run_process("predict", "--help").status == 0
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 1


@pytest.mark.slow
@pytest.mark.parametrize("module", ["sam2_adapter", "sam2_adapter.cli", "sam2_adapter.config"])
def test_heavy_libraries_are_imported_late(module: str) -> None:
    code = (
        f"import sys, {module}; sys.exit(str(sorted({{'torch', 'transformers', 'cv2', 'scipy'}} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


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
