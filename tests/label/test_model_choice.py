"""Which model answers: taught ones with a share of what they learned, the first one again, and the same after a restart."""

from __future__ import annotations

import asyncio

import pytest
import torch

from sam2_adapter.errors import PromptError, TrainingError
from sam2_adapter.label.model_choice import ModelChoice
from sam2_adapter.label.teaching_runs import Runs
from sam2_adapter.models.load import load_model
from sam2_adapter.models.weights.checkpoint import save_checkpoint
from sam2_adapter.training.blend import blend_checkpoints
from sam2_adapter.training.forward import trained_names
from tests.quick_python import quick_python

OPTIONS = {"model": "sam2_nano", "device": "cpu", "runtime": "torch"}
FACTS = {
    "base": {"name": "the first model", "model": "sam2_nano"},
    "settings": {"num_epochs": 3},
    "split": {"train": [], "validation": []},
    "shown": {},
}


@pytest.fixture
def quick():
    """Processes have everything imported when they start."""
    with quick_python():
        yield


def _choice(folder):
    return ModelChoice(Runs(folder), OPTIONS, lambda news: None, lambda: None)


def _taught(folder, best_epoch=1):
    """A run as a training leaves it, of the bundled model with other values in what is trained."""
    runs = Runs(folder)
    run = runs.add(*runs.new(), FACTS)
    run.write_result({"stopped": "all epochs done", "best_epoch": best_epoch, "curve": [], "share": 1.0})
    base = load_model("sam2_nano")
    generator, trained = torch.Generator().manual_seed(1), set(trained_names(base.model))
    state = {
        name: value + 0.01 * torch.randn(value.shape, generator=generator) if name in trained else value
        for name, value in base.model.state_dict().items()
    }
    run.training.mkdir()
    save_checkpoint(run.model, state, base.architecture, metadata={"name": "run1", "resize": "stretch"})
    return run


def test_what_a_training_starts_from_is_told(tmp_path, monkeypatch):
    choice = _choice(tmp_path / "teaching")
    assert choice.base(used=True) == {"name": "the first model", "model": "sam2_nano"}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.torch").write_bytes(b"weights")
    own = ModelChoice(Runs(tmp_path / "teaching"), {"model": "mine.torch"}, lambda news: None, lambda: None)
    assert own.base(used=False)["model"] == str(tmp_path / "mine.torch")
    default = ModelChoice(Runs(tmp_path / "teaching"), {}, lambda news: None, lambda: None)
    assert default.base(used=False)["model"] == "sam2_hiera_s.yaml"


def test_what_cannot_be_used_is_refused_and_changes_nothing(tmp_path):
    _taught(tmp_path / "teaching", best_epoch=0)
    choice = _choice(tmp_path / "teaching")
    for name, message in (("run7", "There is no model 'run7'"), ("run1", "There is nothing to use of run1")):
        with pytest.raises(TrainingError, match=message):
            asyncio.run(choice.use(name, 0.5))
    assert choice.shown() == {"inUse": {"run": None, "share": 1.0}, "isChanging": False}


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_share_of_a_taught_model_is_used_and_remembered_until_the_first_one_is_used_again(tmp_path):
    run = _taught(tmp_path / "teaching")
    choice, told = _choice(tmp_path / "teaching"), []
    choice._tell = lambda: told.append(choice.shown())

    async def play():
        await choice.use("run1", 0.5)
        with pytest.raises(PromptError):
            await choice.process.ask(QUESTION)
        name, remembered, base = (
            choice.process.model["name"],
            _choice(tmp_path / "teaching"),
            choice.base(used=True),
        )
        await choice.use(None, 1.0)
        await choice.process.stop()
        return name, remembered, base

    name, remembered, base = asyncio.run(play())
    assert name == "run1 (blend 0.5)"
    assert [(one["inUse"]["run"], one["isChanging"]) for one in told] == [
        (None, True),
        ("run1", False),
        ("run1", True),
        (None, False),
    ]
    assert base == {"name": "run1 (50 %)", "file": "run1/share-0.50.torch"}
    by_command = load_model(blend_checkpoints("sam2_nano", run.model, 0.5, tmp_path / "half.torch"))
    used = load_model(tmp_path / "teaching" / "run1" / "share-0.50.torch")
    assert used.weights_sha256 == by_command.weights_sha256
    assert remembered._options() == {**OPTIONS, "model": str(tmp_path / "teaching" / "run1" / "share-0.50.torch")}
    assert _choice(tmp_path / "teaching")._options() == OPTIONS


# The model is asked without a picture, which takes no time.
QUESTION = {
    "kind": "click",
    "tab": "t",
    "visit": 1,
    "image": {"id": "1", "name": "none.png", "path": "none.png"},
    "steps": [{"point": [80, 60], "inside": True}],
}
