"""The weights of a model entity: what is saved is what is loaded, and nothing else is taken for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sam2_adapter.dataloop.settings import read_settings
from sam2_adapter.dataloop.weights import load_weights, save_weights
from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.load import load_model

NAME = "mine.torch"


def _settings(weights_sha256=None, **keys):
    return read_settings({"model_cfg": "sam2_nano", "save_model_name": NAME, "weights_sha256": weights_sha256, **keys})


@pytest.fixture(scope="module")
def bundled():
    return load_model("sam2_nano")


def test_without_weights_of_its_own_a_model_starts_from_the_published_ones(tmp_path, bundled):
    assert load_weights(tmp_path, _settings()).weights_sha256 == bundled.weights_sha256


def test_what_was_saved_is_loaded(tmp_path, bundled):
    tuned = replace(bundled, resize="pad", metadata={**bundled.metadata, "note": "kept", "model": "an earlier name"})
    save_weights(tuned, tmp_path / NAME)
    found = load_weights(tmp_path, _settings(bundled.weights_sha256))
    assert (found.weights_sha256, found.resize, found.metadata["note"]) == (bundled.weights_sha256, "pad", "kept")
    assert found.metadata.get("model") != "an earlier name"
    assert found.state.keys() == bundled.state.keys()
    assert all(torch.equal(found.state[name], tensor) for name, tensor in bundled.state.items())


def test_weights_that_are_not_those_it_was_trained_to_are_refused(tmp_path, bundled):
    save_weights(bundled, tmp_path / NAME)
    message = f"'{NAME}' holds the weights {bundled.weights_sha256[:12]} of another model; .* trained to 000000000000"
    with pytest.raises(CheckpointError, match=message):
        load_weights(tmp_path, _settings("0" * 64))


def test_a_trained_model_does_not_fall_back_to_the_published_weights(tmp_path):
    with pytest.raises(CheckpointError, match=f"hold no '{NAME}'. Set save_model_name"):
        load_weights(tmp_path, _settings("0" * 64))


def test_weights_of_another_architecture_are_refused(tmp_path, bundled):
    save_weights(bundled, tmp_path / NAME)
    with pytest.raises(CheckpointError, match="says that it is sam2_nano, not sam2_hiera_s"):
        load_weights(tmp_path, _settings(model_cfg="sam2_hiera_s"))
