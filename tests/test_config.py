"""Settings: defaults as promised, and every rejection by its text."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sam2_adapter.config import Config
from sam2_adapter.config_file import presets
from sam2_adapter.errors import ConfigError

PROMISED = {
    "model_cfg": "sam2_hiera_s.yaml",
    "save_model_name": "best_sam2_model.torch",
    "num_epochs": 100,
    "learning_rate": 1e-5,
    "weight_decay": 4e-5,
    "batch_size": 4,
    "save_interval": 10,
    "patience": 10,
    "multi_points_prediction": False,
    "output_type": "mask",
    "clip_to_box": True,
    "resize": "stretch",
    "default_label": "object",
    "include_model_annotations": False,
    "embeddings_size": 256,
}


def test_defaults_are_as_promised() -> None:
    defaults = Config().model_dump()
    assert {key: defaults[key] for key in PROMISED} == PROMISED


@pytest.mark.parametrize("name", list(Config.model_fields))
def test_every_key_has_a_sentence(name: str) -> None:
    description = Config.model_fields[name].description
    assert description
    assert description[0].isupper()
    assert description.endswith(".")


REJECTED: list[tuple[str, Any, str]] = [
    ("model_cfg", "sam2_hiera_xl", "unknown model configuration 'sam2_hiera_xl'"),
    ("model_cfg", 3, "model_cfg = 3 is not allowed"),
    ("save_model_name", "a/b.torch", "must be a plain file name without directories"),
    ("save_model_name", "..", "must be a plain file name without directories"),
    ("save_model_name", "", "must be a plain file name without directories"),
    ("num_epochs", 0, "num_epochs = 0 is not allowed: expected a whole number from 1 to 100000."),
    ("num_epochs", 1.5, "num_epochs = 1.5 is not allowed"),
    ("num_epochs", "ten", "num_epochs = 'ten' is not allowed"),
    ("num_epochs", True, "num_epochs = True is not allowed"),
    ("learning_rate", 0, "learning_rate = 0 is not allowed: expected a number above 0 and of at most 1."),
    ("learning_rate", 2.0, "learning_rate = 2.0 is not allowed: expected a number above 0 and of at most 1."),
    ("learning_rate", float("nan"), "learning_rate = nan is not allowed: expected a number above 0"),
    ("weight_decay", -1e-5, "weight_decay = -1e-05 is not allowed"),
    ("batch_size", 0, "batch_size = 0 is not allowed"),
    ("save_interval", 0, "save_interval = 0 is not allowed"),
    ("patience", -1, "patience = -1 is not allowed"),
    (
        "multi_points_prediction",
        "yes",
        "multi_points_prediction = 'yes' is not allowed: expected true or false.",
    ),
    ("output_type", "box", "output_type = 'box' is not allowed: expected 'mask' or 'polygon'."),
    ("clip_to_box", 1, "clip_to_box = 1 is not allowed"),
    ("resize", "crop", "resize = 'crop' is not allowed: expected 'stretch' or 'pad'."),
    ("default_label", "", "default_label = '' is not allowed"),
    ("include_model_annotations", None, "include_model_annotations = None is not allowed"),
    ("embeddings_size", 0, "embeddings_size = 0 is not allowed"),
    ("precision", "fp8", "precision = 'fp8' is not allowed"),
    ("device", "gpu", "device = 'gpu' is not allowed"),
    ("runtime", "magic", "runtime = 'magic' is not allowed"),
    ("preset", "best", "preset = 'best' is not allowed: expected 'mission' or 'recommended'."),
    ("preset", ["mission"], "preset = ['mission'] is not allowed"),
    ("seed", -1, "seed = -1 is not allowed"),
    ("validation_share", 1.0, "validation_share = 1.0 is not allowed: expected a number of at least 0 and below 1."),
    ("variants", "sideways", "variants = 'sideways' is not allowed: expected one or more of 'original', 'flip_x', "),
    ("variants", [], "variants = () is not allowed"),
    ("variants", 3, "variants = 3 is not allowed"),
    ("prompt_clicks", -0.1, "prompt_clicks = -0.1 is not allowed"),
    ("correction_share", 1.1, "correction_share = 1.1 is not allowed"),
    ("loss_dice", -1.0, "loss_dice = -1.0 is not allowed"),
    ("iou_score_error", "l2", "iou_score_error = 'l2' is not allowed: expected 'l1' or 'mse'."),
    ("average_decay", 1.0, "average_decay = 1.0 is not allowed"),
    ("micro_batch", 0, "micro_batch = 0 is not allowed"),
    ("memory_mib", -1, "memory_mib = -1 is not allowed"),
]


@pytest.mark.parametrize(("key", "value", "text"), REJECTED)
def test_rejections(key: str, value: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_mapping({key: value}, source="settings.yaml")
    assert str(caught.value).startswith("settings.yaml: ")
    assert text in str(caught.value)


def test_something_must_be_drawn_and_something_minimised() -> None:
    with pytest.raises(ConfigError, match=r"^c: prompt_box, .* are all 0; at least one kind of prompt needs a weight"):
        Config.from_mapping({"prompt_box": 0, "prompt_click": 0}, source="c")
    with pytest.raises(
        ConfigError, match=r"^c: loss_focal, loss_bce, loss_dice.* are all 0; at least one loss of the mask"
    ):
        Config.from_mapping({"loss_focal": 0, "loss_dice": 0}, source="c")


@pytest.mark.parametrize("value", [["flip_x", "grey"], ("flip_x", "grey"), "flip_x,grey", " flip_x , grey "])
def test_variants_are_a_list_or_a_text_with_commas(value: object) -> None:
    assert Config.from_mapping({"variants": value}).variants == ("flip_x", "grey")


def test_a_preset_fills_in_what_is_not_given() -> None:
    values = {**presets()["recommended"], "variants": tuple(presets()["recommended"]["variants"])}
    config = Config.from_mapping({"preset": "recommended"})
    assert {key: getattr(config, key) for key in values} == values
    assert config.weight_decay == 4e-5
    assert Config.from_mapping({"preset": "recommended", "learning_rate": 0.5}).learning_rate == 0.5
    assert Config(preset="recommended") == config
    assert Config.from_mapping({"preset": "mission"}) == Config()


def test_every_older_key_has_a_rejection() -> None:
    assert {key for key, _, _ in REJECTED} >= set(PROMISED)


def test_an_unknown_key_is_refused_with_a_hint() -> None:
    with pytest.raises(
        ConfigError, match=r"^configuration: unknown key 'learning_rat'. Did you mean 'learning_rate'\?$"
    ):
        Config.from_mapping({"learning_rat": 1})
    with pytest.raises(ConfigError, match=r"unknown key 'zzz'. The choices are .*model_cfg, "):
        Config.from_mapping({"zzz": 1})


def test_unknown_keys_can_be_ignored_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "sam2_adapter"):
        config = Config.from_mapping({"zzz": 1, "yyy": 2, "patience": 3}, ignore_unknown=True)
    assert config.patience == 3
    assert [record.getMessage() for record in caplog.records] == ["configuration: ignored the unknown keys yyy, zzz"]


def test_the_existing_adapters_word_for_a_mask() -> None:
    assert Config.from_mapping({"output_type": "segment"}).output_type == "mask"


@pytest.mark.parametrize("name", ["sam2_hiera_l", "sam2_hiera_l.yaml", "sam2.1_hiera_b+.yaml", "sam2_nano"])
def test_model_names_with_and_without_yaml(name: str) -> None:
    assert Config.from_mapping({"model_cfg": name}).model_cfg == name


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().patience = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("suffix", "text"), [("yaml", "patience: 3\nlearning_rate: 0.001\n"), ("json", '{"patience": 3}')]
)
def test_files(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"c.{suffix}"
    path.write_text(text)
    assert Config.from_file(path).patience == 3


@pytest.mark.slow
def test_the_reference_is_current() -> None:
    script = Path(__file__).parents[1] / "tools" / "make_config_docs.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"epochs": 3}, "unknown key 'epochs'. Did you mean 'num_epochs'?"),
        ({"num_epochs": "x"}, "num_epochs = 'x' is not allowed: expected a whole number"),
        ({"save_model_name": "a/b"}, "save_model_name = 'a/b' is not allowed: must be a plain file name"),
    ],
)
def test_wrong_settings_in_python_are_named_in_plain_words(settings, text):
    with pytest.raises(ConfigError) as caught:
        Config(**settings)
    assert str(caught.value).startswith(text)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "window"), [("off", "off"), (False, "off"), ("auto", "auto"), (128, "128"), ("16", "16")]
)
def test_a_window_is_off_auto_or_pixels(value: object, window: str) -> None:
    assert Config.from_mapping({"window": value}).window == window


@pytest.mark.parametrize(
    "value", ["on", 15, 8193, "8193", -1, "-1", True, None, 64.0, "64.0", [], "", "٣٢", "1" * 5000]
)
def test_other_windows_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"window = .* is not allowed: expected 'off', 'auto' or a number of pixels"):
        Config.from_mapping({"window": value})
