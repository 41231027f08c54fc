"""Files of settings: what cannot be read is named in plain words, and the presets hold keys that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.config import Config
from sam2_adapter.config_file import presets, read_settings
from sam2_adapter.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("none.yaml", None, "none.yaml: cannot read the configuration file"),
        ("c.yaml", b"- a\n", "c.yaml: expected 'key: value' settings, but got a list."),
        ("c.yaml", b"", "c.yaml: expected 'key: value' settings, but got nothing."),
        ("c.yaml", b"a: [", "c.yaml: not a valid configuration file"),
        ("c.json", b"{", "c.json: not a valid JSON file: it ends in line 1, before the document does"),
        (
            "c.json",
            b"{a: 1}",
            "c.json: not a valid JSON file: in line 1, at character 2, a key in double quotes is missing",
        ),
        ("c.yaml", b"\xff\xfe\xfa", "c.yaml: cannot read the configuration file"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes | None, text: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_settings(tmp_path / name)
    assert text in str(caught.value)


def test_a_file_that_is_no_text_is_named_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"num_epochs: 3 # \xff")
    with pytest.raises(ConfigError, match="byte 16 is no text in UTF-8; expected YAML or JSON in UTF-8"):
        read_settings(path)


def test_the_presets_file_holds_settings_only() -> None:
    assert set(presets()) == {"recommended"}
    assert set(presets()["recommended"]) <= set(Config.model_fields) - {"preset"}
    Config.from_mapping(presets()["recommended"], source="presets.json")
