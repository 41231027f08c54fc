"""Options that end up in the `Config`: a file, then `--set`, then the options of their own name, the later one winning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sam2_adapter.config import Config
from sam2_adapter.config_errors import yaml_problem
from sam2_adapter.config_file import read_settings
from sam2_adapter.errors import ConfigError
from sam2_adapter.settings_yaml import parse_yaml
from sam2_adapter.text import cut


def config_from_options(file: Path | None, assignments: Sequence[str], options: Mapping[str, Any]) -> Config:
    """Merge the settings of a configuration file, of `--set KEY=VALUE` and of other options.

    Args:
        file: YAML or JSON file.
        assignments: each KEY=VALUE.
        options: key of the configuration to the value of an option; `None` where the option was not used.

    Raises:
        ConfigError: a setting is unknown or not allowed; the text says where it was given.
    """
    settings: dict[str, Any] = {}
    if file is not None:
        settings.update(read_settings(file))
        Config.from_mapping(settings, source=str(file))
    for assignment in assignments:
        key, value = parse_assignment(assignment)
        settings[key] = value
        Config.from_mapping(settings, source=f"--set {cut(assignment)}")
    settings.update({key: value for key, value in options.items() if value is not None})
    return Config.from_mapping(settings, source="command line")


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """Split one KEY=VALUE of the command line; numbers and booleans get their types, where the setting is not a text.

    Raises:
        ConfigError: there is no '=' or no key.
    """
    key, separator, text = assignment.partition("=")
    key = key.strip()
    if not separator or not key:
        raise ConfigError(f"--set {cut(assignment)}: expected KEY=VALUE, such as learning_rate=1e-4.")
    if key in Config.model_fields and Config.model_fields[key].annotation is str:
        return key, text
    try:
        return key, _number_or_same(parse_yaml(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"--set {cut(assignment)}: cannot read the value: {yaml_problem(error, text)}") from error


def _number_or_same(value: Any) -> Any:
    # YAML 1.1 reads 1e-4 (no dot) as a text.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
