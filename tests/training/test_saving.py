"""The prediction that is stored with a model, and which errors of a disk are waited for."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
import torch

from sam2_adapter.errors import CheckpointError, TrainingError
from sam2_adapter.models.load import load_model
from sam2_adapter.training import saving
from sam2_adapter.training.run_state import BestModel
from sam2_adapter.training.saving import PROOF_KEY, ModelSaver, Prover, _is_full, check_proof
from tests.training.small_run import small_loaded_model


def test_a_model_answers_as_when_it_was_saved():
    loaded = small_loaded_model()
    proof = Prover(loaded).prove()
    assert proof["low_res_logits"].shape[0] == 2, "a box and a click"
    assert check_proof(replace_metadata(loaded, {PROOF_KEY: proof})) < 1e-4


def test_other_weights_answer_otherwise():
    proof = Prover(small_loaded_model()).prove()
    with pytest.raises(CheckpointError, match="answers otherwise than when it was saved"):
        check_proof(replace_metadata(small_loaded_model(seed=1), {PROOF_KEY: proof}))


@pytest.mark.parametrize("stored", [{"low_res_logits": torch.zeros(1), "iou_scores": None}, {}])
def test_a_proof_of_another_kind_is_no_proof(stored):
    with pytest.raises(CheckpointError, match="answers otherwise"):
        check_proof(replace_metadata(small_loaded_model(), {PROOF_KEY: stored}))


def test_a_model_without_proof_is_said():
    with pytest.raises(CheckpointError, match="holds no stored prediction"):
        check_proof(small_loaded_model())


def replace_metadata(loaded, metadata):
    made = replace(loaded, metadata=metadata)
    vars(made)["model"] = loaded.model
    return made


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("[enforce fail at inline_container.cc]\nmore"), True),
        (ValueError("something else"), False),
    ],
)
def test_a_full_disk_is_told_from_other_errors(error, is_full):
    assert _is_full(error) is is_full


def test_what_a_library_says_of_a_full_disk_is_told_in_plain_words(tmp_path, monkeypatch, caplog):
    def full(*_, **__):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 3091648 vs 3091536")

    model, checkpoints = small_loaded_model(), tmp_path / "checkpoints"
    checkpoints.mkdir()
    saver = ModelSaver(tmp_path / "best.torch", model, Prover(model), {"name": "mine"}, checkpoints)
    monkeypatch.setattr(saving, "save_checkpoint", full)
    with pytest.raises(TrainingError, match="resume: the run begins again, since no state of it could be saved either"):
        saver.finish(BestModel(1, 0.5, {}))
    assert "best.torch could not be written (the disk is full, or it fails)" in caplog.text
    assert "enforce fail" not in caplog.text
    (checkpoints / "resume.torch").touch()
    with pytest.raises(TrainingError, match="resume: the run goes on from the state that it has saved"):
        saver.finish(BestModel(1, 0.5, {}))


def test_what_is_added_is_saved_or_costs_nothing(tmp_path, monkeypatch):
    model = small_loaded_model()
    saver = ModelSaver(tmp_path / "best.torch", model, Prover(model), {"name": "mine"}, tmp_path / "checkpoints")
    best = BestModel(1, 0.5, {})
    saver.save(best)
    saver.add(best, {"everything": {"pred_iou_thresh": 0.6}})
    assert load_model(saver.path).everything == {"pred_iou_thresh": 0.6}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saving, "save_checkpoint", full)
    saver.add(best, {"everything": {"pred_iou_thresh": 0.9}})
    saver.finish(best)
    assert load_model(saver.path).everything == {"pred_iou_thresh": 0.6}
