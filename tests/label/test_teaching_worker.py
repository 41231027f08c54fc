"""The process that teaches, called directly: what it tells of a real training, of a blend, and of what goes wrong."""

from __future__ import annotations

import json
import threading

import pytest

from sam2_adapter.label import teaching_worker
from sam2_adapter.label.teaching_data import Accepted
from sam2_adapter.label.teaching_worker import EventsAsJson, obey
from sam2_adapter.training.events import EncodingImages, TrainingSteps
from tests.label.taught import QUICK, accepted


def test_progress_is_thinned_out_but_for_beginnings_and_ends():
    told, time = [], [0.0]
    events = EventsAsJson(told.append, now=lambda: time[0])
    for done in range(1, 5):
        events.tell(EncodingImages(done, 5))
    time[0] = 0.3
    events.tell(EncodingImages(5, 6))
    events.tell(EncodingImages(6, 6))
    events.tell(TrainingSteps(1, 9, 1, 3))
    assert [(message["what"], message["done"]) for message in told] == [
        ("encoding images", 1),
        ("encoding images", 5),
        ("encoding images", 6),
        ("epoch 1 of 3", 1),
    ]


@pytest.mark.slow
def test_a_training_is_told_from_its_data_to_its_result_and_mixed_with_the_model_before(tmp_path):
    with accepted(tmp_path / "photos", 2) as session:
        found = Accepted(session.work.snapshot(), session.pictures, 16)
        found.write(tmp_path / "data", found.split(0.2, 0))
    request = {
        "kind": "teach",
        "data": str(tmp_path / "data"),
        "format": "coco",
        "output": str(tmp_path / "model"),
        "model": "sam2_nano",
        "name": "run1",
        "settings": {**QUICK, "num_epochs": 1, "learning_rate": 1e-3},
        "embeddings": str(tmp_path / "embeddings"),
    }
    told = []
    obey(request, told.append)
    json.dumps(told, allow_nan=False)
    kinds = list(dict.fromkeys(message["news"] for message in told))
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    epochs = [message["epoch"] for message in told if message["news"] == "epoch"]
    assert [epoch["epoch"] for epoch in epochs] == [0, 1]
    for epoch, row in zip(epochs, metrics["epochs"], strict=True):
        assert epoch == {key: row[key] for key in epoch}
    result = told[-1]["result"]
    assert (kinds[0], told[-1]["news"], result["epochs"]) == ("data", "done", 1)
    measured = [message["point"] for message in told if message["news"] == "blend"]
    assert measured == metrics["blend"]["curve"]
    assert result["curve"][0]["score"] == metrics["epochs"][0]["score"]
    blend = {
        "kind": "blend",
        "base": "sam2_nano",
        "tuned": str(tmp_path / "model" / "best_sam2_model.torch"),
        "share": 0.5,
    }
    obey({**blend, "output": str(tmp_path / "half.torch")}, told.append)
    assert told[-1] == {"news": "done"}
    obey({**blend, "output": str(tmp_path / "half.torch"), "share": 2}, told.append)
    assert told[-1]["news"] == "failed"
    assert "from 0 to 1" in told[-1]["text"]


def test_what_goes_wrong_is_told(tmp_path, capsys, monkeypatch):
    def refuse(error):
        def run(request, report):
            raise error

        return run

    told = []
    for error in (KeyboardInterrupt(), ZeroDivisionError(), ValueError("a reason")):
        monkeypatch.setitem(teaching_worker._KINDS, "blend", refuse(error))
        obey({"kind": "blend"}, told.append)
    assert told == [
        {"news": "stopped"},
        {"news": "failed", "text": "ZeroDivisionError"},
        {"news": "failed", "text": "a reason"},
    ]
    assert "a reason" in capsys.readouterr().err
    asked = threading.Event()
    asked.set()
    monkeypatch.setattr(teaching_worker, "_stop_was_asked", asked)
    obey({"kind": "blend"}, told.append)
    assert told[-1] == {"news": "stopped"}
