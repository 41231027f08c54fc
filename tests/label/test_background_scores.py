"""Which pictures are scored, one at a time, and what becomes of those that cannot be."""

from __future__ import annotations

import asyncio

import pytest

from sam2_adapter.errors import PromptError
from sam2_adapter.label.background_scores import BackgroundScores
from sam2_adapter.label.model_process import ModelError
from sam2_adapter.label.picture_scores import PictureScores
from sam2_adapter.label.pictures import named_pictures
from sam2_adapter.label.work import Work

SCORES = {"a.png": 0.9, "b.png": 0.2, "c.png": 0.5, "d.png": 0.7}


class _Model:
    """The other end of the pipe: answers as the model's process does."""

    def __init__(self):
        self.model = {"weights": "one"}
        self.state = "ready"
        self.open_ids: set[str] = set()
        self.asked: list[str] = []
        self.errors: dict[str, Exception] = {}

    def looked_at(self):
        return self.open_ids

    async def ask(self, question):
        assert question["kind"] == "score"
        name = question["image"]["name"]
        self.asked.append(name)
        await asyncio.sleep(0)
        if name in self.errors:
            raise self.errors[name]
        return {"score": SCORES[name], "weights": self.model["weights"]}


@pytest.fixture
def work(tmp_path):
    work = Work(tmp_path / "journal.jsonl")
    yield work
    work.close()


@pytest.fixture
def pictures(tmp_path):
    for name in SCORES:
        (tmp_path / name).write_bytes(b"picture")
    return named_pictures([tmp_path / name for name in SCORES], tmp_path)


def _run(scores):
    async def run():
        scores.start()
        scores.start()  # one at a time
        progress = scores.progress()
        await scores._running
        await scores.stop()
        return progress

    return asyncio.run(run())


def _by_name(scores, pictures):
    found = scores.scores()
    return {picture.name: found[picture.id] for picture in pictures if picture.id in found}


def test_pictures_that_are_not_done_nor_open_are_scored_once_for_each_model(work, pictures):
    model, kept = _Model(), PictureScores()
    work.mark("b.png", (1, 1), "done")
    work.change("d.png", (1, 1), {"1": {"label": "x", "counts": "01"}})
    model.open_ids = {pictures[2].id}
    scores = BackgroundScores(model, work, pictures, kept)
    assert (scores.progress(), _run(scores)) == ((3, 3), (0, 3))
    assert model.asked == ["a.png", "d.png"]
    assert _by_name(scores, pictures) == {"a.png": 0.9, "d.png": 0.7}
    model.open_ids = set()
    _run(scores)
    assert model.asked == ["a.png", "d.png", "c.png"]
    model.model = {"weights": "two"}  # the page changed its model
    assert _by_name(scores, pictures) == {}
    _run(scores)
    assert model.asked[3:] == ["a.png", "c.png", "d.png"]
    model.model = {"weights": "one"}
    assert _by_name(scores, pictures) == {"a.png": 0.9, "c.png": 0.5, "d.png": 0.7}


def test_a_picture_that_cannot_be_scored_costs_no_other(work, pictures):
    model = _Model()
    model.errors = {"a.png": PromptError("broken"), "b.png": ModelError("The model's process ended.")}
    scores = BackgroundScores(model, work, pictures, PictureScores())
    _run(scores)
    _run(scores)
    assert model.asked == ["a.png", "b.png", "c.png", "d.png"]  # none of them twice
    assert _by_name(scores, pictures) == {"c.png": 0.5, "d.png": 0.7}


def test_without_a_model_nothing_goes_on(work, pictures):
    model = _Model()
    model.errors = {"a.png": ModelError("There is no model.")}
    model.state = "failed"
    scores = BackgroundScores(model, work, pictures, PictureScores())
    _run(scores)
    assert model.asked == ["a.png"]
