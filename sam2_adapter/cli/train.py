"""`sam2-adapter train`: fine-tune a model on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sam2_adapter.cli.interruption import Interruption, sigterm_like_ctrl_c
from sam2_adapter.cli.options import (
    AssignmentsOption,
    ConfigOption,
    DataArgument,
    DataFormatOption,
    DeviceOption,
    ModelOption,
    PrecisionOption,
)
from sam2_adapter.cli.output import print_json, say, tell
from sam2_adapter.cli.terminal import DebugOption, JsonOption, UsageError, VerboseOption, one_clear_message

if TYPE_CHECKING:
    from sam2_adapter.cli.train_progress import TrainProgress
    from sam2_adapter.training.records import TrainingResult

_INTERRUPTED = "interrupted; all that is done is kept: give the same command with --resume to go on."


@one_clear_message
def train(
    data: DataArgument,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run: the model, its report, its figures.")],
    config: ConfigOption = None,
    assignments: AssignmentsOption = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Named settings: mission (default) or recommended.")
    ] = None,
    model: ModelOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Name of the tuned model in results, tables and the report; default: the folder's."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in the output folder.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the output folder.")] = False,
    data_format: DataFormatOption = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of encoded images that several runs share; default: in the output."),
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Fine-tune the mask decoder and prompt encoder on your own masks, and keep the best model.

    DATA is a Dataloop export, COCO, CVAT's XML, labelme's files, Pascal VOC, YOLO, or images/ and masks/. The best model is
    the one with the highest mean IoU on the validation images; where no epoch beats the untouched model, the original is
    saved and the command says so. Ctrl-C saves the best model so far, and --resume goes on.
    """
    from sam2_adapter.cli.config_options import config_from_options
    from sam2_adapter.cli.train_progress import make_progress
    from sam2_adapter.training.events import is_first_process
    from sam2_adapter.training.fine_tune import fine_tune

    if resume and overwrite:
        raise UsageError("--resume goes on with the earlier run, and --overwrite replaces it; choose one.")
    options = {"preset": preset, "device": device, "precision": precision}
    settings = config_from_options(config, assignments or [], options)
    progress = make_progress(settings.num_epochs)
    with sigterm_like_ctrl_c() as interruption:
        try:
            with progress:
                result = fine_tune(
                    data,
                    output,
                    settings,
                    model=model,
                    name=name,
                    data_format=data_format,
                    embeddings_dir=embeddings,
                    resume=resume,
                    overwrite=overwrite,
                    on_event=progress.show,
                )
        except KeyboardInterrupt:
            if as_json and is_first_process():
                print_json({"error": _INTERRUPTED, "exit_status": interruption.exit_status})
            _exit_interrupted(interruption)
    _finish(result, progress, interruption, as_json=as_json)


def _finish(result: TrainingResult, progress: TrainProgress, interruption: Interruption, *, as_json: bool) -> None:
    from sam2_adapter.cli.train_result import result_document, result_lines
    from sam2_adapter.training.events import is_first_process

    if is_first_process():
        if as_json:
            print_json(result_document(result, progress.data))
        else:
            say(*result_lines(result))
    if result.stopped == "interrupted":
        _exit_interrupted(interruption)


def _exit_interrupted(interruption: Interruption) -> NoReturn:
    from sam2_adapter.training.events import is_first_process

    if is_first_process():
        tell(_INTERRUPTED)
    raise typer.Exit(interruption.exit_status)
