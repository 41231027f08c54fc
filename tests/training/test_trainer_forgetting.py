"""What a run says about forgetting, and how much of the tuned weights it saves."""

from __future__ import annotations

import json

import pytest
import torch

from sam2_adapter.errors import ConfigError, DataError
from sam2_adapter.models.load import load_model
from sam2_adapter.training import blend_choice, trainer
from sam2_adapter.training.events import BlendMeasured, EpochEnded, GeneralMeasured
from sam2_adapter.training.saving import check_proof
from sam2_adapter.training.trainer import train
from tests.training.small_run import make_label_maps, make_samples, small_config_of_run, small_loaded_model

# Every test but the last makes runs.
pytestmark = pytest.mark.slow

EPOCHS = 2


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return make_samples(folder, 3, seed=0), make_samples(folder, 2, seed=1)


@pytest.fixture(scope="module")
def general(tmp_path_factory):
    return str(make_label_maps(tmp_path_factory.mktemp("other") / "general", 2))


def run(data, general, directory, on_event=None, resume=False, **settings):
    config = small_config_of_run(
        **{"num_epochs": EPOCHS, "general_set": general, "learning_rate": 3e-3, "batch_size": 2, **settings}
    )
    return train(small_loaded_model(), *data, directory, config, on_event=on_event, resume=resume)


@pytest.fixture(scope="module")
def whole(data, general, tmp_path_factory):
    """A run that saves the tuned weights as they are, and what it told."""
    events = []
    directory = tmp_path_factory.mktemp("whole")
    result = run(data, general, directory, events.append)
    assert result.best_epoch > 0
    return result, events, directory


def test_the_general_set_is_measured_before_and_after(whole):
    result, events, directory = whole
    told = [event for event in events if isinstance(event, GeneralMeasured)]
    assert [event.is_saved_model for event in told] == [False, True]
    first_epoch = next(index for index, event in enumerate(events) if isinstance(event, EpochEnded))
    assert events.index(told[0]) < first_epoch
    assert (result.general.before, result.general.after) == (told[0].quality, told[1].quality)
    assert (result.general.name, result.general.num_images, result.general.num_objects) == ("general", 2, 4)
    document = json.loads((directory / "metrics.json").read_text())
    assert document["general"]["before"]["miou_box"] == told[0].quality.miou_box
    assert document["click_curve"]["saved"] == list(result.history[result.best_epoch].iou_by_click)
    assert [row["share"] for row in document["blend"]["curve"]] == [0, 0.5, 1]
    page = (directory / "report.html").read_text()
    lead = page[page.index('class="lead"') : page.index("</p>", page.index('class="lead"'))]
    assert "(4 objects in 2 images), which nothing was trained on" in lead
    assert "Mean IoU by the number of clicks" in page
    assert "Mean IoU by the share of the tuned weights" in page


def test_the_curve_ends_at_the_two_models(whole):
    result, events, _ = whole
    curve = [event.point for event in events if isinstance(event, BlendMeasured)]
    assert tuple(curve) == result.blend.curve
    assert curve[0].figures == result.history[0].figures
    assert curve[-1].figures == result.history[result.best_epoch].figures == result.saved
    assert (curve[0].general, curve[-1].general) == (result.general.before, result.general.after)
    assert result.gained == pytest.approx(curve[-1].score - curve[0].score)


def test_a_share_is_saved_as_the_command_would_blend_it(whole, data, general, tmp_path):
    result, _, _ = whole
    half = run(data, general, tmp_path / "half", blend=0.5)
    assert (half.best_epoch, half.blend.share) == (result.best_epoch, 0.5)
    saved, tuned, base = load_model(half.model_path), load_model(result.model_path), small_loaded_model()
    for name, value in saved.state.items():
        assert torch.allclose(value, (base.state[name] + tuned.state[name]) / 2, atol=1e-6), name
    assert saved.metadata["blend"] == {"share": 0.5}
    assert check_proof(saved) < 1e-3
    assert half.saved == half.blend.curve[1].figures
    assert half.gained == pytest.approx(half.saved.score - half.history[0].score)
    assert "0.5 of it blended with the untouched model" in half.summary
    again = run(data, general, tmp_path / "half", blend=1.0, resume=True)
    assert load_model(again.model_path).weights_sha256 == tuned.weights_sha256


@pytest.fixture
def three_shares(monkeypatch):
    """`auto` looks at few shares, which takes less time."""
    monkeypatch.setattr(blend_choice, "_TENTHS", (0.0, 0.5, 1.0))


@pytest.mark.usefixtures("three_shares")
def test_auto_saves_what_it_says_and_a_resumed_run_the_same(data, general, tmp_path):
    def interrupt(event):
        if isinstance(event, EpochEnded) and event.record.epoch == 1:
            raise KeyboardInterrupt

    whole = run(data, general, tmp_path / "whole", blend="auto")
    assert [point.share for point in whole.blend.curve] == [0, 0.5, 1]
    assert whole.blend.share in [point.share for point in whole.blend.curve]
    stopped = run(data, general, tmp_path / "cut", interrupt, blend="auto")
    assert (stopped.blend.share, stopped.blend.reason, stopped.blend.curve) == (1.0, "the run was interrupted", ())
    assert stopped.general.after is None
    resumed = run(data, general, tmp_path / "cut", blend="auto", resume=True)
    assert resumed.weights_sha256 == whole.weights_sha256
    assert resumed.blend == whole.blend
    assert resumed.general == whole.general


@pytest.mark.usefixtures("three_shares")
def test_where_auto_keeps_nothing_the_untouched_model_is_saved(data, general, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "choose_share", lambda blend, curve: (0.0, "it is the least"))
    result = run(data, general, tmp_path, blend="auto")
    assert load_model(result.model_path).weights_sha256 == small_loaded_model().weights_sha256
    assert result.saved == result.history[0].figures
    assert result.gained == 0


def test_without_a_general_set_the_curve_stays(data, tmp_path):
    result = run(data, "none", tmp_path)
    assert result.general is None
    assert [point.general for point in result.blend.curve] == [None] * 3
    assert json.loads((tmp_path / "metrics.json").read_text())["general"] is None


def test_a_loss_is_told_in_the_lead_and_in_the_log(data, general, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("sam2_adapter.training.general.MOST_LOST", -2.0)
    result = run(data, general, tmp_path)
    assert result.general.warning.startswith("That is a loss of more than")
    assert result.general.warning in caplog.text
    page = (tmp_path / "report.html").read_text()
    shown = result.general.warning.replace("`sam2-adapter blend`", "<code>sam2-adapter blend</code>")
    assert f"<strong> {shown}</strong>" in page[: page.index("<section>")].replace("&#39;", "'")


def test_what_cannot_be_measured_or_chosen_is_refused_before_training(data, tmp_path):
    with pytest.raises(DataError, match="general_set = '/nowhere': there is no such data set"):
        run(data, "/nowhere", tmp_path)
    with pytest.raises(ConfigError, match="blend = 'auto' holds what is gained against what is lost"):
        run(data, "none", tmp_path, blend="auto")
    assert not list(tmp_path.iterdir())
