"""`sam2-adapter demo`: the whole story offline, on bundled photographs."""

from __future__ import annotations

import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sam2_adapter.cli.terminal import DebugOption, JsonOption, VerboseOption, one_clear_message, print_json


@one_clear_message
def demo(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the page.")] = Path("demo"),
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Show the page in the browser.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Predict on bundled photographs with the bundled model and write a page to look at. Needs no network."""
    from sam2_adapter.demo.run import run_demo

    result = run_demo(output)
    if as_json:
        print_json(asdict(result) | {"page": str(result.page)})
    else:
        typer.echo(f"{result.page}")
        typer.echo(
            f"{result.num_objects} objects in {result.num_photographs} photographs, {result.seconds:.1f} s; "
            "open the page in a browser",
            err=True,
        )
    if open_page:
        webbrowser.open(result.page.resolve().as_uri())
