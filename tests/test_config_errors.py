"""How a wrong setting is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.config import Config, read_settings
from sam2_adapter.config_errors import expected, unknown_key
from sam2_adapter.errors import ConfigError


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("num_epochs", "a whole number from 1 to 100000"),
        ("patience", "a whole number of at least 1"),
        ("learning_rate", "a number above 0 and of at most 1"),
        ("validation_share", "a number of at least 0 and below 1"),
        ("clip_to_box", "true or false"),
        ("output_type", "'mask' or 'polygon'"),
        ("default_label", "a text that is not empty"),
        ("device", "'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'"),
    ],
)
def test_what_a_setting_takes_is_said_in_words(key: str, words: str) -> None:
    assert expected(Config.model_fields[key]) == words


@pytest.mark.parametrize("key", list(Config.model_fields))
def test_every_setting_says_what_it_takes(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_mapping({key: {"a": 1}})
    assert str(caught.value).startswith(f"configuration: {key} = {{'a': 1}} is not allowed: expected ")
    assert "should" not in str(caught.value)


def test_a_choice_that_was_probably_meant() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'openvino'\\?"):
        Config.from_mapping({"runtime": "opnvino"})


def test_an_unknown_key() -> None:
    assert unknown_key("Paitence", ["patience"]) == "unknown key 'Paitence'; did you mean 'patience'?"
    assert unknown_key("x" * 500, ["patience"]).startswith("unknown key 'xxx")
    assert len(unknown_key("x" * 500, ["patience"])) < 150


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: [1,", "a value is missing"),
        ("seed:\n\t- 1", "in line 2, a tab stands where spaces are needed: - 1"),
        ("seed: 1\npatience 3\n", "in line 2, a key has no colon after it: patience 3"),
        ("a: b: c", "a second colon stands in one line"),
        ("seed: *x", "an alias (*) has no anchor (&): seed: *x"),
        ('a: "b', "a quote or a bracket is not closed"),
        ("k: !!python/object:os.system x", "a tag (!) stands before a value"),
        (f"seed: {'1' * 6000}", "a number has more digits than can be read"),
        ("[" * 3000, "nested too deeply"),
        ("a\x07: 1", "a character is not allowed"),
    ],
)
def test_a_file_that_is_no_yaml(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_settings(tmp_path / "c.yaml")
    assert "c.yaml: not a valid configuration file: " in str(caught.value)
    assert said in str(caught.value)
