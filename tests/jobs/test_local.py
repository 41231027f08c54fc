"""Prediction over many files: streaming, and each image for itself."""

from __future__ import annotations

import copy
import os
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.formats.coco.objects import read_coco
from sam2_adapter.jobs import job_image
from sam2_adapter.jobs.local import predict_files
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from tests.conftest import disk_photo, square_photo
from tests.jobs.writing import OPTIONS, journaled_folder, output_folder
from tests.small_model import small_predictor

BOX = Prompt(box_xyxy=(40, 20, 120, 100), label="disk")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


def _tasks(folder: Path, count: int) -> Iterator[ImageTask]:
    disk_photo().save(folder / "a.png")
    for index in range(count):
        yield ImageTask(folder / "a.png", f"{index:04}.png", (BOX,))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(predictor: Predictor, tmp_path: Path) -> None:
    peaks = []
    for count in (6, 40):
        with output_folder(tmp_path / str(count), ["coco", "masks"], predictor.info) as output:
            tracemalloc.start()
            for result in predict_files(predictor, _tasks(tmp_path, count), output, OPTIONS):
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

    with output_folder(tmp_path / "out", ["coco"], predictor.info) as output:
        results = predict_files(predictor, tasks(), output, OPTIONS)
        next(results)
        assert len(taken) <= 3
        results.close()
    done = [image.file_name for image in read_coco(tmp_path / "out" / "annotations.json").images]
    assert done
    assert done == taken[: len(done)]


@pytest.mark.parametrize("options", [replace(OPTIONS, workers=3), replace(OPTIONS, batch_size=4, workers=2)])
def test_batches_and_workers_do_not_change_the_results(
    predictor: Predictor, tmp_path: Path, options: PredictOptions
) -> None:
    found = {}
    for name, setting in (("one", OPTIONS), ("many", options)):
        with output_folder(tmp_path / name, ["coco"], predictor.info) as output:
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
    with output_folder(tmp_path / "out", ["coco"], predictor.info) as output:
        errors = [r.error for r in predict_files(predictor, tasks, output, replace(OPTIONS, batch_size=4))]
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
    with output_folder(tmp_path / "out", ["coco"], predictor.info) as output:
        results = list(predict_files(small, _tasks(tmp_path, 5), output, replace(OPTIONS, batch_size=4)))
    assert [result.error for result in results] == [None] * 5
    assert len(read_coco(tmp_path / "out" / "annotations.json").images) == 5


def test_a_result_that_cannot_be_written_costs_only_itself(predictor: Predictor, tmp_path: Path) -> None:
    tasks = list(_tasks(tmp_path, 3))
    attributes: dict[str, object] = {"when": None}
    bad = Prompt(box_xyxy=(40, 20, 120, 100), attributes=attributes)
    attributes["when"] = object()
    tasks[1] = ImageTask(tasks[1].path, tasks[1].name, (bad,))
    with output_folder(tmp_path / "out", ["coco"], predictor.info) as output:
        errors = [result.error for result in predict_files(predictor, tasks, output, OPTIONS)]
    assert errors[0] is None
    assert errors[2] is None
    assert "cannot be written as JSON" in str(errors[1])
    found = read_coco(tmp_path / "out" / "annotations.json")
    assert [image.file_name for image in found.images] == ["0000.png", "0002.png"]


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
        with output_folder(tmp_path / name, ["coco"], predictor.info) as output:
            results = list(predict_files(model, _tasks(tmp_path, 12), output, replace(OPTIONS, batch_size=4)))
        assert [result.task.name for result in results] == [f"{index:04}.png" for index in range(12)]
        found[name] = [image.annotations for image in read_coco(tmp_path / name / "annotations.json").images]
    assert found["cpu"] == found["gpu"]
    assert len(threads) > 1
    assert all(name.startswith("predict") for name in threads)


def test_a_prompt_that_cannot_be_used_costs_only_itself(predictor: Predictor, tmp_path: Path) -> None:
    disk_photo().save(tmp_path / "a.png")
    outside = Prompt(box_xyxy=(500, 500, 600, 600))
    asked = [RefusedPrompt("Unknown key 'bbox'."), BOX, outside, BOX]
    tasks = [ImageTask(tmp_path / "a.png", "a.png", asked), ImageTask(tmp_path / "a.png", "b.png", asked[:1])]
    with output_folder(tmp_path / "out", ["coco"], predictor.info) as output:
        first, second = predict_files(predictor, tasks, output, OPTIONS)
    assert first.segmentation is not None
    found = [entry.prompt_index for entry in first.segmentation.annotations]
    assert sorted([*found, *first.segmentation.empty_prompts]) == [1, 3]
    assert sorted(first.refused_prompts) == [0, 2]
    assert "lies outside the image" in first.refused_prompts[2]
    assert second.error == f"{tmp_path / 'a.png'}: prompt 1: Unknown key 'bbox'."
    (image,) = read_coco(tmp_path / "out" / "annotations.json").images
    assert len(image.annotations) == len(found)


def test_an_error_that_nobody_foresaw_costs_only_its_image(predictor: Predictor, tmp_path: Path) -> None:
    tasks = list(_tasks(tmp_path, 3))
    tasks[1] = ImageTask(tmp_path / "a.png", "odd.png", (BOX, "no prompt at all"))  # type: ignore[arg-type]
    with output_folder(tmp_path / "out", ["coco"], predictor.info) as output:
        errors = [result.error for result in predict_files(predictor, tasks, output, OPTIONS)]
    assert [error is None for error in errors] == [True, False, True]
    assert "a.png: unexpected AttributeError" in str(errors[1])


@pytest.mark.parametrize("replaced", ["while it is read", "after it was read"])
def test_a_file_that_is_replaced_during_the_run_is_done_again(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: str
) -> None:
    tasks = list(_tasks(tmp_path, 3))
    read = job_image.read_image_with_notes

    def read_and_replace(path: Path, **options: int) -> np.ndarray:
        before = replaced == "while it is read"
        image = None if before else read(path, **options)
        square_photo().save(tmp_path / "new.png")
        os.utime(tmp_path / "new.png", ns=(1, 1))
        (tmp_path / "new.png").replace(path)
        return read(path, **options) if image is None else image

    own = tmp_path / "own.png"
    disk_photo().save(own)
    tasks[1] = ImageTask(own, "own.png", (BOX,))
    with journaled_folder(tmp_path / "out", ["coco"], predictor.info, resume=False) as (output, journal):
        monkeypatch.setattr(
            job_image,
            "read_image_with_notes",
            lambda path, **options: (read_and_replace if path == own else read)(path, **options),
        )
        list(predict_files(predictor, tasks, output, OPTIONS, journal))
    monkeypatch.undo()
    with journaled_folder(tmp_path / "out", ["coco"], predictor.info, resume=True) as (output, journal):
        results = list(predict_files(predictor, tasks, output, OPTIONS, journal))
    assert [result.is_kept for result in results] == [True, False, True]
    found = {image.file_name: image.original_hw for image in read_coco(tmp_path / "out" / "annotations.json").images}
    assert found["own.png"] == (128, 128)
