"""Scores in the background: what the model is sure of, and only while nobody asks it anything."""

from __future__ import annotations

import queue
import threading

import pytest

from sam2_adapter.label import scoring
from sam2_adapter.label.scoring import Scorer
from sam2_adapter.predict.everything.certainty import certainty
from tests.conftest import disk_photo
from tests.small_model import small_predictor


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


@pytest.fixture
def image(tmp_path):
    disk_photo().save(tmp_path / "disk.png")
    return {"id": "1", "name": "disk.png", "path": str(tmp_path / "disk.png")}


def test_a_picture_is_scored_as_the_model_sees_it(predictor, image, monkeypatch):
    monkeypatch.setattr(scoring, "REST_S", 0.0)
    answers = queue.SimpleQueue()
    scorer = Scorer(predictor, answers.put, lambda: True)
    scorer.ask({"id": 7, "image": image})
    answer = answers.get(timeout=60)
    expected = certainty(predictor, predictor.embed(image["path"]))
    assert answer == {"id": 7, "answer": {"score": pytest.approx(expected), "weights": predictor.info.weights_sha256}}
    scorer.ask({"id": 8, "image": {**image, "path": "none.png"}})
    assert "disk.png" in answers.get(timeout=60)["error"]
    scorer.close()


def test_it_waits_until_nothing_is_asked_and_nothing_is_encoded(predictor, image, monkeypatch):
    monkeypatch.setattr(scoring, "REST_S", 0.05)
    answers, is_free, looked = queue.SimpleQueue(), threading.Event(), threading.Event()

    def free():
        looked.set()
        return is_free.is_set()

    scorer = Scorer(predictor, answers.put, free)
    scorer.disturb()
    scorer.ask({"id": 1, "image": image})
    assert looked.wait(60)
    assert answers.empty()
    is_free.set()
    assert answers.get(timeout=60)["id"] == 1
    scorer.close()


def test_a_picture_that_is_disturbed_is_begun_again(predictor, image, monkeypatch):
    monkeypatch.setattr(scoring, "REST_S", 0.0)
    begun = []

    def disturbed(predictor, embedding, goes_on):
        begun.append(embedding)
        if len(begun) == 1:
            scorer.disturb()
            assert not goes_on()
            return None
        assert goes_on()
        return 0.5

    monkeypatch.setattr(scoring, "certainty", disturbed)
    answers = queue.SimpleQueue()
    scorer = Scorer(predictor, answers.put, lambda: True)
    scorer.ask({"id": 1, "image": image})
    assert answers.get(timeout=60)["answer"]["score"] == 0.5
    assert len(begun) == 2
    scorer.close()
