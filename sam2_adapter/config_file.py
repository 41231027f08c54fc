"""Settings that stand in files: a user's YAML or JSON file, and the presets that come with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from sam2_adapter.config_errors import yaml_problem
from sam2_adapter.errors import ConfigError
from sam2_adapter.files import decoded_text, read_json, reason_of
from sam2_adapter.input_files import open_regular
from sam2_adapter.settings_yaml import parse_yaml

# A file of settings has a few hundred bytes.
_MOST_BYTES = 2**20

# What a configuration file may hold instead of settings, in words.
_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a number", type(None): "nothing"}


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read the flat settings of a YAML or JSON file, unchecked.

    Raises:
        ConfigError: the file cannot be read or parsed, or does not hold a mapping.
    """
    if str(path).endswith(".json"):
        settings = read_json(path, ConfigError)
    else:
        try:
            with open_regular(path) as file:
                text = decoded_text(file.read(_MOST_BYTES + 1))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}: cannot read the configuration file: {reason_of(error)}; expected YAML or JSON in UTF-8."
            ) from error
        if len(text) > _MOST_BYTES:
            raise ConfigError(f"{path}: too large for a configuration file, which has at most 1 MiB.")
        try:
            settings = parse_yaml(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not a valid configuration file: {yaml_problem(error, text)}") from error
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{path}: expected 'key: value' settings, but got {_KINDS.get(type(settings), 'something else')}."
        )
    return settings


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """Values of each preset by key; `mission` is the defaults and has none."""
    text = files("sam2_adapter").joinpath("assets", "presets.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found
