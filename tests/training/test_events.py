"""What a run tells: every part of the work, every epoch, and a state that another run goes on from."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import ResumeError, TrainingError
from sam2_adapter.formats.load import Dataset
from sam2_adapter.training.events import (
    DataRead,
    EncodingImages,
    EpochEnded,
    MeasuringImages,
    StateSaved,
    TrainingSteps,
    Work,
)
from sam2_adapter.training.fine_tune import fine_tune
from sam2_adapter.training.trainer import train
from tests.disc_data import make_disc_data
from tests.training.small_run import make_samples, small_config_of_run, small_loaded_model

# Every test looks at whole trainings.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return make_samples(folder, 3, seed=0), make_samples(folder, 2, seed=1)


@pytest.fixture(scope="module")
def told(data, tmp_path_factory):
    """The events of three epochs that are saved one by one, each state read at once, and the result."""
    events, states = [], {}

    def on_event(event):
        events.append(event)
        if isinstance(event, StateSaved) and event.stopped is None:
            states[event.epoch] = event.read()

    config = small_config_of_run(save_interval=1)
    result = train(small_loaded_model(), *data, tmp_path_factory.mktemp("run"), config, on_event=on_event)
    return events, states, result


def test_all_parts_of_the_work_are_told_in_order(told):
    events, _, _ = told
    epoch = [*[TrainingSteps(step, 2, 1, 3) for step in (1, 2)], MeasuringImages(1, 2), MeasuringImages(2, 2)]
    work = [event for event in events if isinstance(event, Work)]
    assert work[:5] == [EncodingImages(done, 5) for done in range(1, 6)]
    assert work[5:7] == epoch[2:]
    assert work[7:11] == epoch
    assert work[5 + 2 + 3 * 4 :] == epoch[2:]  # the model between untouched and tuned weights
    assert [event.what for event in (work[0], *epoch[1:3])] == ["encoding images", "epoch 1 of 3", "measuring"]


def test_epochs_are_told_with_their_records(told):
    events, _, result = told
    assert tuple(event.record for event in events if isinstance(event, EpochEnded)) == result.history


def test_states_are_told_when_they_are_saved(told):
    events, _, _ = told
    saved = [(event.epoch, event.stopped) for event in events if isinstance(event, StateSaved)]
    assert saved == [(1, None), (2, None), (3, None), (3, "all epochs done")]


def test_a_run_goes_on_from_a_state_that_was_handed_out(told, data, tmp_path):
    _, states, result = told
    events = []
    config = small_config_of_run(save_interval=1)
    again = train(small_loaded_model(), *data, tmp_path, config, resume_from=states[1], on_event=events.append)
    assert [event.record.epoch for event in events if isinstance(event, EpochEnded)] == [2, 3]
    assert again.weights_sha256 == result.weights_sha256
    assert [record.score for record in again.history] == [record.score for record in result.history]


def test_damaged_states_are_refused_and_leave_nothing(told, data, tmp_path):
    _, states, _ = told
    for damaged in (states[1][:-100], b"", b"no state"):
        with pytest.raises(ResumeError, match="damaged or no state of a run"):
            train(small_loaded_model(), *data, tmp_path, small_config_of_run(save_interval=1), resume_from=damaged)
        assert not (tmp_path / "checkpoints" / "resume.torch").exists()
    assert train(small_loaded_model(), *data, tmp_path, small_config_of_run(num_epochs=1)).epochs == 1


def test_a_state_of_another_run_is_refused(told, data, tmp_path):
    _, states, _ = told
    with pytest.raises(ResumeError, match=r"learning_rate = 0.5 instead of 0.001"):
        train(small_loaded_model(), *data, tmp_path, small_config_of_run(learning_rate=0.5), resume_from=states[1])


def test_a_state_is_not_put_over_a_run(told, data, tmp_path):
    _, states, _ = told
    config = small_config_of_run(save_interval=1)
    train(small_loaded_model(), *data, tmp_path, config, resume_from=states[2])
    with pytest.raises(TrainingError, match="holds a run already"):
        train(small_loaded_model(), *data, tmp_path, config, resume_from=states[1])


def test_the_data_set_is_told_first(tmp_path):
    events = []
    config = small_config_of_run(num_epochs=1, correction_rounds=0)
    fine_tune(make_disc_data(tmp_path / "data"), tmp_path / "run", config, model="sam2_nano", on_event=events.append)
    assert isinstance(events[0], DataRead)
    assert isinstance(events[0].dataset, Dataset)
    assert isinstance(events[1], EncodingImages)


def test_the_files_of_a_run_are_those_that_are_there(told):
    _, _, result = told
    assert {what: path.name for what, path in result.files.items()} == {
        "model": "best_sam2_model.torch",
        "report": "report.html",
        "metrics": "metrics.json",
        "metrics_table": "metrics.csv",
    }
    result.files["report"].unlink()
    assert set(result.files) == {"model", "metrics", "metrics_table"}
