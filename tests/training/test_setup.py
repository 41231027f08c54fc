"""What a run is made of: the model that is really trained, places to encode, the schedule, and data that must be there."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import TrainingError
from sam2_adapter.training.setup import _places, _require_data, _require_readable, _schedule, with_model
from tests.training.small_run import make_samples, small_config_of_run, small_loaded_model


def test_the_configuration_names_the_model_that_is_trained():
    loaded = small_loaded_model()
    assert with_model(small_config_of_run(), loaded).model_cfg == loaded.architecture.name
    named = small_config_of_run().model_copy(update={"model_cfg": f"{loaded.architecture.name}.yaml"})
    assert with_model(named, loaded) is named


def test_training_images_have_variants_and_others_have_none(tmp_path):
    samples = make_samples(tmp_path, 3)
    places = _places(samples[:2], samples[2:], small_config_of_run(variants=("original", "flip_x")))
    assert places == [(0, "original"), (0, "flip_x"), (1, "original"), (1, "flip_x"), (2, "original")]


def test_steps_are_whole_and_counted_over_all_epochs():
    schedule = _schedule(9, small_config_of_run(batch_size=4, num_epochs=5, warmup_share=0.2))
    assert (schedule.total_steps, schedule.warmup_steps, schedule.peak) == (15, 3, 1e-3)


def test_data_must_be_there_and_readable(tmp_path):
    samples = make_samples(tmp_path, 1)
    _require_data(samples, samples)
    for training, validation, text in (([], samples, "nothing to train on"), (samples, [], "nothing to measure with")):
        with pytest.raises(TrainingError, match=text):
            _require_data(training, validation)
    with pytest.raises(TrainingError, match=r"no validation image can be read \(a\.png: broken\)"):
        _require_readable([object()], [], {0: "a.png: broken"})
    with pytest.raises(TrainingError, match=r"no training image can be read \(a\.png: broken\)"):
        _require_readable([], [0], {0: "a.png: broken"})
