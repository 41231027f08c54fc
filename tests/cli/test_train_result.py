"""What a run came to, in lines for people and as a document for machines."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from sam2_adapter.cli.train_result import result_document, result_lines
from sam2_adapter.formats.load import Dataset, load_dataset
from sam2_adapter.training.blend_choice import BlendChoice
from sam2_adapter.training.general import GeneralChange, GeneralQuality
from sam2_adapter.training.records import TrainingResult
from tests.cli.test_train_progress import RECORD
from tests.disc_data import make_disc_data

BEST = replace(RECORD, epoch=1, score=0.75, loss=0.5)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return load_dataset(make_disc_data(tmp_path / "data"))


@pytest.fixture
def result(tmp_path: Path) -> TrainingResult:
    folder = tmp_path / "my run"
    folder.mkdir()
    for name in ("best.torch", "report.html"):
        (folder / name).write_bytes(b"")
    return TrainingResult(
        name="mine",
        base="sam2_nano",
        model_path=folder / "best.torch",
        weights_sha256="f" * 64,
        best_epoch=1,
        gained=0.25,
        epochs=2,
        stopped="no improvement",
        history=(RECORD, BEST, replace(BEST, epoch=2, is_best=False)),
        seconds=12.34567,
        left_out=({"kind": "image", "reason": "unreadable", "count": 1, "examples": ["a.png"]},),
    )


def test_a_document_says_all_and_is_json(result: TrainingResult, dataset: Dataset) -> None:
    document = json.loads(json.dumps(result_document(result, dataset)))
    assert (document["name"], document["base"], document["stopped"]) == ("mine", "sam2_nano", "no improvement")
    assert (document["gained"], document["gain"], document["best_epoch"], document["epochs"]) == (True, 0.25, 1, 2)
    assert (document["before"]["score"], document["best"]["score"], document["seconds"]) == (0.5, 0.75, 12.346)
    assert document["files"] == {
        "model": str(result.model_path),
        "report": str(result.model_path.with_name("report.html")),
    }
    assert document["data"]["splits"]["train"] == {"images": 3, "objects": 6}
    assert document["left_out"][0]["examples"] == ["a.png"]


def test_a_run_that_gained_nothing_says_so(result: TrainingResult) -> None:
    document = result_document(replace(result, best_epoch=0, gained=0.0), None)
    assert (document["gained"], document["data"]) == (False, None)
    assert document["best"] == document["before"]


def test_what_was_forgotten_and_blended_is_told(result: TrainingResult) -> None:
    change = GeneralChange("photographs", 21, 52, GeneralQuality(0.5, 0.4), GeneralQuality(0.25, 0.1))
    blended = replace(result, general=change, blend=BlendChoice(0.5, "blend = 0.5 was set"))
    lines = result_lines(blended)
    assert lines[2] == f"{change.sentence} {change.warning}"
    assert lines[3] == "Saved share of the tuned weights: 0.5, blend = 0.5 was set."
    document = json.loads(json.dumps(result_document(blended, None)))
    assert document["general"]["lost"] == pytest.approx(0.3)
    assert document["blend"] == {"share": 0.5, "reason": "blend = 0.5 was set", "curve": []}
    assert document["click_curve"]["untouched"] == list(RECORD.iou_by_click)


def test_the_command_that_uses_the_model_can_be_pasted(result: TrainingResult) -> None:
    first, summary, *files, use = result_lines(result)
    assert first == "Stopped after 2 epochs, 12 s: no improvement."
    assert summary == result.summary
    figures = {"boxes": RECORD.miou_box, "one click": RECORD.miou_click, "five clicks": RECORD.miou_clicks}
    told = "".join(f"{name} {value:.4f} as before, " for name, value in figures.items())
    assert summary.startswith(f"Epoch 1 is the best: mean IoU 0.5000 -> 0.5312 ({told}twenty clicks ")
    assert [line.split(maxsplit=1) for line in files] == [
        ["model", str(result.model_path)],
        ["report", str(result.model_path.with_name("report.html"))],
    ]
    command = use.removeprefix("Use it:").strip()
    assert shlex.split(command) == ["sam2-adapter", "predict", "IMAGES", "--model", str(result.model_path)]
    assert command == result_document(result, None)["predict"]
