"""What requests share."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from sam2_adapter.errors import ImageError
from sam2_adapter.label.pictures import named_pictures
from sam2_adapter.label.served import Served
from sam2_adapter.label.work import Work
from tests.conftest import disk_photo


@pytest.fixture
def served(tmp_path):
    disk_photo().save(tmp_path / "disk.png")
    (tmp_path / "broken.png").write_bytes(b"")
    work = Work(tmp_path / "journal.jsonl")
    yield Served(named_pictures([tmp_path / "disk.png", tmp_path / "broken.png"], tmp_path), work)
    work.close()


def _request(key):
    return Request({"type": "http", "path_params": {"id": key}})


def test_pictures_are_found_by_id_and_measured_once(served, monkeypatch):
    disk, broken = served.pictures
    assert served.picture(_request(disk.id)) is disk
    with pytest.raises(ImageError, match="no picture with this id"):
        served.picture(_request("disk.png"))
    assert asyncio.run(served.size(disk)) == (120, 160)
    with pytest.raises(ImageError, match=r"broken\.png"):
        asyncio.run(served.size(broken))
    monkeypatch.setattr(served.files, "original_hw", None)
    assert asyncio.run(served.size(disk)) == (120, 160)


def test_labels_are_told_with_places_and_renamings(served):
    served.work.add_labels(["a", "b"])
    served.work.rename_label("a", "c", "r1")
    served.work.remove_label("b")
    assert served.labels() == {
        "labels": ["c"],
        "places": [0],
        "renamings": [{"id": "r1", "old": "a", "new": "c", "isRestored": False}],
        "number": 3,
    }
