"""`evaluate` on the command line: its table, its folder, and the kinds of prompts by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import run
from tests.disc_data import make_disc_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disc_data(tmp_path_factory.mktemp("discs") / "data")


def test_evaluate_prints_a_table(data: Path, tmp_path: Path) -> None:
    done = run("evaluate", data, "--model", "sam2_nano", "--precision", "fp32", "--prompt", "box", "--output", tmp_path)
    assert done.status == 0
    assert done.stdout == (tmp_path / "evaluation.txt").read_text()
    assert done.stdout.startswith(f"2 images, 4 objects of {data} (test)\n")
    assert "boundary F" in done.stdout
    arguments = ("evaluate", data, "--model", "sam2_nano", "--prompt", "box", "--output", tmp_path)
    refused = run(*arguments)
    assert refused.status == 2
    assert "Replace its results (--overwrite), or choose another folder" in refused.stderr
    assert (tmp_path / "evaluation.txt").read_text() == done.stdout


def test_evaluate_writes_into_no_folder_of_somebody_else(data: Path, tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text("mine")
    done = run("evaluate", data, "--model", "sam2_nano", "--prompt", "box", "--output", tmp_path, "--overwrite")
    assert done.status == 2
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]
    assert (tmp_path / "evaluation.json").read_text() == "mine"
