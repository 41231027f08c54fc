"""The queue over HTTP."""

from __future__ import annotations

import pytest

from sam2_adapter.label.run import LabelSession
from sam2_adapter.label.server import LabelServer
from tests.conftest import disk_photo
from tests.label.asgi import request
from tests.label.test_server import _counts, _ids


@pytest.fixture
def session(tmp_path):
    for name in "abc":
        disk_photo().save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with LabelSession([tmp_path], labels=["car"]) as session:
        yield session


@pytest.fixture
def app(session):
    return LabelServer(session.title, session.pictures, session.work, session.exporter, {}).app


def _mark(app, name, mark):
    return request(app, "POST", f"/api/images/{_ids(app)[name]}/mark", {"tab": "t", "mark": mark})


def _states(app):
    return {one["name"]: one["state"] for one in request(app, "GET", "/api/session").json["images"]}


def _shown(app, query):
    names = {key: name for name, key in _ids(app).items()}
    ids = request(app, "GET", f"/api/queue?{query}").json["ids"]
    return ids and [names[key] for key in ids]


def test_pictures_are_marked_and_chosen(app, session):
    reply = _mark(app, "a.png", "done")
    assert (reply.status, reply.json["state"], reply.json["count"]) == (200, "done", 0)
    assert _mark(app, "broken.png", "skipped").json["state"] == "skipped"
    change = {"tab": "t", "changes": {"1": {"label": "car", "counts": _counts()}}}
    request(app, "POST", f"/api/images/{_ids(app)['b.png']}/changes", change)
    assert _states(app) == {"a.png": "done", "b.png": "progress", "broken.png": "skipped", "c.png": "new"}
    assert _shown(app, "filter=all") is None
    assert [_shown(app, f"filter={state}") for state in ("new", "progress", "done", "skipped")] == [
        ["c.png"],
        ["b.png"],
        ["a.png"],
        ["broken.png"],
    ]
    assert (_shown(app, "filter=label&label=car"), _shown(app, "filter=label&label=none")) == (["b.png"], [])
    assert _mark(app, "a.png", "open").json["state"] == "new"


def test_the_least_certain_come_first_and_then_those_without_a_score(session, app):
    by_name = {picture.name: picture for picture in session.pictures}
    server = LabelServer(session.title, session.pictures, session.work, session.exporter, {}, scores=session.scores)
    server.model.model = {"weights": "one"}
    server.model._set_state("failed", "There is no model.")  # nothing is scored meanwhile
    for name, score in (("a.png", 0.9), ("c.png", 0.2)):
        session.scores.put("one", by_name[name], score)
    _mark(app, "c.png", "done")
    reply = request(server.app, "GET", "/api/queue?order=score").json
    names = {picture.id: picture.name for picture in session.pictures}
    assert [names[key] for key in reply["ids"]] == ["c.png", "a.png", "b.png", "broken.png"]
    assert {names[key]: score for key, score in reply["scores"].items()} == {"a.png": 0.9, "c.png": 0.2}
    reply = request(server.app, "GET", "/api/queue?order=score&filter=new").json
    assert [names[key] for key in reply["ids"]] == ["a.png", "b.png", "broken.png"]
    assert request(server.app, "GET", "/api/queue/scores").json["total"] == 3


def test_what_cannot_be_marked_or_chosen_is_refused(app):
    reply = _mark(app, "broken.png", "done")
    assert (reply.status, "cannot be done. Skip it." in reply.json["error"]) == (400, True)
    assert "done, skipped, open, but got 'best'" in _mark(app, "a.png", "best").json["error"]
    assert "but got 'odd'" in request(app, "GET", "/api/queue?filter=odd").json["error"]
    assert "name or score, but got 'odd'" in request(app, "GET", "/api/queue?order=odd").json["error"]
    assert request(app, "POST", "/api/images/none/mark", {"tab": "t", "mark": "done"}).status == 404
