"""The state of a run: exact, refused when it belongs elsewhere or is damaged; interval checkpoints: small and pruned."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch

from sam2_adapter.errors import ResumeError, TrainingError
from sam2_adapter.training.run_state import (
    STATE_NAME,
    BestModel,
    RunIdentity,
    TrainingState,
    checkpoint_paths,
    load_state,
    save_state,
)

IDENTITY = RunIdentity({"learning_rate": 1e-5, "seed": 0}, "data", "base")


def state(epoch: int) -> TrainingState:
    weights = {"a": torch.arange(3.0) + epoch}
    return TrainingState(
        epoch=epoch,
        step=10 * epoch,
        trained=weights,
        optimizer={"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999)}]},
        best=BestModel(1, 0.5, weights),
        history=[{"epoch": 0, "loss": None}],
        random={"cpu": torch.get_rng_state(), "cuda": []},
    )


def test_a_state_comes_back_as_it_was(tmp_path):
    save_state(tmp_path, state(3), IDENTITY)
    loaded = load_state(tmp_path, IDENTITY)
    assert (loaded.epoch, loaded.step, loaded.history, loaded.best.epoch) == (3, 30, [{"epoch": 0, "loss": None}], 1)
    assert torch.equal(loaded.trained["a"], state(3).trained["a"])
    assert torch.equal(loaded.best.trained["a"], state(3).best.trained["a"])
    assert loaded.optimizer["param_groups"] == state(3).optimizer["param_groups"]


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    for epoch in (1, 2, 10, 9):
        save_state(tmp_path, state(epoch), IDENTITY)
    for name in (".epoch_000011.torch.ab.part", f".{STATE_NAME}.cd.part"):
        (tmp_path / name).touch()
    save_state(tmp_path, state(11), IDENTITY)
    assert sorted(os.listdir(tmp_path)) == ["epoch_000010.torch", "epoch_000011.torch", STATE_NAME]
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["epoch_000010.torch", "epoch_000011.torch"]
    assert load_state(tmp_path, IDENTITY).epoch == 11


def test_a_checkpoint_holds_what_was_measured(tmp_path):
    save_state(tmp_path, state(1), IDENTITY)
    averaged = dataclasses.replace(state(2), average={"a": torch.zeros(3)})
    save_state(tmp_path, averaged, IDENTITY)
    first, second = (torch.load(path, weights_only=True) for path in checkpoint_paths(tmp_path))
    assert (first["epoch"], first["trained"]["a"].tolist()) == (1, [1.0, 2.0, 3.0])
    assert (second["epoch"], second["trained"]["a"].tolist()) == (2, [0.0, 0.0, 0.0])
    assert set(second) == {"format_version", "identity", "epoch", "trained"}


def test_no_checkpoint_is_no_state(tmp_path):
    assert load_state(tmp_path / "missing", IDENTITY) is None


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (RunIdentity({"learning_rate": 1e-4, "seed": 0}, "data", "base"), "learning_rate = 0.0001 instead of 1e-05"),
        (RunIdentity(IDENTITY.settings, "more", "base"), "other training or validation data"),
        (RunIdentity(IDENTITY.settings, "data", "large"), "other base weights"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, other, text):
    save_state(tmp_path, state(1), IDENTITY)
    with pytest.raises(TrainingError, match=text):
        load_state(tmp_path, other)


def test_a_damaged_state_is_an_error(tmp_path):
    save_state(tmp_path, state(1), IDENTITY)
    path = tmp_path / STATE_NAME
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ResumeError, match=r"resume\.torch is damaged .* start a new run in another folder"):
        load_state(tmp_path, IDENTITY)


def test_a_state_of_another_version_is_refused(tmp_path):
    torch.save({"format_version": 1, "identity": {}, "state": {}}, tmp_path / STATE_NAME)
    with pytest.raises(ResumeError, match="has format_version 1, but this version of sam2-adapter resumes from 3"):
        load_state(tmp_path, IDENTITY)


def test_a_state_that_would_run_code_is_not_opened(tmp_path):
    torch.save({"format_version": 2, "identity": os.system, "state": {}}, tmp_path / STATE_NAME)
    with pytest.raises(ResumeError, match=r"resume\.torch is damaged or no state of a run"):
        load_state(tmp_path, IDENTITY)
