"""What is said of fine-tuning in the demo."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from sam2_adapter.demo.fine_tuning import NOTABLE_DIFFERENCE, Figure, FineTuning

MORE, LITTLE = 2 * NOTABLE_DIFFERENCE, NOTABLE_DIFFERENCE / 2


def fine_tuning(
    click: float, box: float, best_epoch: int = 2, epochs: int = 8, stopped: str = "all epochs done"
) -> FineTuning:
    figures = (Figure("one click", 0.5, 0.5 + click, 0.4), Figure("box", 0.75, 0.75 + box, 0.4))
    result = SimpleNamespace(
        best_epoch=best_epoch, epochs=epochs, stopped=stopped, model_path=Path("run") / "best.torch"
    )
    return FineTuning(result, figures, 87, 33, (), (), ())


@pytest.mark.parametrize(
    ("click", "box", "verdict"),
    [
        (MORE, MORE, "Better from one click and box."),
        (MORE, LITTLE, "Better from one click. No notable difference from box."),
        (MORE, -MORE, "Better from one click. Worse from box."),
        (-LITTLE, LITTLE, "Nothing was gained on the held-out crops. No notable difference from one click and box."),
        (-MORE, 0.0, "Nothing was gained on the held-out crops. No notable difference from box. Worse from one click."),
    ],
)
def test_the_verdict_names_the_prompts(click: float, box: float, verdict: str) -> None:
    assert fine_tuning(click, box).verdict == verdict


def test_a_run_without_gain_has_no_verdict_on_figures() -> None:
    told = fine_tuning(MORE, MORE, best_epoch=0)
    assert told.verdict.startswith("Nothing was gained: no epoch beat the untouched model")
    assert told.report_path == Path("run") / "report.html"
    assert told.figures[0].gain == pytest.approx(MORE)


def test_a_run_that_was_interrupted_says_so_and_claims_no_epochs() -> None:
    told = fine_tuning(0.0, 0.0, best_epoch=0, epochs=0, stopped="interrupted")
    assert told.is_untouched
    assert told.verdict.startswith("Interrupted before the first epoch was done: nothing was learned")
    told = fine_tuning(MORE, MORE, epochs=3, stopped="interrupted")
    assert not told.is_untouched
    assert told.verdict == "Interrupted after 3 epochs. Better from one click and box."
