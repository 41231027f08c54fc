"""Help texts in words for people: without the names of Python's types and with ranges that can be read."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

from sam2_adapter.cli.wrong_arguments import MissingValueError, missing_value

# Types say nothing to somebody who reads an argument's own description.
_TYPE = re.compile(r" <(?:list\[)?(?:str|path|int|float)\]?>")
_LIST = re.compile(r"<list\[(.*?)\]>")
_AT_LEAST = re.compile(r"x>=(\d+)")
_BETWEEN = re.compile(r"(\d+)<=x<=(\d+)")


class PlainCommand(TyperCommand):
    """A command whose help has arguments as they are typed, choices without brackets, and ranges in words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; an option without its value is refused before the next word is taken for it."""
        if problem := missing_value(args, self.get_params(ctx)):
            raise MissingValueError(problem, ctx)
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the first line, without braces around what is required."""
        return [re.sub(r"[{}]|\.\.\.(?=\})", "", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the tables of arguments and options."""
        rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                rows[parameter.param_type_name].append((plain_name(record[0]), plain_text(record[1])))
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            if rows[kind]:
                with formatter.section(title):
                    formatter.write_dl(rows[kind])


def plain_name(name: str) -> str:
    """The name of an argument or option with its values."""
    return _LIST.sub(r"<\1>", _TYPE.sub("", name))


def plain_text(text: str) -> str:
    """What it does, with its range in words."""
    return _AT_LEAST.sub(r"at least \1", _BETWEEN.sub(r"\1 to \2", text))
