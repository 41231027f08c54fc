"""Settings of the command line: a file, then `--set`, then options of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sam2_adapter.cli.config_options import config_from_options, parse_assignment
from sam2_adapter.errors import ConfigError


def test_the_later_setting_wins(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("patience: 1\nnum_epochs: 1\nseed: 1\n")
    config = config_from_options(file, ["num_epochs=2", "seed=2", "seed=3"], {"seed": 4, "device": None})
    assert (config.patience, config.num_epochs, config.seed, config.device) == (1, 2, 4, "auto")


def test_a_wrong_setting_says_where_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("seed: -1\n")
    with pytest.raises(ConfigError, match=r"c\.yaml: seed = -1"):
        config_from_options(file, [], {})
    with pytest.raises(ConfigError, match=r"^--set seed=-2: seed = -2"):
        config_from_options(None, ["seed=-2"], {})
    with pytest.raises(ConfigError, match=r"^command line: seed = -3"):
        config_from_options(None, [], {"seed": -3})


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("patience=3", ("patience", 3)),
        ("learning_rate=1e-4", ("learning_rate", 1e-4)),
        ("clip_to_box=false", ("clip_to_box", False)),
        ("default_label=a=b", ("default_label", "a=b")),
        (" patience =3", ("patience", 3)),
        # What YAML would take for a date, a truth value and a number is a text where the setting is one.
        ("default_label=2024-01-01", ("default_label", "2024-01-01")),
        ("default_label=no", ("default_label", "no")),
        ("default_label=007", ("default_label", "007")),
    ],
)
def test_assignments(assignment: str, expected: tuple[str, Any]) -> None:
    assert parse_assignment(assignment) == expected


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ("patience", "--set patience: expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("seed=[", "--set seed=[: cannot read the value: a value is missing"),
        (f"seed={'9' * 5000}", "a number has more digits than can be read"),
        (f"variants={'[' * 5000}", "nested too deeply"),
        ("seed=*x", "an alias (*) has no anchor"),
    ],
)
def test_wrong_assignments(assignment: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_assignment(assignment)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 300
