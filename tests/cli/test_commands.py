"""The commands beside `predict`, and what holds for all of them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import sam2_adapter
from sam2_adapter.cli import app
from tests.command_line import run, run_process

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"
COMMANDS = ("predict", "train", "evaluate", "label", "convert", "blend", "doctor", "demo")


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
