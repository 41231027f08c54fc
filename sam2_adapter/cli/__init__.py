"""The command line: every command parses its options, calls one function and prints what it returned.

Results go to stdout, messages and progress bars to stderr. Torch and transformers are imported inside the commands that need them, so that
`--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from sam2_adapter.cli.convert import convert
from sam2_adapter.cli.demo import demo
from sam2_adapter.cli.doctor import doctor
from sam2_adapter.cli.evaluate import evaluate
from sam2_adapter.cli.predict import predict
from sam2_adapter.cli.train import train

app = typer.Typer(
    name="sam2-adapter",
    help="Masks from points, boxes or nothing at all, with Segment Anything Model 2.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from sam2_adapter import __version__

        typer.echo(f"sam2-adapter {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(predict)
app.command()(train)
app.command()(evaluate)
app.command()(convert)
app.command()(doctor)
app.command()(demo)


def main() -> None:
    """Run the command line on the arguments of this process."""
    app()
