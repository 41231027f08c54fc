"""Write docs/configuration.md from the schema of `Config`; `--check` only says whether the file is current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from sam2_adapter.config import Config
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.config_file import presets

TARGET = Path(__file__).parents[1] / "docs" / "configuration.md"

HEAD = """<!-- Written by `make docs` from sam2_adapter/config.py; change it there. -->

# Configuration

The same keys are used in a YAML or JSON file (`--config FILE`), on the command line (`--set KEY=VALUE`) and on the platform.
A later source wins: file, then `--set`, then options of their own such as `--device`. Unknown keys and values that are not
allowed are refused, with the key, the value and what is allowed.

`preset: recommended` gives the settings that nothing else sets the values of its column; where that is empty they keep
their defaults, which are those of `preset: mission`.

| key | default | `recommended` | allowed | meaning |
| --- | --- | --- | --- | --- |
"""


def config_page() -> str:
    """The page as text."""
    # What is inherited comes last, though pydantic puts it first.
    names = sorted(Config.model_fields, key=EverythingSettings.model_fields.__contains__)
    return HEAD + "".join(_row(name, Config.model_fields[name]) for name in names)


def main() -> int:
    """Write or check the page; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is not current")
    page = config_page()
    if not parser.parse_args().check:
        TARGET.write_text(page, encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == page:
        return 0
    sys.stderr.write(f"{TARGET} is not current; run `make docs`.\n")
    return 1


def _row(name: str, field: FieldInfo) -> str:
    recommended = presets()["recommended"]
    other = f"`{_as_yaml(recommended[name])}`" if name in recommended else ""
    return f"| `{name}` | `{_as_yaml(field.default)}` | {other} | {_allowed(field)} | {field.description} |\n"


def _as_yaml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(value)}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return _choices(field.annotation)
    if get_origin(field.annotation) is tuple:
        return f"list (or a text with commas) of {_choices(get_args(field.annotation)[0])}"
    if isinstance(field.json_schema_extra, dict) and "expected" in field.json_schema_extra:
        return str(field.json_schema_extra["expected"]).replace("'", "`")
    kind = _KINDS[field.annotation or str]
    limits = [limit for constraint in field.metadata if (limit := _limit(constraint))]
    return ", ".join([kind, *limits])


_KINDS: dict[Any, str] = {
    bool: "`true`, `false`",
    int: "whole number",
    int | None: "`null`, or a whole number",
    float: "number",
    float | None: "`null`, or a number",
    str: "text",
}


def _choices(kind: Any) -> str:
    return ", ".join(f"`{choice}`" for choice in get_args(kind))


def _limit(constraint: object) -> str:
    match constraint:
        case annotated_types.Ge(bound):
            return f"at least {bound}"
        case annotated_types.Gt(bound):
            return f"above {bound}"
        case annotated_types.Le(bound):
            return f"at most {bound}"
        case annotated_types.Lt(bound):
            return f"below {bound}"
        case annotated_types.MinLen():
            return "not empty"
    return ""


if __name__ == "__main__":
    sys.exit(main())
