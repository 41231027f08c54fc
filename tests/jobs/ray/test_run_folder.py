"""The folder of a run over a cluster: the same rule as for all commands, on a disk and in a bucket."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from sam2_adapter.errors import ConfigError, ExportError, FolderInUseError, OutputExistsError
from sam2_adapter.jobs.ray.locations import ResultFolder
from sam2_adapter.jobs.ray.run_folder import MANIFEST
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.ownership import MARKER_NAME
from tests.jobs.ray.working import prediction

pytestmark = pytest.mark.usefixtures("small_model")

PART = "part-000000.parquet"


@pytest.fixture(params=["disk", "bucket"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "out") if request.param == "disk" else f"{request.getfixturevalue('bucket')}/out"


def _begin(tasks: list[ImageTask], output: str, **settings: object) -> None:
    prediction(tasks, output, **settings).close()


def test_a_folder_belongs_to_one_run(tasks: list[ImageTask], output: str) -> None:
    _begin(tasks, output)
    folder = ResultFolder(output)
    folder.write(PART, b"")
    with pytest.raises(OutputExistsError, match=r"earlier run.*--resume.*--overwrite.*another folder"):
        _begin(tasks, output)
    _begin(tasks, output, resume=True)
    with pytest.raises(ConfigError, match="default_label was 'object' and is now 'cell'"):
        _begin(tasks, output, resume=True, label="cell")
    other = [replace(tasks[0], prompts=()), *tasks[1:]]
    with pytest.raises(ConfigError, match="the images or their prompts are not the same"):
        _begin(other, output, resume=True)
    assert PART in folder.names()
    _begin(tasks[:2], output, overwrite=True, label="cell")
    assert PART not in folder.names()
    assert json.loads(folder.read(MANIFEST))["images"] == 2


def test_what_is_not_from_a_run_is_left_alone(tasks: list[ImageTask], output: str) -> None:
    folder = ResultFolder(output)
    folder.write("mine.parquet", b"the user's")
    for settings in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputExistsError, match="not empty"):
            _begin(tasks, output, **settings)
    assert (folder.names(), folder.read("mine.parquet")) == ({"mine.parquet"}, b"the user's")


def test_two_runs_into_one_folder_at_once(tasks: list[ImageTask], tmp_path: Path) -> None:
    with prediction(tasks, tmp_path / "out"), pytest.raises(FolderInUseError, match="another sam2-adapter command"):
        prediction(tasks, f"file://{tmp_path}/out", resume=True)


def test_a_run_of_version_0_1_is_gone_on_with(tasks: list[ImageTask], tmp_path: Path) -> None:
    output = tmp_path / "out"
    _begin(tasks, str(output))
    (output / PART).write_bytes(b"")
    (output / MARKER_NAME).unlink()
    with pytest.raises(OutputExistsError, match="--resume"):
        _begin(tasks, str(output))
    _begin(tasks, str(output), resume=True)
    assert (output / PART).exists()
    _begin(tasks, str(output), overwrite=True)
    assert not (output / PART).exists()


def test_without_an_output_each_run_has_its_own(
    tasks: list[ImageTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(2):
        with prediction(tasks, None) as run:
            names.append(run.directory)
    assert names == ["predictions", "predictions2"]


def test_a_folder_that_cannot_be_written_to_is_named(tasks: list[ImageTask], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="file/out"):
        prediction(tasks, tmp_path / "file" / "out")
    with fsspec.open("memory://bucket/file", "wb") as file:
        file.write(b"")
