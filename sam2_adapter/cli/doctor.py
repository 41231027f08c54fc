"""`sam2-adapter doctor`: what is installed, what is missing and how to get it."""

from __future__ import annotations

from typing import Annotated

import typer

from sam2_adapter.cli.options import ModelOption, PrecisionOption
from sam2_adapter.cli.output import print_json, say
from sam2_adapter.cli.terminal import FAILED, DebugOption, JsonOption, VerboseOption, one_clear_message


@one_clear_message
def doctor(
    prepare: Annotated[
        bool, typer.Option("--prepare", help="First compile the model for OpenVINO on this machine; once.")
    ] = False,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE|DIR",
            help="Check a model instead: load it, predict on bundled pictures, compare the engines, print figures to report.",
        ),
    ] = None,
    model: ModelOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Show versions, devices, runtimes and weights on this machine, what is missing and how to get it.

    With --check, the exit status is 1 where something is wrong with the model. With --prepare, prediction and training on the CPU run on OpenVINO from then on, without anyone waiting for it.
    """
    from sam2_adapter import doctor
    from sam2_adapter.cli.config_options import config_from_options
    from sam2_adapter.models.load import DEFAULT_MODEL

    if check is not None:
        _check(check, as_json=as_json)
        return
    settings = config_from_options(None, [], {"precision": precision})
    if prepare:
        doctor.prepare(model or DEFAULT_MODEL, settings.precision)
    diagnosis = doctor.examine(model, settings.precision)
    if as_json:
        print_json(diagnosis.to_dict())
        return
    from sam2_adapter.cli.doctor_report import render

    say(*render(diagnosis))


def _check(model: str, *, as_json: bool) -> None:
    from sam2_adapter.cli.doctor_report import check_lines
    from sam2_adapter.model_check import check_model

    found = check_model(model)
    if as_json:
        print_json(found.to_dict())
    else:
        say(*check_lines(found))
    if found.findings:
        raise typer.Exit(FAILED)
