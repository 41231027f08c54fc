"""What is said about a command line that cannot be read: in words for people, without those of the libraries that parse it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from sam2_adapter.text import meant_hint


class MissingValueError(Exception):
    """An option without its value; with the names by which the parser's own errors are read."""

    def __init__(self, text: str, ctx: Any) -> None:
        """Keep what is said, and the command's context."""
        super().__init__(text)
        self.ctx = ctx

    def format_message(self) -> str:
        """What is said."""
        return str(self)


def missing_value(arguments: Sequence[str], parameters: Iterable[Any]) -> str | None:
    """What is wrong where an option has no value: an empty one, as of a variable that is not set, or the next option.

    Args:
        arguments: of one command, in their order.
        parameters: the command's parameters.
    """
    flags: set[str] = set()
    with_value: set[str] = set()
    for parameter in parameters:
        names = flags if getattr(parameter, "is_flag", True) else with_value
        names.update(name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-"))
    for before, argument in pairwise(("", *arguments)):
        name, sign, value = argument.partition("=")
        if argument == "" or (sign and not value and name in with_value):
            option = next((known for known in (name, before) if known in with_value), None)
            return f"The value{f' of {option}' if option else ''} is empty. Is it that of a variable that is not set?"
        if before not in with_value and (wrong := _value_of_a_flag(argument, flags, with_value)):
            return wrong
        if before in with_value and argument in flags | with_value:
            return f"The option {before} needs a value, but {argument} follows it."
    if arguments and arguments[-1] in with_value:
        return f"The option {arguments[-1]} needs a value, but nothing follows it."
    return None


def _value_of_a_flag(argument: str, flags: set[str], with_value: set[str]) -> str | None:
    """What is wrong with an argument such as `-v=3`, which gives a value to an option that takes none."""
    name, rest = argument[:2], argument[2:]
    if name not in flags or name == "--" or not rest or all(f"-{letter}" in flags | with_value for letter in rest):
        return None
    return f"The option {name} takes no value, but got {rest.removeprefix('=')!r}."


def sentence(error: Any) -> str:
    """An error of the parser as a sentence."""
    if setting := _meant_setting(error):
        return f"No such option {error.option_name!r}. It is a setting: --set {setting}=VALUE."
    if getattr(error, "possibilities", None):
        return f"No such option {error.option_name!r}.{meant_hint(error.option_name, error.possibilities)}"
    text: str = error.format_message()
    if hasattr(error.__cause__, "errors"):  # of the library that checks values
        from sam2_adapter.config_errors import wrong_option

        return text.removesuffix(error.message) + wrong_option(error.__cause__)
    return text.replace("extra argument(s) (", "extra arguments (")


def _meant_setting(error: Any) -> str | None:
    """The setting that an unknown option is called like, such as `num_epochs` for `--epochs`, where the command takes settings."""
    name = str(getattr(error, "option_name", "")).removeprefix("--").replace("-", "_")
    command = getattr(getattr(error, "ctx", None), "command", None)
    takes_settings = any("--set" in parameter.opts for parameter in getattr(command, "params", ()))
    if not name or not takes_settings:
        return None
    from sam2_adapter.config import Config

    return name if name in Config.model_fields else _with_words(name, Config.model_fields)


def _with_words(name: str, known: Iterable[str]) -> str | None:
    """The only name that ends with these words."""
    found = [one for one in known if one.endswith(f"_{name}")]
    return found[0] if len(found) == 1 else None
