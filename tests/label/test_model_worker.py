"""The model's process, run in this one: answers equal the session's, in order, and nobody waits for pictures that were left."""

from __future__ import annotations

import queue
from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.annotations.clicks import evaluation_click
from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import Rle, mask_to_rle, rle_to_mask
from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.scores import EvaluationSettings
from sam2_adapter.formats.sample import Sample
from sam2_adapter.interactive import Session
from sam2_adapter.label.model_worker import ModelWorker
from tests.conftest import disk_photo, square_photo
from tests.small_model import small_predictor


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


@pytest.fixture
def images(tmp_path):
    disk_photo().save(tmp_path / "disk.png")
    square_photo().save(tmp_path / "square.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return {
        name: {"id": name, "name": f"{name}.png", "path": str(tmp_path / f"{name}.png")}
        for name in ("disk", "square", "broken")
    }


class _Harness:
    def __init__(self, predictor):
        self.reports = queue.SimpleQueue()
        self.worker = ModelWorker(predictor, self.reports.put)
        self.news = []
        self.ids = 0

    def send(self, image, kind="click", visit=1, tab="t", **more):
        self.ids += 1
        self.worker.handle({"id": self.ids, "kind": kind, "tab": tab, "visit": visit, "image": image, **more})
        return self.ids

    def reply(self, number):
        while True:
            message = self.reports.get(timeout=60)
            if message.get("id") == number:
                return message
            self.news.append(message)

    def ask(self, *arguments, **more):
        return self.reply(self.send(*arguments, **more))


@pytest.fixture
def harness(predictor):
    harness = _Harness(predictor)
    yield harness
    harness.worker.close()


def _json(answer):
    return {"counts": answer.rle.counts, "score": answer.iou_score}


def test_answers_are_those_of_a_session(harness, predictor, images):
    session = Session(predictor)
    session.open(np.asarray(disk_photo()))
    steps = [{"point": [80, 60], "inside": True}]
    assert harness.ask(images["disk"], steps=steps)["answer"] == _json(session.click(80, 60))
    asked = harness.ask(images["disk"], kind="candidates", steps=steps)["answer"]
    assert asked == {"own": _json(session.answer), "candidates": [_json(one) for one in session.candidates()]}
    session.choose(session.candidates()[1])
    steps = [{**steps[0], "choice": 1}, {"point": [90, 50], "inside": False}]
    assert harness.ask(images["disk"], steps=steps)["answer"] == _json(session.click(90, 50, foreground=False))
    steps.append({"box": [40, 20, 120, 100]})
    assert harness.ask(images["disk"], steps=steps)["answer"] == _json(session.box([40, 20, 120, 100]))
    session.clear()
    assert harness.ask(images["disk"], kind="hover", point=[20, 20])["answer"] == _json(session.preview(20, 20))
    drawn = np.arange(120 * 160).reshape(120, 160) < 5000
    mask = [{"mask": mask_to_rle(drawn).counts}, {"point": [80, 60], "inside": True}]
    session.start_from(drawn)
    assert harness.ask(images["disk"], steps=mask)["answer"] == _json(session.click(80, 60))


def test_everything_is_found_while_clicks_are_answered(harness, images):
    """The small model finds nothing, but says how far it is; a click that comes meanwhile does not wait for the end."""
    asked = harness.send(images["disk"], kind="everything", search=1, after=0)
    clicked = harness.send(images["disk"], steps=[{"point": [80, 60], "inside": True}])
    assert harness.reply(clicked)["answer"]["counts"]
    assert all(message.get("id") != asked or not message["answer"]["is_done"] for message in harness.news)
    told = [message for message in harness.news if message.get("id") == asked]
    answer = (told or [harness.reply(asked)])[0]["answer"]
    assert (answer["begins"], answer["total"]) == (True, 1024)
    left = harness.send(images["disk"], kind="everything", search=1, after=1)
    harness.send(images["square"], kind="open", visit=2)
    assert harness.reply(left)["answer"] is None
    waiting = harness.send(images["square"], kind="everything", search=2, after=0, visit=2)
    assert harness.ask(images["square"], kind="stop", search=2, visit=2)["answer"] == {}
    assert {"id": waiting, "answer": None} in harness.news
    assert (
        "A view is four"
        in harness.ask(images["square"], kind="everything", search=3, after=0, visit=2, view=[1])["error"]
    )


def test_pictures_are_encoded_when_they_are_opened_the_next_ones_after_them(harness, images):
    harness.send(images["square"], kind="open", next=[images["disk"], images["broken"]])
    news = [harness.reports.get(timeout=60) for _ in range(6)]
    assert [(one["news"], one["image"]) for one in news] == [
        ("encoding", "square"), ("encoded", "square"), ("encoding", "disk"), ("encoded", "disk"), ("encoding", "broken"), ("broken", "broken"),
    ]  # fmt: skip
    assert "broken.png" in news[-1]["text"]
    harness.send(images["disk"], kind="open", visit=2)
    assert harness.reports.get(timeout=60) == {"news": "encoded", "image": "disk", "seconds": 0.0}


