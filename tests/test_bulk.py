"""Prediction over many files: streaming, and each image for itself."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from sam2_adapter.bulk import BulkOptions, predict_files
from sam2_adapter.data.formats.coco import read_coco
from sam2_adapter.data.image_tasks import ImageTask, plan_tasks
from sam2_adapter.errors import ExportError
from sam2_adapter.outputs import OutputFolder
from sam2_adapter.predictor import Predictor
from sam2_adapter.prompts import Prompt
from tests.conftest import disk_photo
from tests.small_model import small_predictor

BOX = Prompt(box_xyxy=(40, 20, 120, 100), label="disk")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


def _tasks(folder: Path, count: int) -> Iterator[ImageTask]:
    disk_photo().save(folder / "a.png")
    for index in range(count):
        yield ImageTask(folder / "a.png", f"{index:04}.png", (BOX,))


def test_memory_does_not_grow_with_the_number_of_images(predictor: Predictor, tmp_path: Path) -> None:
    peaks = []
    for count in (6, 40):
        with OutputFolder(tmp_path / str(count), ["coco", "masks"], predictor.info, overlay=False) as output:
            tracemalloc.start()
            for result in predict_files(predictor, _tasks(tmp_path, count), output, BulkOptions()):
                assert result.error is None
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert len(read_coco(tmp_path / "40" / "annotations.json").images) == 40
    assert peaks[1] < peaks[0] + 200_000


def test_images_are_taken_one_by_one(predictor: Predictor, tmp_path: Path) -> None:
    taken = []

    def tasks() -> Iterator[ImageTask]:
        for task in _tasks(tmp_path, 10):
            taken.append(task.name)
            yield task

    with OutputFolder(tmp_path / "out", ["coco"], predictor.info, overlay=False) as output:
        results = predict_files(predictor, tasks(), output, BulkOptions())
        next(results)
        assert len(taken) <= 3
        results.close()
    (image,) = read_coco(tmp_path / "out" / "annotations.json").images
    assert image.file_name == "0000.png"


def test_a_result_that_cannot_be_written_costs_only_itself(predictor: Predictor, tmp_path: Path) -> None:
    tasks = list(_tasks(tmp_path, 3))
    bad = Prompt(box_xyxy=(40, 20, 120, 100), attributes={"when": object()})
    tasks[1] = ImageTask(tasks[1].path, tasks[1].name, (bad,))
    with OutputFolder(tmp_path / "out", ["coco"], predictor.info, overlay=False) as output:
        errors = [result.error for result in predict_files(predictor, tasks, output, BulkOptions())]
    assert errors[0] is None
    assert errors[2] is None
    assert "cannot be written as JSON" in str(errors[1])
    found = read_coco(tmp_path / "out" / "annotations.json")
    assert [image.file_name for image in found.images] == ["0000.png", "0002.png"]


def test_a_coco_file_without_images_is_valid(predictor: Predictor, tmp_path: Path) -> None:
    with OutputFolder(tmp_path, ["coco"], predictor.info):
        pass
    document = json.loads((tmp_path / "annotations.json").read_text())
    assert (document["images"], document["annotations"], document["categories"]) == ([], [], [])


def test_a_folder_that_cannot_be_made_is_an_error(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="Choose another folder"):
        OutputFolder(tmp_path / "file" / "out", ["coco"], predictor.info)


def test_names_are_paths_below_the_shared_folder() -> None:
    tasks = plan_tasks(
        [Path("/data/a/x.png"), Path("/data/b/x.png"), Path("/data/a/../a/x.png")], {Path("/data/b/x.png"): [BOX]}
    )
    assert [(task.name, len(task.prompts)) for task in tasks] == [("a/x.png", 0), ("b/x.png", 1)]
    assert [task.name for task in plan_tasks([Path("/data/a/x.png")], {})] == ["x.png"]
    assert plan_tasks([], {}) == []
