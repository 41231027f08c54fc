"""A worker: chunks of images in, parts out, and only what fails or dies is lost."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.files import encodable
from sam2_adapter.images.read import read_image
from sam2_adapter.jobs.answers import answer
from sam2_adapter.jobs.ray import worker as work
from sam2_adapter.jobs.ray.parquet import result_of
from sam2_adapter.jobs.ray.plan import Ledger
from sam2_adapter.jobs.ray.worker import ChunkWorker, Job
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.segment import segment
from tests.conftest import disk_photo, square_photo
from tests.jobs.ray.working import BOX, do_chunk, part_rows
from tests.small_model import small_predictor


def test_a_chunk_becomes_a_part(job: Job, tasks: list[ImageTask]) -> None:
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), tasks) == ""
    rows = part_rows(job, tasks)
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert rows[1]["error"].startswith(f"{tasks[1].path}: ")
    predictor = small_predictor()
    for row, task in ((rows[0], tasks[0]), (rows[2], tasks[2])):
        (embedding,) = predictor.embed([read_image(task.path)])
        expected = segment(predictor, embedding, task.prompts)
        assert result_of(row, task, is_kept=False).segmentation == expected
        assert (row["height"], row["width"]) == embedding.original_hw
        (found,) = row["objects"]
        assert found["rle_counts"] == expected.annotations[0].rle.counts
        assert tuple(found["box_xyxy"]) == expected.annotations[0].box_xyxy
        assert found["area"] == expected.annotations[0].area
    made_by = json.loads(pq.read_schema(Path(job.output) / "part-000000.parquet").metadata[b"made_by"])
    assert (made_by["name"], made_by["weights_sha256"], made_by["device"]) == ("small", job.weights_sha256, "cpu")


def test_everything_that_a_prompt_has_travels(job: Job, tasks: list[ImageTask]) -> None:
    mask = np.zeros((120, 160), bool)
    mask[20:100, 40:120] = True
    prompts = (
        Prompt(mask=mask, label="disk", attributes={"sure": True, "n": [1]}, object_id="7", parent_id="3"),
        Prompt(point_coords=[[80, 60], [5, 5]], point_labels=[1, 0]),
    )
    (task,) = asked = [replace(tasks[0], prompts=prompts)]
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), asked) == ""
    predictor = small_predictor()
    (embedding,) = predictor.embed([read_image(task.path)])
    result = result_of(part_rows(job, asked)[0], task, is_kept=True)
    assert result.is_kept
    assert result.segmentation == segment(predictor, embedding, prompts)


def test_only_what_failed_is_done_again(job: Job, tasks: list[ImageTask]) -> None:
    worker = ChunkWorker(job, 2, Ledger(), "a")
    do_chunk(worker, tasks)
    before = part_rows(job, tasks)
    square_photo().save(tasks[1].path)
    tasks[0].path.unlink()
    assert do_chunk(worker, tasks, [1]) == ""
    after = part_rows(job, tasks)
    assert (after[0], after[2]) == (before[0], before[2])
    assert (after[1]["status"], len(after[1]["objects"])) == ("ok", 1)


def test_what_is_passed_over_or_doubtful_is_told(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    disk_photo().save(path, save_all=True, append_images=[square_photo()])
    far = Prompt(box_xyxy=(10, 10, 900, 90))
    (task,) = asked = [ImageTask(path, path.name, (BOX, far))]
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), asked) == ""
    (row,) = part_rows(job, asked)
    assert row["notes"] == ["2 pages, of which the first one is read"]
    assert [entry["prompt_index"] for entry in row["warnings"]] == [1]
    result = result_of(row, task, is_kept=False)
    assert result.notes == ("2 pages, of which the first one is read",)
    assert result.warnings[1].startswith("Box (10, 10, 900, 90) reaches far over the image")


def test_text_that_is_not_utf8_costs_nothing(job: Job, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    disk_photo().save(path)
    prompt = replace(BOX, label="half \ud800", object_id="\udfff", attributes={"a": "\ud800"})
    asked = [ImageTask(path, path.name, (prompt,))]
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), asked) == ""
    (row,) = part_rows(job, asked)
    assert row["name"] == encodable(path.name) == "caf\\udce9.png"
    (found,) = row["objects"]
    assert (found["label"], found["object_id"]) == ("half \\ud800", "\\udfff")
    assert json.loads(found["attributes"]) == {"a": "\ud800"}


def test_an_unexpected_error_names_its_image_and_costs_no_other(
    job: Job, tasks: list[ImageTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(predictor: Predictor, *given: Any) -> object:
        if given[2][0].label == "odd":
            raise ZeroDivisionError("by nought")
        return answer(predictor, *given)

    monkeypatch.setattr(work, "answer", odd)
    asked = [replace(tasks[0], prompts=(replace(BOX, label="odd"),)), *tasks[1:]]
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), asked) == ""
    rows = part_rows(job, asked)
    assert rows[0]["error"] == f"{tasks[0].path}: unexpected ZeroDivisionError: by nought"
    assert [row["status"] for row in rows] == ["failed", "failed", "ok"]


def test_an_image_that_kills_processes_is_given_up(job: Job, tasks: list[ImageTask]) -> None:
    ledger = Ledger()
    for _ in range(2):
        ledger.begin("part 0")
        ledger.reach("part 0", 2)
    assert do_chunk(ChunkWorker(job, 2, ledger, "a"), tasks) == ""
    rows = part_rows(job, tasks)
    assert [row["status"] for row in rows] == ["ok", "failed", "failed"]
    assert "the process that worked on this image died, 2 times" in rows[2]["error"]
    assert ledger.begin("part 0") == {}


def test_a_machine_on_which_the_model_cannot_be_loaded(job: Job, tasks: list[ImageTask]) -> None:
    ledger = Ledger()
    for _ in range(3):
        ledger.begin("loading by a")
    assert "dies while it loads the model" in do_chunk(ChunkWorker(job, 2, ledger, "a"), tasks)


def test_other_weights_on_a_machine_are_refused(job: Job, tasks: list[ImageTask]) -> None:
    other = replace(job, weights_sha256="0" * 63 + "1")
    assert "the model small is another one here" in do_chunk(ChunkWorker(other, 2, Ledger(), "a"), tasks)


def test_output_that_a_worker_cannot_write_is_named(job: Job, tasks: list[ImageTask], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    error = do_chunk(ChunkWorker(job, 2, Ledger(), "a"), tasks)
    assert error.startswith("a worker on ")
    assert f"{tmp_path / 'out'}/part-000000.parquet: cannot write the file" in error


def test_a_worker_has_as_many_threads_as_cores(job: Job, tasks: list[ImageTask]) -> None:
    assert do_chunk(ChunkWorker(job, 1, Ledger(), "a"), tasks) == ""
    assert torch.get_num_threads() == 1


def test_few_images_are_read_ahead(job: Job, tasks: list[ImageTask], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    in_memory: list[int] = []
    encode = Predictor.embed
    monkeypatch.setattr(work, "read_source", lambda source: (read.append(source), Path(source).read_bytes())[1])
    monkeypatch.setattr(
        Predictor, "embed", lambda *arguments: (in_memory.append(len(read) - len(in_memory)), encode(*arguments))[1]
    )
    many = [replace(tasks[0], name=f"{index}.png") for index in range(20)]
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), many) == ""
    assert len(read) == 20
    assert 1 <= max(in_memory) <= 6


def test_a_prompt_that_cannot_be_used_costs_only_itself(job: Job, tasks: list[ImageTask]) -> None:
    prompts = (RefusedPrompt("Unknown key 'bbox'."), BOX, replace(BOX, box_xyxy=(500, 0, 600, 9)))
    asked = [replace(tasks[0], prompts=prompts), replace(tasks[2], prompts=prompts[:1])]
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), asked) == ""
    first, second = part_rows(job, asked)
    assert [entry["prompt_index"] for entry in first["objects"]] + first["empty_prompts"] == [1]
    assert [entry["prompt_index"] for entry in first["refused_prompts"]] == [0, 2]
    result = result_of(first, asked[0], is_kept=False)
    assert result.refused_prompts[0] == "Unknown key 'bbox'."
    assert (second["status"], second["error"]) == ("failed", f"{tasks[2].path}: prompt 1: Unknown key 'bbox'.")


def test_a_row_says_what_was_read(job: Job, tasks: list[ImageTask]) -> None:
    os.utime(tasks[0].path, ns=(7, 7))
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), tasks) == ""
    versions = [row["version"] for row in part_rows(job, tasks)]
    assert versions[0] == f"{tasks[0].path.stat().st_size} 7"
    assert versions[1] is None
