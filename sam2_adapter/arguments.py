"""Checking the arguments of Python calls, which may be anything: one clear error of ours that names the argument."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from numbers import Real
from pathlib import Path
from typing import TypeGuard, TypeVar

from sam2_adapter.errors import ConfigError, Sam2AdapterError
from sam2_adapter.text import shown, unknown_name

_T = TypeVar("_T")


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


def whole_number(
    value: object, name: str, least: int, most: float = math.inf, error: type[Sam2AdapterError] = ConfigError
) -> int:
    """An argument that is a whole number in a range.

    Raises:
        Sam2AdapterError: of class `error`; it is something else.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or not least <= value.__index__() <= most:
        limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise error(f"{name} is a whole number {limits}, but got {shown(value)}.")
    return int(value.__index__())


def one_of(value: object, name: str, choices: Collection[str]) -> str:
    """An argument that is one of a few names.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(unknown_name(name, value, choices))
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Whether something is a real number, of Python's own or another library's types; `True` and `False` are none."""
    return isinstance(value, Real) and type(value).__name__ not in ("bool", "bool_")


def real_number(value: object, name: str, least: float, most: float = math.inf) -> float:
    """An argument that is a finite number in a range, both ends among it.

    Raises:
        ConfigError: it is something else.
    """
    if not is_number(value) or not math.isfinite(value) or not least <= value <= most:
        limits = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ConfigError(f"{name} is a number {limits}, but got {shown(value)}.")
    return float(value)


def call_or_none(value: object, name: str) -> None:
    """An argument that is something to call, or nothing.

    Raises:
        ConfigError: it is something else.
    """
    if value is not None and not callable(value):
        raise ConfigError(f"{name} is a function or None, but got {shown(value)}.")


def named_text(value: object, name: str) -> str:
    """An argument that is a text, and not an empty one.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} is a text that is not empty, but got {shown(value)}.")
    return value


def truth_value(value: object, name: str, error: type[Sam2AdapterError] = ConfigError) -> bool:
    """An argument that is `True` or `False`: a text such as "no" would count as true.

    Raises:
        Sam2AdapterError: of class `error`; it is something else.
    """
    if type(value).__name__ not in ("bool", "bool_"):  # the second is NumPy's, which is not imported here
        raise error(f"{name} is True or False, but got {shown(value)}.")
    return bool(value)


def able_to(value: _T, methods: Collection[str], name: str, what: str) -> _T:
    """An argument that may be of any class that has these methods; other arguments as in `instance_of`.

    Raises:
        ConfigError: it has not.
    """
    if not all(callable(getattr(value, method, None)) for method in methods):
        raise ConfigError(f"{name} is {what}, but got {shown(value)}.")
    return value


def instance_of(value: object, kind: type[_T], name: str, what: str, error: type[Sam2AdapterError] = ConfigError) -> _T:
    """An argument that is an object of a class.

    Args:
        value: the argument.
        kind: the class.
        name: what it is called.
        what: what it is and where it comes from, such as "a predictor, which `load_predictor` makes".
        error: class of the error raised.

    Raises:
        Sam2AdapterError: of class `error`; it is something else.
    """
    if not isinstance(value, kind):
        raise error(f"{name} is {what}, but got {shown(value)}.")
    return value
