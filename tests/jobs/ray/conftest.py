"""A small model in place of the one that would be loaded, and photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
import torch

from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.ray import run, worker
from sam2_adapter.jobs.ray.worker import Job
from sam2_adapter.jobs.tasks import ImageTask
from tests.conftest import disk_photo, square_photo
from tests.jobs.ray.working import BOX, CHOICE
from tests.small_model import small_predictor


@pytest.fixture
def bucket() -> Iterator[str]:
    """An empty bucket in memory."""
    yield "memory://bucket"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for, a small model is loaded."""
    monkeypatch.setattr(worker, "load_predictor", lambda *arguments, **options: small_predictor())
    loaded = SimpleNamespace(name="small", weights_sha256="0" * 64, resize="stretch")
    monkeypatch.setattr(run, "load_model", lambda name: loaded)


@pytest.fixture
def job(tmp_path: Path, small_model: None) -> Iterator[Job]:
    """Writes to `out`."""
    threads = torch.get_num_threads()
    yield Job(CHOICE, small_predictor().info.weights_sha256, PredictOptions.from_config(), str(tmp_path / "out"))
    torch.set_num_threads(threads)


@pytest.fixture
def tasks(tmp_path: Path) -> list[ImageTask]:
    """Three photographs, the second of them broken."""
    for index, photo in enumerate((disk_photo(), None, square_photo())):
        path = tmp_path / f"{index}.png"
        photo.save(path) if photo else path.write_bytes(b"no image")
    return [ImageTask(tmp_path / f"{index}.png", f"{index}.png", (BOX,)) for index in range(3)]
