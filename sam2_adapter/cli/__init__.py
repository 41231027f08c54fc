"""The command line: every command parses its options, calls one function and prints what it returned.

Results go to stdout, messages and progress bars to stderr. Torch and transformers are imported inside the commands that need them, and of the
commands only the one that is asked for, so that `--help` answers at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Sequence
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

from sam2_adapter.cli.help_texts import PlainCommand
from sam2_adapter.cli.output import (
    OutputError,
    flush,
    print_error,
    print_json,
    printed_by_others,
    say,
    show_any_character,
    tell,
)
from sam2_adapter.cli.terminal import FAILED, OK, USAGE
from sam2_adapter.cli.wrong_arguments import sentence

NAME = "sam2-adapter"

# Help texts use a wide terminal, but stay readable.
_WIDEST_HELP = 110

# Each command is the function of its name in the module of its name; beside it, what the list of commands says about it.
COMMANDS = {
    "predict": "Find the masks of objects in images.",
    "label": "Click on pictures in the browser, and export the masks.",
    "train": "Fine-tune a model on your own masks.",
    "evaluate": "Measure a model on a data set with known masks.",
    "convert": "Write a model's weights in another layout.",
    "blend": "Mix a tuned model with the untouched one.",
    "doctor": "Show what this machine has, and what is missing.",
    "demo": "Predict and fine-tune on bundled pictures, offline.",
}


def _print_version(wanted: bool) -> None:
    if wanted:
        from sam2_adapter import __version__

        say(f"{NAME} {__version__}")
        raise typer.Exit


def make_app(wanted: Collection[str] = tuple(COMMANDS)) -> typer.Typer:
    """The program with all its commands, of which those that are not `wanted` are names in the list of commands only."""
    app = typer.Typer(
        name=NAME,
        help="Masks from points, boxes or nothing at all, with Segment Anything Model 2.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST_HELP},
    )
    app.callback()(_root)
    for name, short_help in COMMANDS.items():
        function = getattr(import_module(f"{__name__}.{name}"), name) if name in wanted else _name_only
        app.command(name, cls=PlainCommand, short_help=short_help)(function)
    return app


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def _name_only() -> None:
    pass


def main() -> None:
    """Run the command line on the arguments of this process and end it."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit status. With `--debug` errors are let through."""
    show_any_character()
    status = OK
    try:
        with printed_by_others():
            status = _run(arguments or ["--help"])
        flush()
    except OutputError as error:
        print_error(error)
        return FAILED
    return status if arguments else USAGE


@cache
def _command(wanted: str) -> Any:
    """The program with the options of one command, worked out once in a process; typer keeps its class to itself."""
    return get_command(make_app((wanted,)))


def _run(arguments: Sequence[str]) -> int:
    try:
        if "--json" in arguments and {"--help", "-h"}.intersection(arguments):
            return _help_as_json(arguments)
        status = _main(arguments)
    except SystemExit as end:
        # How typer ends a help text that nobody reads.
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
    except Exception as error:
        # What typer itself finds wrong with a command line; it keeps the classes of these errors to itself.
        if not hasattr(error, "format_message"):
            raise
        return _refuse(error, as_json="--json" in arguments)
    return status if isinstance(status, int) else OK


def _main(arguments: Sequence[str]) -> Any:
    # The program itself has no options with values, so that the first word is a command.
    wanted = next((word for word in arguments if not word.startswith("-")), "")
    return _command(wanted).main(list(arguments), NAME, standalone_mode=False)


def _help_as_json(arguments: Sequence[str]) -> int:
    """Print the help text inside one document, which is all that `--json` lets come to stdout."""
    text = io.StringIO()
    with redirect_stdout(text):
        _main(arguments)
    print_json({"help": text.getvalue()})
    return OK


def _refuse(error: Exception, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    text = sentence(error)
    print_error(text)
    if context is not None:
        tell(f"See: {context.command_path} --help")
    if as_json:
        print_json({"error": text, "exit_status": USAGE})
    return USAGE
