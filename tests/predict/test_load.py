"""Models become predictors that say what they are."""

from __future__ import annotations

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


def test_a_name_that_no_model_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="sam2_hiera_x"):
        load_predictor("sam2_hiera_x.yaml")
