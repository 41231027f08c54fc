"""`sam2-adapter evaluate`: how well a model does on a data set, and how much better than another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam2_adapter.cli.options import (
    AssignmentsOption,
    ConfigOption,
    DataArgument,
    DataFormatOption,
    DeviceOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
)
from sam2_adapter.cli.output import print_json, say
from sam2_adapter.cli.progress import progress
from sam2_adapter.cli.terminal import DebugOption, JsonOption, VerboseOption, one_clear_message

if TYPE_CHECKING:
    from sam2_adapter.evaluation.scores import PromptMode
    from sam2_adapter.owned_folder import OwnedFolder
    from sam2_adapter.ownership import Ownership

_REPORT_NAMES = ("evaluation.json", "evaluation.txt")


class PromptName(StrEnum):
    """Kinds of prompts, as the command line writes them."""

    BOX = "box"
    POINT = "point"
    CLICKS = "clicks"
    ZERO_SHOT = "zero-shot"
    EVERYTHING = "everything"


class SplitName(StrEnum):
    """Parts of a data set, and all of it."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


_MODES: dict[PromptName, PromptMode] = {
    PromptName.BOX: "box",
    PromptName.POINT: "point",
    PromptName.CLICKS: "clicks",
    PromptName.ZERO_SHOT: "zero_shot",
    PromptName.EVERYTHING: "everything",
}


@one_clear_message
def evaluate(
    data: DataArgument,
    split: Annotated[SplitName, typer.Option(help="Part of the data set to measure on.")] = SplitName.TEST,
    model: ModelOption = None,
    compare_with: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE|DIR", help="Another model to hold against it, prompt by prompt."),
    ] = None,
    prompt: Annotated[
        list[PromptName] | None,
        typer.Option(help="Kind of prompt; may be repeated. Default: box, point and clicks."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for evaluation.json and evaluation.txt.")
    ] = None,
    overwrite: OverwriteOption = False,
    config: ConfigOption = None,
    assignments: AssignmentsOption = None,
    data_format: DataFormatOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure a model on objects whose true masks are known: IoU, Dice, outlines, and clicks needed to 85 % and 90 %.

    Prompts are made from the true masks, the same for every model. With --compare-with, differences come with 95 %
    intervals.
    """
    from sam2_adapter.cli.config_options import config_from_options
    from sam2_adapter.evaluation.run import run_evaluation

    settings = config_from_options(config, assignments or [], {"device": device, "precision": precision})
    with _output_folder(output, data, overwrite=overwrite) as folder:
        with progress("measuring") as advance:
            report = run_evaluation(
                data,
                model,
                settings,
                split=split.value,
                prompts=[_MODES[name] for name in prompt or (PromptName.BOX, PromptName.POINT, PromptName.CLICKS)],
                compare_with=compare_with,
                data_format=data_format,
                progress=advance,
            )
        if folder is not None:
            _write(folder, report.to_dict(), report.to_text())
    if as_json:
        print_json(report.to_dict())
    else:
        say(*report.to_text().split("\n"))


def _output_folder(output: Path | None, data: Path, *, overwrite: bool) -> AbstractContextManager[OwnedFolder | None]:
    """The folder for the report, refused before the work starts."""
    from sam2_adapter.owned_folder import OwnedFolder

    if output is None:
        return nullcontext()
    return OwnedFolder(
        output, "evaluate", overwrite=overwrite, can_resume=False, inputs=[data], recognise=_report_of_version_0_1
    )


def _report_of_version_0_1(directory: Path, names: Collection[str]) -> Ownership | None:
    from sam2_adapter.ownership import Ownership

    is_one = set(names) == set(_REPORT_NAMES)
    return Ownership("evaluate", frozenset(_REPORT_NAMES), lambda: _REPORT_NAMES) if is_one else None


def _write(folder: OwnedFolder, report: Mapping[str, Any], text: str) -> None:
    from sam2_adapter.files import write_file, write_json

    folder.begin(_REPORT_NAMES)
    document, table = (folder.directory / name for name in _REPORT_NAMES)
    folder.claim(document)
    write_json(document, report)
    folder.claim(table)
    write_file(table, lambda file: file.write(f"{text}\n".encode()))
