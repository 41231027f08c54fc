"""Models become predictors that say what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_adapter.errors import ConfigError
from sam2_adapter.predict.load import load_predictor, make_predictor
from tests.conftest import disk_photo
from tests.small_model import loaded, small_model

PHOTO = np.asarray(disk_photo())


def test_a_predictor_says_which_model_it_runs() -> None:
    model = loaded(small_model())
    info = make_predictor(model, "cpu", "torch", "fp32").info
    assert (info.name, info.weights_sha256, info.device, info.precision) == (
        model.name,
        model.weights_sha256,
        "cpu",
        "fp32",
    )


def test_masks_are_those_of_training_where_that_is_asked_for() -> None:
    model = loaded(small_model())
    plain, training = (make_predictor(model, "cpu", "torch", "fp32", as_in_training=wanted) for wanted in (False, True))
    first, second = (made.predict(made.embed(PHOTO), [{"box": [40, 20, 120, 100]}]) for made in (plain, training))
    assert np.array_equal(first.masks, second.masks)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"offline": "yes"}, "offline is True or False, but got 'yes'"),
        ({"cache_dir": 5}, "cache_dir is the path of a folder"),
        ({"architecture": "sam2_hiera_x"}, "Unknown model configuration 'sam2_hiera_x'"),
        ({"architecture": 5}, "Unknown model configuration 5"),
        (
            {"architecture": "sam2_hiera_s"},
            "architecture = 'sam2_hiera_s' says what a weights file fits, but 'sam2_nano'",
        ),
    ],
)
def test_options_of_loading_are_checked_also_where_nothing_is_fetched(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load_predictor("sam2_nano", **options)


def test_a_misspelt_option_is_refused_in_the_name_of_the_call() -> None:
    with pytest.raises(TypeError, match=r"load_predictor\(\) got an unexpected keyword argument 'ofline'"):
        load_predictor("sam2_nano", ofline=True)  # type: ignore[call-arg]


def test_a_name_that_no_model_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="sam2_hiera_x"):
        load_predictor("sam2_hiera_x.yaml")
