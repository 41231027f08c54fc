"""Runs on disk: found again, numbered on, and nothing damaged or foreign is believed."""

from __future__ import annotations

import json

import pytest

from sam2_adapter.errors import ExportError, TrainingError
from sam2_adapter.label.teaching_runs import Runs, Used, shown_epoch

FACTS = {
    "teaching": 1,
    "base": {"name": "the first model", "model": "sam2_nano"},
    "settings": {"num_epochs": 3},
    "split": {"train": ["images/a.png"], "validation": ["images/b.png"]},
    "shown": {"sentence": "The model learns."},
}
RESULT = {"stopped": "all epochs done", "best_epoch": 2, "curve": [{"share": 0.0}, {"share": 1.0}], "share": 1.0}


def _with_run(folder, **facts):
    runs = Runs(folder)
    name, directory = runs.new()
    return runs, runs.add(name, directory, {**FACTS, **facts})


def test_a_run_is_found_again_as_it_was(tmp_path):
    runs, run = _with_run(tmp_path / "teaching")
    assert (run.name, run.base, run.result, run.is_finished, run.epochs()) == ("run1", "sam2_nano", None, False, [])
    (run.training).mkdir()
    row = {"epoch": 0, "score": 0.5, "loss": None, "seconds": 3}
    (run.training / "metrics.json").write_text(json.dumps({"epochs": [row, {**row, "epoch": 1}]}))
    run.write_result(RESULT)
    again = Runs(tmp_path / "teaching").get("run1")
    assert again == run
    assert again.shown() == {
        "name": "run1",
        "base": "the first model",
        "split": FACTS["shown"],
        "numEpochs": 3,
        "epochs": [shown_epoch(row), shown_epoch({**row, "epoch": 1})],
        "result": RESULT,
        "isFinished": True,
    }
    assert "seconds" not in again.epochs()[0]
    again.forget_result()
    again.forget_result()
    assert again.result is None
    assert runs.new()[0] == "run2"


def test_the_weights_of_a_run_that_may_go_on_have_a_file_of_their_own(tmp_path):
    _, run = _with_run(tmp_path / "teaching")
    (run.training).mkdir()
    (run.training / "metrics.json").write_text(json.dumps({"epochs": [{"epoch": n} for n in range(3)]}))
    run.write_result({**RESULT, "stopped": "interrupted"})
    assert [run.weights(share).name for share in (1, 0.5)] == ["share-1.00-after-2.torch", "share-0.50-after-2.torch"]
    run.write_result(RESULT)
    assert run.weights(1.0) == run.model
    assert run.weights(0.25).name == "share-0.25.torch"


def test_the_folder_may_be_moved_with_what_was_taught_on_top(tmp_path):
    runs, first = _with_run(tmp_path / "teaching")
    first.write_result(RESULT)
    first.weights(0.5).write_bytes(b"weights")
    runs.use(Used(first, 0.5, first.weights(0.5)))
    _, second = _with_run(tmp_path / "teaching", base={"name": "run1 (50 %)", "file": "run1/share-0.50.torch"})
    assert second.base == str(first.weights(0.5))
    (tmp_path / "teaching").rename(tmp_path / "moved")
    moved = Runs(tmp_path / "moved")
    assert moved.get("run2").base == str(tmp_path / "moved" / "run1" / "share-0.50.torch")
    assert moved.in_use == Used(moved.get("run1"), 0.5, tmp_path / "moved" / "run1" / "share-0.50.torch")
    assert moved.in_use.name == "run1 (50 %)"
    moved.use(None)
    assert (moved.in_use, Runs(tmp_path / "moved").in_use) == (None, None)


@pytest.mark.parametrize(
    "in_use",
    [
        [],
        {"run": "run7", "share": 1, "file": "run1/w"},
        {"run": "run1", "share": 2, "file": "run1/w"},
        {"run": "run1", "share": 0.5, "file": "../w"},
        {"run": "run1", "share": 0.5, "file": "run1/gone"},
        {"run": "run1", "share": True, "file": "run1/w"},
    ],
)
def test_a_choice_that_cannot_be_is_the_first_model(tmp_path, in_use):
    runs, run = _with_run(tmp_path / "teaching")
    (run.directory / "w").write_bytes(b"weights")
    (tmp_path / "w").write_bytes(b"elsewhere")
    (runs.directory / "in_use.json").write_text(json.dumps(in_use))
    assert runs.in_use is None


def test_what_is_damaged_or_foreign_is_passed_over_and_its_number_is_not_used_again(tmp_path):
    folder = tmp_path / "teaching"
    _, run = _with_run(folder)
    for number, content in enumerate(
        ("no json", "[]", json.dumps({**FACTS, "base": {"name": "x", "file": "../up"}})), 2
    ):
        (folder / f"run{number}").mkdir()
        (folder / f"run{number}" / "teaching.json").write_text(content)
    (folder / "run9").mkdir()
    (folder / "run10").symlink_to(run.directory)
    (folder / "runs").mkdir()
    runs = Runs(folder)
    assert [one.name for one in runs.all()] == ["run1"]
    assert runs.new()[0] == "run11"
    (run.directory / "result.json").write_text("{")
    assert run.result is None
    with pytest.raises(TrainingError, match="There is no model 'run9'"):
        runs.get("run9")
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ExportError, match="this is a link"):
        Runs(tmp_path / "link")