def test_an_answer_for_a_picture_that_was_left_is_dropped(harness, images):
    step = [{"point": [20, 20], "inside": True}]
    harness.send(images["square"], kind="open", visit=5)
    assert harness.ask(images["disk"], visit=4, steps=step)["answer"] is None
    assert harness.ask(images["square"], visit=5, steps=step)["answer"] is not None
    assert harness.ask(images["disk"], visit=1, tab="other", steps=step)["answer"] is not None


def test_of_several_places_under_the_pointer_the_last_one_is_answered(harness, images):
    harness.ask(images["disk"], steps=[{"point": [20, 20], "inside": True}])
    numbers = [harness.send(images["disk"], kind="hover", point=[x, 60]) for x in range(60, 90, 3)]
    answers = [harness.reply(number)["answer"] for number in numbers]
    assert answers[-1] is not None
    assert answers.count(None) >= 1


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"point": [500, 5], "inside": True}], "lies outside the image"),
        ([{"point": [5, 5], "inside": False}], "All points of this prompt are background"),
        ([{"point": [5]}], "A step is a point, a box or a mask"),
        ([{}], "A step is a point, a box or a mask"),
        ([{"box": "abcd"}], "A step is a point, a box or a mask"),
        ([{"box": [5, 5, 5, 9]}], "is empty"),
        ([{"mask": "??"}], "RLE: the runs cover"),
        ([5], "A step is a point, a box or a mask"),
    ],
)
def test_what_cannot_be_answered_is_said_and_costs_nothing_else(harness, images, steps, message):
    assert message in harness.ask(images["disk"], steps=steps)["error"]
    assert harness.ask(images["disk"], steps=[{"point": [80, 60], "inside": True}])["answer"]


def test_a_place_under_the_pointer_that_is_no_point_is_refused_as_a_step_is(harness, images):
    refused = harness.ask(images["disk"], kind="hover", point=[5])["error"]
    assert refused == harness.ask(images["disk"], steps=[{"point": [5]}])["error"]


def test_a_broken_picture_fails_alone(harness, images):
    assert "broken.png" in harness.ask(images["broken"], steps=[{"point": [1, 1], "inside": True}])["error"]
    missing = {"id": "gone", "name": "gone.png", "path": images["disk"]["path"] + ".gone"}
    assert "gone.png: cannot read the file" in harness.ask(missing, steps=[{"point": [1, 1], "inside": True}])["error"]
    assert harness.ask(images["disk"], steps=[{"point": [80, 60], "inside": True}])["answer"]


def test_tabs_have_sessions_of_their_own_and_old_ones_make_room(harness, images, monkeypatch):
    monkeypatch.setattr("sam2_adapter.label.model_worker.MOST_TABS", 2)
    step = [{"point": [80, 60], "inside": True}]
    answers = [harness.ask(images["disk"], tab=tab, steps=step)["answer"] for tab in ("a", "b", "c", "a")]
    assert answers == [answers[0]] * 4
    assert list(harness.worker._tabs) == ["c", "a"]


def test_ten_clicks_are_answered_as_evaluation_measures_them(harness, predictor, images):
    y, x = np.mgrid[:120, :160] + 0.5
    masks = [np.hypot(x - 80, y - 60) < 40, (np.abs(x - 40) < 25) & (np.abs(y - 30) < 12)]
    objects = tuple(Annotation.from_mask(mask, "a") for mask in masks)
    sample = Sample("disk", Path(images["disk"]["path"]), (120, 160), objects)
    settings = EvaluationSettings(max_clicks=10, stop_iou=2.0)
    measured = measure_image(predictor, sample, [0, 1], predictor.embed(sample.read_image()), "clicks", settings)
    for row, gt_mask in zip(measured, masks, strict=True):
        steps, ious, mask = [], [], None
        for _ in row.iou_by_click:
            clicked = np.array([step["point"] for step in steps], np.float32).reshape(-1, 2)
            click = evaluation_click(gt_mask, mask, clicked)
            steps.append({"point": [click.x, click.y], "inside": bool(click.label)})
            answer = harness.ask(images["disk"], steps=steps)["answer"]
            mask = rle_to_mask(Rle(answer["counts"], (120, 160)))
            ious.append(mask_iou(mask, gt_mask))
        assert len(ious) == 10
        assert ious == list(row.iou_by_click)


def test_pictures_are_scored_beside_the_clicks(harness, images):
    number = harness.send(images["disk"], kind="score", tab="", visit=0)
    click = harness.ask(images["square"], steps=[{"point": [80, 60], "inside": True}])
    assert "counts" in click["answer"]
    answer = harness.reply(number)["answer"]
    assert 0 <= answer["score"] <= 1
    assert len(answer["weights"]) == 64
    assert "broken.png" in harness.ask(images["broken"], kind="score", tab="", visit=0)["error"]
