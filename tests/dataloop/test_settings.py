"""The configuration of a model entity: the platform's keys, ours, presets, and values of the wrong kind."""

from __future__ import annotations

import dataclasses

import pytest

from sam2_adapter.config import Config
from sam2_adapter.dataloop.settings import PLATFORM_DEFAULTS, read_settings
from sam2_adapter.errors import ConfigError


def _settings(**configuration):
    return read_settings(configuration)


def test_the_platforms_own_keys_are_known_and_others_ignored_with_one_warning(caplog):
    settings = _settings(**PLATFORM_DEFAULTS, id_to_label_map={}, batch_size=7, patience=None, foo=1, bar=2)
    assert settings.config == Config(batch_size=7)
    assert (settings.subset_limit, settings.overwrite_annotations, settings.weights_sha256) == (1000, True, None)
    assert [record.message for record in caplog.records] == ["configuration: ignored the unknown keys bar, foo"]


def test_the_platforms_keys_are_those_of_the_installed_client():
    from dtlpy.ml.base_model_adapter import AdapterDefaults

    defaults = {field.name: field.default for field in dataclasses.fields(AdapterDefaults)}
    assert defaults.items() <= dict(PLATFORM_DEFAULTS).items()


def test_with_a_preset_keys_at_the_missions_default_count_as_not_given():
    listed = {**Config().model_dump(mode="json"), "preset": "recommended", "patience": 3}
    assert _settings(**listed).config == Config(preset="recommended", patience=3)
    assert _settings(**Config().model_dump(mode="json")).config == Config()


def test_a_wrong_value_is_refused():
    with pytest.raises(ConfigError, match="num_epochs = 0 is not allowed"):
        _settings(num_epochs=0)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("predict_embed_subset_limit", "1000", "a whole number, at least 1, but got '1000'"),
        ("predict_embed_subset_limit", 0, "a whole number, at least 1"),
        ("predict_embed_subset_limit", 1.5, "a whole number, at least 1"),
        ("predict_embed_subset_limit", True, "a whole number, at least 1"),
        ("predict_embed_subset_limit", float("nan"), "a whole number, at least 1"),
        ("predict_embed_subset_limit", 10**400, "a whole number, at least 1"),
        ("overwrite_annotations", "false", "true or false, but got 'false'"),
        ("upload_features", "false", "true or false, but got 'false'"),
        ("upload_features", 0, "true or false"),
        ("weights_sha256", 5, "a text, but got 5"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(key, value, expected):
    with pytest.raises(ConfigError, match=f"^configuration: {key} is {expected}"):
        _settings(**{key: value})


@pytest.mark.parametrize("configuration", ["text", 5, ["a"]])
def test_a_configuration_is_an_object(configuration):
    with pytest.raises(ConfigError, match="expected names and values, but got"):
        read_settings(configuration)


def test_switches_are_read_as_they_are_given():
    given = _settings(predict_embed_subset_limit=5, overwrite_annotations=False, upload_features=False)
    assert (given.subset_limit, given.overwrite_annotations, given.upload_features) == (5, False, False)
    assert _settings(upload_features=None).upload_features is True
