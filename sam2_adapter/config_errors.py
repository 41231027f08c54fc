"""How a wrong setting or option is named in plain words: which key, what stands there, and what is expected."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from sam2_adapter.settings_yaml import SettingsYamlError
from sam2_adapter.text import meant_hint, shown, unknown_name

# What stands before the words of our own rules.
_OWN = "Value error, "

# What the YAML parser says, by a part of it, in plain words.
_YAML_PROBLEMS = {
    "could not find expected ':'": "a key has no colon after it",
    "found character '\\t'": "a tab stands where spaces are needed",
    "mapping values are not allowed": "a second colon stands in one line, or the lines before are not complete",
    "found undefined alias": "an alias (*) has no anchor (&)",
    "could not determine a constructor": "a tag (!) stands before a value",
    "expected ',' or": "a comma or a closing bracket is missing",
    "found unexpected end of stream": "a quote or a bracket is not closed",
    "expected <block end>": "a line does not stand below its key, or a bracket is missing",
    "expected the node content": "a value is missing",
}


# What an option takes, by the beginning of the kind of its error.
_EXPECTED = {
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "finite_number": "a finite number",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
}

_ONE_OF = " is not one of "


def unknown_key(key: str, known: list[str]) -> str:
    """What is said about a key that is no setting."""
    text = unknown_name("key", key, known)
    return text[0].lower() + text[1:]


def wrong_value(error: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """What is said about the first value that is not allowed."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:  # a rule about several keys, which its text names
        return f"{_own_words(first['msg'])}."
    if first["type"] == "extra_forbidden":
        return unknown_key(str(first["loc"][0]), list(fields))
    key = str(first["loc"][0])
    value = shown(first["input"])
    if first["type"] == "value_error":
        return f"{key} = {value} is not allowed: {_own_words(first['msg'])}."
    hint = meant_hint(first["input"], choices(fields[key]))
    return f"{key} = {value} is not allowed: expected {expected(fields[key])}.{hint}"


def wrong_option(error: ValidationError) -> str:
    """What is said about the first value of a command line's option that is not allowed."""
    first = error.errors(include_url=False)[0]
    value, message = first["input"], first["msg"].removeprefix(_OWN)
    if first["type"] != "value_error":
        kinds = (words for kind, words in _EXPECTED.items() if first["type"].startswith(kind))
        wanted = next(kinds, "something else").format(**first.get("ctx", {}))
        return f"expected {wanted}, but got {shown(value)}."
    if _ONE_OF not in message:
        return message
    # The words are those of the library that reads command lines, which says the choices nowhere else.
    return message + meant_hint(value, re.findall("'([^']*)'", message.rpartition(_ONE_OF)[2]))


def expected(field: FieldInfo) -> str:
    """What a setting takes, in words."""
    if "expected" in (extra := _extra(field)):
        return str(extra["expected"])
    kind = _kind(field)
    if get_origin(kind) is tuple:
        return f"one or more of {_listed(choices(field))}, separated by commas"
    if get_origin(kind) is Literal:
        return _listed(choices(field))
    if kind is bool:
        return "true or false"
    if kind is str:
        return "a text that is not empty" if any(hasattr(rule, "min_length") for rule in field.metadata) else "a text"
    return ("a whole number" if kind is int else "a number") + _range(field.metadata)


def choices(field: FieldInfo) -> tuple[Any, ...]:
    """The values that a setting takes by name; empty where there are none."""
    if "choices" in (extra := _extra(field)):
        return tuple(extra["choices"])
    kind = _kind(field)
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    return get_args(kind) if get_origin(kind) is Literal else ()


def _extra(field: FieldInfo) -> dict[str, Any]:
    """What the setting itself says of its values: `expected` in words, and `choices`."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _kind(field: FieldInfo) -> Any:
    """The type of a setting's values other than None."""
    kind: Any = field.annotation
    parts = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return next(part for part in parts if part is not types.NoneType)


def yaml_problem(error: Exception, text: str) -> str:
    """What is wrong with a YAML text, and where, as a sentence for people."""
    if isinstance(error, RecursionError):
        return "lists or mappings are nested too deeply."
    if not isinstance(error, yaml.MarkedYAMLError):
        return "a number has more digits than can be read." if "digits" in str(error) else "a character is not allowed."
    if isinstance(error, SettingsYamlError):
        return _with_place(str(error.problem), error.problem_mark, text)
    said = f"{error.context or ''} {error.problem or ''}"
    what = next((plain for part, plain in _YAML_PROBLEMS.items() if part in said), "the line is not 'key: value'")
    # A key without its colon is noticed further down only.
    return _with_place(what, error.context_mark if "simple key" in said else error.problem_mark, text)


def _with_place(what: str, mark: yaml.Mark | None, text: str) -> str:
    if mark is None:
        return f"{what}."
    lines = text.splitlines()
    place = lines[mark.line].strip()[:60] if mark.line < len(lines) else "at the end"
    return f"in line {mark.line + 1}, {what}: {place}" if len(lines) > 1 else f"{what}: {place}"


def _range(metadata: list[Any]) -> str:
    limits = {
        name: getattr(rule, name) for rule in metadata for name in ("ge", "gt", "le", "lt") if hasattr(rule, name)
    }
    if limits.keys() == {"ge", "le"}:
        return f" from {_number(limits['ge'])} to {_number(limits['le'])}"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    return " and".join(f" {words[name]} {_number(limit)}" for name, limit in limits.items())


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(values: tuple[Any, ...]) -> str:
    names = [repr(value) for value in values]
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


def _own_words(message: str) -> str:
    text = message.removeprefix(_OWN).removesuffix(".")
    return text[0].lower() + text[1:]
