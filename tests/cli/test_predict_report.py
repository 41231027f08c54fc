"""What `predict` prints: prompts counted from 1 for people, and one JSON document for machines, whatever happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.cli.predict_report import PredictReport, make_report
from sam2_adapter.errors import ConfigError, ExportError
from sam2_adapter.jobs.answers import ImageResult
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.predict.segment import Segmentation
from sam2_adapter.predict.windows import WindowUse

TASK = ImageTask(Path("photos/a.png"), "a.png")


def _result(**more: object) -> ImageResult:
    return ImageResult(TASK, Segmentation((), (), (0, 2)), (), 0.1, **more)  # type: ignore[arg-type]


def _report(as_json: bool) -> PredictReport:
    report = make_report(2, as_json=as_json)
    report.start({"name": "small"}, "out")
    return report


def test_people_count_prompts_from_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    with _report(False) as report:
        report.add(_result(refused_prompts={1: "outside."}, warnings={4: "far outside."}))
    out, err = capsys.readouterr()
    assert out == "a.png: 0 objects; no mask for prompt 1, 3\n"
    assert err.splitlines() == [
        "error: photos/a.png: prompt 2: outside.",
        "warning: photos/a.png: prompt 5: far outside.",
        "0 objects in 1 image, 1 prompt could not be used; results in out",
    ]


def test_of_many_objects_each_label_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    def line(*found: tuple[str, float]) -> str:
        pixel = np.ones((1, 1), np.bool_)
        annotations = tuple(Annotation.from_mask(pixel, label, score, prompt_index=0) for label, score in found)
        with _report(False) as report:
            report.add(replace(_result(), segmentation=Segmentation(annotations, (), ())))
        return capsys.readouterr().out

    assert line(("car", 0.9), ("dog", 0.25)) == "a.png: 2 objects (car 0.90, dog 0.25)\n"
    assert line(*[("car", 0.9 - 0.01 * n) for n in range(60)]) == "a.png: 60 objects (car 0.90 to 0.31)\n"
    found = [("car", 0.5)] * 12 + [("dog", 0.25), ("dog", 0.75)]
    assert line(*found) == "a.png: 14 objects (12 car 0.50 to 0.50, 2 dog 0.75 to 0.25)\n"
    named = ", ".join(f"1 {n} 0.50 to 0.50" for n in range(10))
    assert line(*[(str(n), 0.5) for n in range(13)]) == f"a.png: 13 objects ({named}, ...)\n"


def test_doubtful_objects_that_nobody_pointed_at_come_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    def advice(*scores: float, task: ImageTask = TASK) -> list[str]:
        pixel = np.ones((1, 1), np.bool_)
        annotations = tuple(Annotation.from_mask(pixel, "object", score, prompt_index=0) for score in scores)
        with _report(False) as report:
            report.add(replace(_result(), task=task, segmentation=Segmentation(annotations, (), ())))
        return capsys.readouterr().err.splitlines()[1:]

    assert advice(0.5, 0.75) == []
    assert advice(0.25, task=replace(TASK, prompts=(Prompt(box_xyxy=(0, 0, 4, 4)),))) == []
    (told,) = advice(0.25, 0.75)
    assert told.startswith("1 of 2 objects has a score below 0.5, found without being pointed at.")
    assert "--point or --box, or find all objects with --everything." in told


def test_where_no_folder_was_made_nothing_was_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with _report(False):
        pass
    assert capsys.readouterr().err.splitlines()[-1].endswith("; nothing was written")


def test_many_refusals_and_warnings_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with _report(False) as report:
        report.add(_result(refused_prompts=dict.fromkeys(range(50), "no."), warnings=dict.fromkeys(range(9), "odd.")))
    lines = capsys.readouterr().err.splitlines()
    assert "error: photos/a.png: 30 more prompts cannot be used." in lines
    assert "warning: there are 4 more warnings like these; --json has all." in lines
    assert len(lines) == 20 + 1 + 5 + 1 + 1


def test_machines_count_from_0(capsys: pytest.CaptureFixture[str]) -> None:
    with _report(True) as report:
        report.add(_result(refused_prompts={1: "outside."}))
    document = json.loads(capsys.readouterr().out)
    (image,) = document["images"]
    assert image["empty_prompts"] == [0, 2]
    assert image["refused_prompts"] == [{"prompt_index": 1, "error": "outside."}]
    assert document["summary"] == {"images": 1, "objects": 0, "failed": 0, "refused_prompts": 1}


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ExportError("the disk is full."), 1, "the disk is full."),
        (ConfigError("no."), 2, "no."),
        (ZeroDivisionError("by nought"), 1, "unexpected ZeroDivisionError: by nought"),
    ],
)
def test_whatever_ends_a_run_there_is_one_document(
    capsys: pytest.CaptureFixture[str], error: Exception, status: int, told: str
) -> None:
    report = _report(True)
    report.add(_result())
    with pytest.raises(typer.Exit) as ended, report:
        raise error
    assert ended.value.exit_code == status
    out, err = capsys.readouterr()
    assert told in json.loads(out)["error"]
    assert err.startswith(f"error: {told}")


def test_an_interrupted_run_leaves_a_whole_document(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), _report(True):
        raise KeyboardInterrupt
    assert json.loads(capsys.readouterr().out)["error"] == "interrupted"


def test_windows_are_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    use = WindowUse(2, (0, 1, 3), left=(4,), small_clicks=(5, 6), hinted_pixels=96)
    result = ImageResult(TASK, Segmentation((), (), (), use), (), 0.1)
    with _report(False) as report:
        report.add(result)
    out, err = capsys.readouterr()
    assert out == "a.png: 0 objects; 3 prompts in 2 windows\n"
    assert err.splitlines()[:2] == [f"warning: photos/a.png: {note}" for note in use.notes()]
    with _report(True) as report:
        report.add(result)
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert image["windows"] == {
        "count": 2,
        "prompts": [0, 1, 3],
        "left_to_whole_image": [4],
        "reaching_the_side": [],
    }
    assert image["notes"] == list(use.notes())
