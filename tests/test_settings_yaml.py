"""YAML of settings: what it means, and short texts that would take for ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sam2_adapter.config import Config
from sam2_adapter.config_file import read_settings
from sam2_adapter.errors import ConfigError
from sam2_adapter.settings_yaml import parse_yaml


def test_values_have_their_kinds() -> None:
    text = "a: 3\nb: 1.5\nc: true\nd: [x, y]\ne: 2020-13-45\nf: 2020-01-01\ng:\n"
    assert parse_yaml(text) == {
        "a": 3, "b": 1.5, "c": True, "d": ["x", "y"], "e": "2020-13-45", "f": "2020-01-01", "g": None,
    }  # fmt: skip


def test_values_as_texts_are_kept_as_they_are_written() -> None:
    text = "a: 007\nb: no\nc: [1.50, null, 2020-01-01]\nd:\n"
    assert parse_yaml(text, as_texts=True) == {"a": "007", "b": "no", "c": ["1.50", "null", "2020-01-01"], "d": ""}


def _aliases(value: str) -> str:
    """Twelve levels of nine each: 9 ** 12 entries."""
    levels = [f"&a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 12)]
    return f"{value}: [&a0 [x, x], {', '.join(levels)}]\n"


def _merges() -> str:
    levels = [f"y{level}: &w{level} {{<<: [{', '.join([f'*w{level - 1}'] * 9)}]}}" for level in range(1, 9)]
    return "x: &w0 {a: 1}\n" + "\n".join(levels)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_aliases("patience"), "patience = [['x', 'x'], [[...], ["),
        (_aliases("variants"), "variants = "),
        (_merges(), "in line 2, a merge key (<<) has no place in settings"),
        ("patience: 3\npatience: 4\n", "in line 2, the key stands twice: patience: 4"),
        ("? [a, b]\n: 3\n", "a key is a single word"),
        ("patience: " + "[" * 50_000, "nested too deeply"),
        ("patience: " + "{a: " * 50_000, "nested too deeply"),
        ("num_epochs: " + "9" * 5000, "more digits than can be read"),
        ("# " + "x" * 2**21, "too large for a configuration file"),
        ("a: !!python/object/apply:os.system [x]", "a tag (!) stands before a value"),
        ("default_label: no", "default_label = False is not allowed: expected a text"),
    ],
)
def test_wrong_texts_are_refused_at_once(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        Config.from_file(path)
    assert time.process_time() - started < 2
    assert told in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_an_ordinary_alias_means_its_value(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("patience: &few 3\nsave_interval: *few\n")
    assert read_settings(path) == {"patience": 3, "save_interval": 3}
