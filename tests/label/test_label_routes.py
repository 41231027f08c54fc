"""Labels over HTTP."""

from __future__ import annotations

import pytest

from sam2_adapter.label.run import LabelSession
from sam2_adapter.label.server import LabelServer
from tests.conftest import disk_photo
from tests.label.asgi import request
from tests.label.test_server import HOSTILE, _counts


@pytest.fixture
def session(tmp_path):
    disk_photo().save(tmp_path / "disk.png")
    with LabelSession([tmp_path], labels=["cat", "dog"]) as session:
        session.work.change("disk.png", (120, 160), {"1": {"label": "cat", "counts": _counts()}})
        yield session


@pytest.fixture
def app(session):
    return LabelServer(session.title, session.pictures, session.work, session.exporter, {}).app


def _change(app, **change):
    return request(app, "POST", "/api/labels/change", {"tab": "t", **change})


def test_labels_are_renamed_and_restored_in_all_pictures(app, session):
    told = _change(app, kind="rename", label="cat", to=HOSTILE, id="r1").json
    assert (told["labels"], told["places"]) == ([HOSTILE, "dog"], [0, 1])
    assert session.work.objects_of("disk.png")["1"]["label"] == HOSTILE
    assert request(app, "GET", "/api/labels").json == {"uses": [{"label": HOSTILE, "objects": 1, "pictures": 1}]}
    again = _change(app, kind="rename", label="cat", to=HOSTILE, id="r1").json
    assert again == told  # a change that comes twice
    told = _change(app, kind="restore", id="r1").json
    assert (told["labels"], told["renamings"][0]["isRestored"]) == (["cat", "dog"], True)
    assert session.work.objects_of("disk.png")["1"]["label"] == "cat"


def test_a_label_goes_where_no_object_has_it(app):
    reply = _change(app, kind="remove", label="cat")
    assert (reply.status, reply.json["error"]) == (
        400,
        "labels: 1 object in 1 picture has the label 'cat'. Give it another label, then remove the label.",
    )
    assert _change(app, kind="remove", label="dog").json["labels"] == ["cat"]
    told = _change(app, kind="add", label="dog").json
    assert (told["labels"], told["places"]) == (["cat", "dog"], [0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "steal"}, "Labels are changed by add, rename, restore, remove, but got 'steal'"),
        ({"kind": "rename", "label": 5, "to": "x", "id": "r"}, "'label' is a label"),
        ({"kind": "rename", "label": "cat", "to": " ", "id": "r"}, "a text that is not empty"),
        ({"kind": "rename", "label": "none", "to": "x", "id": "r"}, "there is no label 'none' any more"),
        ({"kind": "rename", "label": "cat", "to": "cat", "id": "r"}, "called 'cat' already"),
        ({"kind": "rename", "label": "cat", "to": "x", "id": "../r"}, "the id of a renaming"),
        ({"kind": "restore", "id": "none"}, "no such renaming"),
    ],
)
def test_changes_that_cannot_be_made_are_refused(app, session, change, message):
    before = session.work.number
    reply = _change(app, **change)
    assert (reply.status, message in reply.json["error"], session.work.number) == (400, True, before)
