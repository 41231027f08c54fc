"""The addresses of teaching, without a process: what they give, and what they refuse."""

from __future__ import annotations

import pytest

from sam2_adapter.label.server import LabelServer
from tests.label.asgi import request
from tests.label.taught import QUICK, accepted


@pytest.fixture
def app(tmp_path):
    with accepted(tmp_path / "photos", 2) as session:
        parts = session.title, session.pictures, session.work, session.exporter
        yield LabelServer(*parts, {"model": "sam2_nano"}, [], QUICK).app


def test_how_things_are_and_what_would_be_taught(app):
    told = request(app, "GET", "/api/teaching").json
    assert (told["state"], told["runs"], told["inUse"], told["numEpochs"]) == (
        "idle",
        [],
        {"run": None, "share": 1.0},
        2,
    )
    split = request(app, "GET", "/api/teaching/split?from=first").json
    assert split["sentence"].startswith("The model learns from 3 objects in 1 picture; 1 picture with 3 objects")


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("start", {"epochs": -1}, "'epochs' is a whole number."),
        ("start", {"epochs": 0}, "num_epochs"),
        ("resume", {}, "'run' is a short text."),
        ("resume", {"run": "../run1"}, "There is no model '../run1'"),
        ("stop", {}, "Nothing is being taught."),
        ("use", {"run": "run1", "share": 2}, "'share' is a number from 0 to 1."),
        ("use", {"run": "run1", "share": 0.5}, "There is no model 'run1'"),
        ("use", b"no json", "A request is one JSON object."),
    ],
)
def test_what_cannot_be_is_refused_in_words(app, path, body, message):
    reply = request(app, "POST", f"/api/teaching/{path}", body)
    assert reply.status == 400
    assert message in reply.json["error"]
    assert request(app, "GET", f"/api/teaching/{path}").status == 405
