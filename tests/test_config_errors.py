"""How a wrong setting is named."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from sam2_adapter.config import Config
from sam2_adapter.config_errors import choices, expected, unknown_key, wrong_option
from sam2_adapter.config_file import read_settings
from sam2_adapter.errors import ConfigError


def _choice(value: str) -> str:
    raise ValueError(f"{value!r} is not one of 'coco', 'yolo'.")


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


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("output_type", ("mask", "polygon")),
        ("window", ("off", "auto")),
        ("blend", ("auto",)),
        ("runtime", ("auto", "torch", "openvino")),
        ("num_epochs", ()),
        ("default_label", ()),
    ],
)
def test_the_choices_of_a_setting_are_data(key: str, values: tuple[str, ...]) -> None:
    assert choices(Config.model_fields[key]) == values


@pytest.mark.parametrize("key", list(Config.model_fields))
def test_every_setting_says_what_it_takes(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_mapping({key: {"a": 1}})
    assert str(caught.value).startswith(f"configuration: {key} = {{'a': 1}} is not allowed: expected ")
    assert "should" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_epochs": 0}, "num_epochs = 0 is not allowed: expected a whole number from 1 to 100000."),
        ({"nmu_epochs": 3}, "unknown key 'nmu_epochs'. Did you mean 'num_epochs'?"),
        ({"save_model_name": "a/b"}, "save_model_name = 'a/b' is not allowed: must be a plain file name"),
        ({"prompt_box": 0.0, "prompt_click": 0.0, "prompt_clicks": 0.0}, "prompt_box, prompt_tight_box, prompt_click"),
    ],
)
def test_settings_given_by_name_are_refused_in_the_same_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as given:
        Config(**settings)
    assert str(given.value).startswith(words)
    with pytest.raises(ConfigError) as read:
        Config.from_mapping(settings, source="a.yaml")
    assert str(read.value).startswith(f"a.yaml: {words}")


def test_settings_can_be_copied_and_sent() -> None:
    config = Config(num_epochs=2)
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == Config.from_mapping({"num_epochs": 2})


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (int, "a", "expected a whole number, but got 'a'."),
        (float, "a", "expected a number, but got 'a'."),
        (bool, "a", "expected true or false, but got 'a'."),
        (Annotated[int, Field(ge=2)], "1", "expected at least 2, but got '1'."),
        (Annotated[float, Field(le=2)], "3", "expected at most 2.0, but got '3'."),
        (Annotated[int, Field(gt=2)], "2", "expected more than 2, but got '2'."),
        (Annotated[int, Field(lt=2)], "2", "expected less than 2, but got '2'."),
        (bytes, 3, "expected something else, but got 3."),
        (
            Annotated[str, AfterValidator(_choice)],
            "cocco",
            "'cocco' is not one of 'coco', 'yolo'. Did you mean 'coco'?",
        ),
        (Annotated[str, AfterValidator(_choice)], "x", "'x' is not one of 'coco', 'yolo'."),
    ],
)
def test_a_wrong_option_is_said_in_words(kind: Any, value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    assert wrong_option(caught.value) == words


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("runtime", "opnvino", "openvino"),
        ("preset", "recomended", "recommended"),
        ("variants", "flipx", "flip_x"),
        ("device", "cud", "cuda"),
        ("window", "atuo", "auto"),
        ("blend", "auot", "auto"),
        ("model_cfg", "sam2_smal", "sam2_hiera_s"),
    ],
)
def test_a_choice_that_was_probably_meant(key: str, value: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean '{meant}'\\?"):
        Config.from_mapping({key: value})


def test_an_unknown_key() -> None:
    assert (
        unknown_key("Paitence", ["patience"])
        == "unknown key 'Paitence'. Did you mean 'patience'? The choices are patience."
    )
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
