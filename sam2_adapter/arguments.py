"""Checking the arguments of Python calls, which may be anything: one clear error of ours that names the argument."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from pathlib import Path

from sam2_adapter.errors import ConfigError, Sam2AdapterError
from sam2_adapter.text import shown


def path_of(value: object, name: str, what: str, error: type[Sam2AdapterError] = ConfigError) -> Path:
    """An argument that is a path.

    Args:
        value: the argument.
        name: what it is called.
        what: what is at the path, such as "a folder for the results".
        error: class of the error raised.

    Raises:
        Sam2AdapterError: of class `error`; it is no path, or an empty one.
    """
    if not isinstance(value, str | os.PathLike) or not str(value) or "\0" in str(value):
        raise error(f"{name} is the path of {what}, but got {shown(value)}.")
    return Path(value)


def whole_number(value: object, name: str, least: int, most: float = math.inf) -> int:
    """An argument that is a whole number in a range.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or not least <= value.__index__() <= most:
        limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ConfigError(f"{name} is a whole number {limits}, but got {shown(value)}.")
    return int(value.__index__())


def one_of(value: object, name: str, choices: Collection[str]) -> str:
    """An argument that is one of a few names.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f"{name} = {shown(value)} is not known; there is {', '.join(choices)}.")
    return value
