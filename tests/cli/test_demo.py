"""`demo`: what it says to people and to programs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from sam2_adapter.cli.demo import _document, _text
from sam2_adapter.demo.fine_tuning import Figure
from tests.command_line import run

RESULT = SimpleNamespace(
    page=Path("demo/index.html"),
    num_photographs=4,
    num_objects=12,
    seconds=41.6,
    made_by={"name": "sam2_nano"},
    fine_tuning=SimpleNamespace(
        verdict="Better from one click.",
        result=SimpleNamespace(model_path=Path("demo/tuned.torch"), best_epoch=3),
        report_path=Path("demo/report.html"),
        num_objects=33,
        figures=(Figure("one click", 0.5, 0.625, 0.4), Figure("box", 0.75, 0.75, 0.4)),
    ),
)


def test_people_read_one_sentence_with_the_figures() -> None:
    assert _text(RESULT) == (
        "12 objects in 4 photographs. Fine-tuning: mean IoU on 33 held-out nuclei, one click 0.500 -> 0.625; box 0.750 as before. "
        "Better from one click. 42 s; open the page in a browser"
    )


def test_programs_read_the_same_figures() -> None:
    document = _document(RESULT)
    assert document["page"] == str(RESULT.page)
    assert document["seconds"] == 41.6
    assert document["fine_tuning"]["mean_iou"] == {
        "one click": {"before": 0.5, "after": 0.625},
        "box": {"before": 0.75, "after": 0.75},
    }
    assert document["fine_tuning"]["best_epoch"] == 3


def test_a_folder_of_somebody_else_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run("demo", "--output", tmp_path, "--overwrite")
    assert done.status == 2
    assert "mine.txt" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert run("demo", "--epochs", "0").status == 2
