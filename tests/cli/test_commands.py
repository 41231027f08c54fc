"""The commands beside `predict`, and what holds for all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sam2_adapter
from sam2_adapter.cli import COMMANDS, make_app
from tests.command_line import run

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"
NAMES = ("predict", "train", "evaluate", "label", "convert", "blend", "doctor", "demo")


def test_version() -> None:
    assert run("--version").stdout == f"sam2-adapter {sam2_adapter.__version__}\n"


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help")
    assert done.status == 0
    assert "--json" in done.stdout
    assert "--debug" in done.stdout


def test_only_finished_commands_are_there() -> None:
    registered = make_app().registered_commands
    assert sorted(command.callback.__name__ for command in registered if command.callback) == sorted(NAMES)


def test_without_arguments_the_help_is_shown() -> None:
    done = run()
    assert "Commands:" in done.stdout
    assert done.status == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "more"), [("--help", set()), ("predict --help", {"annotated_types", "pydantic", "pydantic_core"})]
)
def test_help_imports_what_reads_the_command_line_and_no_more(asked: str, more: set[str]) -> None:
    """Which is why it answers at once; how quickly is measured by `benchmarks/prediction/cold_start.py`."""
    code = (
        f"import sys; before = set(sys.modules); from sam2_adapter.cli import run; run({asked.split()}); "
        "packages = {name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names; "
        "sys.exit(' '.join(name for name in packages if not name.startswith('_')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.lstrip().startswith("Usage: sam2-adapter")
    small = {"annotated_doc", "shellingham", "typing_extensions", "typing_inspection"}
    assert set(done.stderr.split()) - small == {"sam2_adapter", "typer"} | more


@pytest.mark.slow
@pytest.mark.parametrize("module", ["sam2_adapter", "sam2_adapter.cli", "sam2_adapter.config"])
def test_heavy_libraries_are_imported_late(module: str) -> None:
    code = (
        f"import sys, {module}; sys.exit(str(sorted({{'torch', 'transformers', 'cv2', 'scipy'}} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "imported"), [("--help", []), ("predict --help", ["predict"]), ("nothing", [])])
def test_only_the_command_that_is_asked_for_is_imported(asked: str, imported: list[str]) -> None:
    code = (
        f"import sys; from sam2_adapter.cli import COMMANDS, run; run({asked.split()}); "
        "sys.exit(str([name for name in COMMANDS if f'sam2_adapter.cli.{name}' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == str(imported)


def test_the_list_of_commands_says_the_same_whichever_is_asked_for() -> None:
    asked = run("--help").stdout
    assert run("--help", "predict").stdout == asked
    for text in COMMANDS.values():
        assert text in asked
