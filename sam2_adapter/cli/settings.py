"""Options that end up in the `Config`: a file, then `--set`, then the options of their own name, the later one winning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sam2_adapter.config import Config, parse_assignment, read_settings


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
        Config.from_mapping(settings, source=f"--set {assignment}")
    settings.update({key: value for key, value in options.items() if value is not None})
    return Config.from_mapping(settings, source="command line")
