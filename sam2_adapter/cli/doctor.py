"""`sam2-adapter doctor`: what is installed, what is missing and how to get it."""

from __future__ import annotations

import typer

from sam2_adapter.cli.terminal import DebugOption, JsonOption, VerboseOption, one_clear_message, print_json


@one_clear_message
def doctor(as_json: JsonOption = False, verbose: VerboseOption = False, debug: DebugOption = False) -> None:
    """Show versions, devices, runtimes and weights on this machine, what is missing and how to get it."""
    from sam2_adapter.doctor import examine

    diagnosis = examine()
    if as_json:
        print_json(diagnosis.to_dict())
        return
    from sam2_adapter.cli.doctor_report import render

    typer.echo(render(diagnosis))
