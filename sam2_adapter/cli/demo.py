"""`sam2-adapter demo`: the whole story offline, on bundled photographs."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam2_adapter.cli.options import OverwriteOption
from sam2_adapter.cli.output import print_json, say, tell
from sam2_adapter.cli.terminal import DebugOption, JsonOption, VerboseOption, one_clear_message
from sam2_adapter.demo import NUM_EPOCHS
from sam2_adapter.text import told_change

if TYPE_CHECKING:
    from sam2_adapter.demo.run import DemoResult


@one_clear_message
def demo(
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for the page and the tuned model; if not given, a new one: demo, demo2, ..."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Epochs of fine-tuning.")] = NUM_EPOCHS,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Show the page in the browser.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Predict, fine-tune and predict again, with the bundled model on bundled images, and write a page to look at.

    Needs no network and about a minute.
    """
    from sam2_adapter.cli.train_progress import make_progress
    from sam2_adapter.demo.run import run_demo

    with make_progress(epochs) as progress:
        result = run_demo(output, epochs, progress.show, overwrite=overwrite)
    if as_json:
        print_json(_document(result))
    else:
        say(f"{result.page}")
        tell(_text(result))
    if open_page:
        webbrowser.open(result.page.resolve().as_uri())


def _document(result: DemoResult) -> dict[str, Any]:
    tuning = result.fine_tuning
    return {
        "page": str(result.page),
        "num_photographs": result.num_photographs,
        "num_objects": result.num_objects,
        "fine_tuning": {
            "verdict": tuning.verdict,
            "model": str(tuning.result.model_path),
            "report": str(tuning.report_path),
            "best_epoch": tuning.result.best_epoch,
            "num_objects": tuning.num_objects,
            "mean_iou": {figure.prompt: {"before": figure.before, "after": figure.after} for figure in tuning.figures},
        },
        "seconds": result.seconds,
        "made_by": result.made_by,
    }


def _text(result: DemoResult) -> str:
    figures = "; ".join(
        f"{figure.prompt} {told_change(figure.before, figure.after, arrow='->')}"
        for figure in result.fine_tuning.figures
    )
    return (
        f"{result.num_objects} objects in {result.num_photographs} photographs. Fine-tuning: mean IoU on "
        f"{result.fine_tuning.num_objects} held-out nuclei, {figures}. {result.fine_tuning.verdict} "
        f"{result.seconds:.0f} s; open the page in a browser"
    )
