"""Prediction over many files: streaming, and each image for itself."""

from __future__ import annotations

import copy
import json
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import ExportError
from sam2_adapter.formats.coco.objects import read_coco
from sam2_adapter.jobs.local import BulkOptions, predict_files
from sam2_adapter.jobs.output_folder import OutputFolder
from sam2_adapter.jobs.tasks import ImageTask, plan_tasks
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
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
    done = [image.file_name for image in read_coco(tmp_path / "out" / "annotations.json").images]
    assert done
    assert done == taken[: len(done)]


@pytest.mark.parametrize("options", [BulkOptions(workers=3), BulkOptions(batch_size=4, workers=2)])
def test_batches_and_workers_do_not_change_the_results(
    predictor: Predictor, tmp_path: Path, options: BulkOptions
) -> None:
    found = {}
    for name, setting in (("one", BulkOptions()), ("many", options)):
        with OutputFolder(tmp_path / name, ["coco"], predictor.info, overlay=False) as output:
            results = list(predict_files(predictor, _tasks(tmp_path, 10), output, setting))
        assert [result.task.name for result in results] == [f"{index:04}.png" for index in range(10)]
        found[name] = read_coco(tmp_path / name / "annotations.json").images
    assert [image.file_name for image in found["many"]] == [image.file_name for image in found["one"]]
    for one, many in zip(found["one"], found["many"], strict=True):
        for expected, entry in zip(one.annotations, many.annotations, strict=True):
            assert mask_iou(entry.mask, expected.mask) > 0.99


def test_a_broken_image_costs_only_itself_in_a_batch(predictor: Predictor, tmp_path: Path) -> None:
    tasks = list(_tasks(tmp_path, 6))
    (tmp_path / "broken.png").write_bytes(b"no image")
    tasks[1] = ImageTask(tmp_path / "broken.png", tasks[1].name, (BOX,))
    tasks[3] = ImageTask(tmp_path / "missing.png", tasks[3].name, (BOX,))
    with OutputFolder(tmp_path / "out", ["coco"], predictor.info, overlay=False) as output:
        errors = [r.error for r in predict_files(predictor, tasks, output, BulkOptions(batch_size=4))]
    assert [error is not None for error in errors] == [False, True, False, True, False, False]
    assert "broken.png" in str(errors[1])
    assert "missing.png" in str(errors[3])


class _OneImageAtATime(Predictor):
    """A predictor whose machine has memory for one image only."""

    def embed(self, images: Sequence[npt.NDArray[np.uint8]]) -> tuple[ImageEmbedding, ...]:
        if len(images) > 1:
            raise MemoryError
        return super().embed(images)


def test_a_batch_without_enough_memory_is_done_one_by_one(predictor: Predictor, tmp_path: Path) -> None:
    small = copy.copy(predictor)
    small.__class__ = _OneImageAtATime
    with OutputFolder(tmp_path / "out", ["coco"], predictor.info, overlay=False) as output:
        results = list(predict_files(small, _tasks(tmp_path, 5), output, BulkOptions(batch_size=4)))
    assert [result.error for result in results] == [None] * 5
    assert len(read_coco(tmp_path / "out" / "annotations.json").images) == 5


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


@pytest.mark.parametrize(("device", "batch_size", "workers"), [("cpu", 1, 2), ("cuda:0", 16, 8)])
def test_batches_and_readers_suit_the_device(monkeypatch, device: str, batch_size: int, workers: int) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    fitting = small_predictor()
    fitting.info = replace(fitting.info, device=device)
    fitting._runtime.images_per_call = 16 if device != "cpu" else 1
    fitted = BulkOptions().fitted_to(fitting)
    assert (fitted.batch_size, fitted.workers) == (batch_size, workers)
    asked = BulkOptions(batch_size=3, workers=5).fitted_to(fitting)
    assert (asked.batch_size, asked.workers) == (3, 5)


def test_beside_a_gpu_masks_are_made_in_several_threads_and_come_out_in_order(
    predictor: Predictor, tmp_path: Path
) -> None:
    threads = set()

    class Noting(Predictor):
        def predict_parts(self, *arguments: object, **options: object) -> Iterator:
            threads.add(threading.current_thread().name)
            return super().predict_parts(*arguments, **options)

    on_gpu = Noting(predictor._runtime, "small", predictor.info.weights_sha256)
    on_gpu.info = replace(on_gpu.info, device="cuda")
    found = {}
    for name, model in (("cpu", predictor), ("gpu", on_gpu)):
        with OutputFolder(tmp_path / name, ["coco"], predictor.info, overlay=False) as output:
            results = list(predict_files(model, _tasks(tmp_path, 12), output, BulkOptions(batch_size=4)))
        assert [result.task.name for result in results] == [f"{index:04}.png" for index in range(12)]
        found[name] = [image.annotations for image in read_coco(tmp_path / name / "annotations.json").images]
    assert found["cpu"] == found["gpu"]
    assert len(threads) > 1
    assert all(name.startswith("segment") for name in threads)
