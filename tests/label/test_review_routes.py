"""The review over HTTP."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from sam2_adapter.label import review_routes
from sam2_adapter.label.cutouts import CUTOUT_PX
from sam2_adapter.label.run import LabelSession
from sam2_adapter.label.server import LabelServer
from tests.conftest import disk_photo
from tests.label.asgi import request
from tests.label.test_server import HOSTILE, _counts, _ids


@pytest.fixture
def session(tmp_path):
    for name in ("a.png", HOSTILE):
        disk_photo().save(tmp_path / name)
    with LabelSession([tmp_path], labels=["cat", "dog"]) as session:
        for number, name in enumerate(("a.png", HOSTILE, "gone.png")):
            entry = {"label": "cat", "counts": _counts(), "score": 0.5 + number / 10}
            session.work.change(name, (120, 160), {f"{number}": entry})
        yield session


@pytest.fixture
def app(session):
    return LabelServer(session.title, session.pictures, session.work, session.exporter, {}).app


def test_figures_and_objects_are_told_part_by_part(app, monkeypatch):
    monkeypatch.setattr(review_routes, "PAGE_OBJECTS", 2)
    told = request(app, "GET", "/api/review?order=-score").json
    assert [(row["label"], row["num_objects"]) for row in told["labels"]] == [("cat", 3), ("dog", 0)]
    assert [(one["name"], one["id"], one["score"]) for one in told["objects"]] == [
        ("gone.png", "2", 0.7),
        (HOSTILE, "1", 0.6),
    ]
    assert (told["total"], told["objects"][0]["image"], told["objects"][1]["image"]) == (3, "", _ids(app)[HOSTILE])
    rest = request(app, "GET", "/api/review?order=-score&start=2").json
    assert [one["id"] for one in rest["objects"]] == ["0"]
    assert request(app, "GET", "/api/review?label=dog").json["total"] == 0
    assert request(app, "GET", "/api/review?label=").json["total"] == 0


def test_objects_are_cut_out_in_a_bounded_size(app, session):
    image = _ids(app)["a.png"]
    reply = request(app, "GET", f"/api/images/{image}/objects/0/cutout?v=1")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(reply.body)) as picture:
        assert max(picture.size) <= CUTOUT_PX
    assert request(app, "GET", f"/api/images/{image}/objects/0/cutout").body == reply.body
    session.work.rename_label("cat", "dog", "r")  # another colour
    assert request(app, "GET", f"/api/images/{image}/objects/0/cutout").body != reply.body
    for key in ("1", "none", "..%2f0"):
        assert request(app, "GET", f"/api/images/{image}/objects/{key}/cutout").status == 404


@pytest.mark.parametrize(
    ("query", "message"), [("order=odd", "but got 'odd'"), ("start=-1", "'start' is a whole number")]
)
def test_questions_of_another_form_are_refused(app, query, message):
    reply = request(app, "GET", f"/api/review?{query}")
    assert (reply.status, message in reply.json["error"]) == (400, True)
