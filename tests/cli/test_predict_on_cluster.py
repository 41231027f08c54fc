"""What the command line asks for, as a run over a cluster."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.cli import predict_on_cluster
from sam2_adapter.cli.predict_on_cluster import ClusterRequest, cluster_prediction
from sam2_adapter.config import Config
from sam2_adapter.errors import ConfigError, ImageError
from tests.conftest import disk_photo

REQUEST = ClusterRequest(None, None, None, None, False, False, None, "pixel")
BOX = Prompt(box_xyxy=(1, 2, 30, 40))


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.png", "c.png"):
        disk_photo().save(tmp_path / name)
    return tmp_path


def test_images_at_paths_are_found_in_order_up_to_a_limit(folder):
    tasks = predict_on_cluster._find_tasks([str(folder)], [BOX], None)
    assert [(task.name, task.url, tuple(task.prompts)) for task in tasks] == [
        (f"{name}.png", None, (BOX,)) for name in "abc"
    ]
    assert all(task.path.is_absolute() for task in tasks)
    assert [task.name for task in predict_on_cluster._find_tasks([str(folder)], None, 2)] == ["a.png", "b.png"]


def test_images_at_urls_keep_their_urls():
    files = fsspec.filesystem("memory")
    files.pipe({"/bucket/x/a.png": b"", "/bucket/x/y/b.png": b""})
    try:
        tasks = predict_on_cluster._find_tasks(["memory://bucket/x"], None, None)
    finally:
        files.rm("/bucket", recursive=True)
    assert [(task.name, task.url) for task in tasks] == [
        ("a.png", "memory:///bucket/x/a.png"),
        ("y/b.png", "memory:///bucket/x/y/b.png"),
    ]


def test_a_run_takes_over_what_was_asked_for(folder, tmp_path):
    request = ClusterRequest(str(tmp_path / "out"), 3, "far:1", None, False, False, None, "fraction")
    with cluster_prediction(request, [str(folder)], None, "sam2_nano", Config(device="cpu")) as run:
        assert (run.num_images, Path(run.directory)) == (3, tmp_path / "out")
        assert "sam2_nano" in run.made_by.values()


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(ImageError):
        cluster_prediction(REQUEST, [str(tmp_path)], None, "sam2_nano", Config())


@pytest.mark.parametrize("missing", ["ray", "pyarrow", "fsspec"])
def test_what_is_not_installed_is_said_before_anything_is_read(monkeypatch, missing):
    monkeypatch.setattr(
        predict_on_cluster, "find_spec", lambda package: None if package == missing else find_spec(package)
    )
    with pytest.raises(
        ConfigError, match=r'--engine ray is not installed. Install it with: pip install "sam2-adapter\[ray\]"'
    ):
        cluster_prediction(REQUEST, ["nowhere"], None, "sam2_nano", Config())
