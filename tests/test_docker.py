"""The image's recipe: what it names is there, it does not run as root, and its script installs a package that works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docker" / "install.sh"


def _dockerfile() -> list[str]:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _stages() -> dict[str, list[str]]:
    stages: dict[str, list[str]] = {}
    for line in _dockerfile():
        if match := re.fullmatch(r"FROM (\S+) AS (\w+)", line):
            stages[match[2]] = [match[1]]
        else:
            stages[list(stages)[-1]].append(line)
    return stages


def test_everything_that_is_copied_is_there_and_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = [path for line in _dockerfile() if line.startswith("COPY ") for path in line.split()[1:-1]]
    assert set(copied) == allowed
    assert all((ROOT / path).exists() for path in copied)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_each_target_runs_the_script_and_leaves_root(target):
    base, *lines = _stages()[target]
    assert base == "base"
    assert lines[0].startswith(f"RUN sh docker/install.sh {target} $MODELS")
    assert lines[-1] == "USER 1000"


def test_the_interpreter_is_pinned_and_one_that_the_package_takes():
    image = _stages()["base"][0]
    version = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-\w+", image)
    assert version, image
    assert (int(version[1]), int(version[2])) == (3, 11)


def test_the_extras_of_the_script_are_those_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = {name for match in re.findall(r"\.\[([\w,]+)\]", SCRIPT.read_text("utf-8")) for name in match.split(",")}
    assert named == {"dataloop", "openvino"}
    assert named <= set(extras)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["tpu"]])
def test_an_unknown_target_is_refused(arguments):
    done = subprocess.run(["sh", str(SCRIPT), *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "usage: sh docker/install.sh cpu|gpu" in done.stderr


@pytest.mark.soak
def test_the_script_installs_a_package_that_predicts_on_the_compiled_model(tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    work = tmp_path / "work"
    work.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, work)
    shutil.copytree(ROOT / "docker", work / "docker")
    shutil.copytree(ROOT / "sam2_adapter", work / "sam2_adapter", ignore=shutil.ignore_patterns("__pycache__"))
    python = tmp_path / "venv" / "bin" / "python"
    environment = {
        **os.environ,
        "PYTHON": str(python),
        "TORCH_INDEX_URL": "",
        "SAM2_ADAPTER_CACHE": str(tmp_path / "weights"),
    }
    environment.pop("PYTHONPATH", None)
    command = ["sh", "docker/install.sh", "cpu", "sam2_nano"]
    subprocess.run(command, cwd=work, env=environment, check=True, stdout=sys.stderr)
    photo = ROOT / "sam2_adapter" / "assets" / "demo" / "astronaut.jpg"
    predict = [
        python,
        "-m",
        "sam2_adapter",
        "predict",
        photo,
        "--box",
        "75,95,485,388",
        "--model",
        "sam2_nano",
        "--json",
    ]
    done = subprocess.run(predict, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert '"runtime": "openvino"' in done.stdout
