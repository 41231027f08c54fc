"""The addresses of the page, without a model: what they give, and what they refuse."""

from __future__ import annotations

import json
import re

import pytest

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.errors import ExportError
from sam2_adapter.label.run import LabelSession
from sam2_adapter.label.server import LabelServer
from tests.conftest import disk_photo
from tests.label.asgi import request
from tests.label.test_export import _files

HOSTILE = '<img src=x onerror="alert(1)">\'"&amp;.png'
EXPORTED = r"export (?:async )?(?:function\*? |const |class |let )(\w+)"
OBJECT = {"label": "<script>alert(1)</script>", "score": 0.5}


@pytest.fixture
def session(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    disk_photo().save(folder / "disk.png")
    disk_photo().save(folder / HOSTILE)
    (folder / "broken.png").write_bytes(b"no picture")
    (tmp_path / "secret.png").write_bytes((folder / "disk.png").read_bytes())
    with LabelSession([folder], labels=["car"]) as session:
        yield session


@pytest.fixture
def app(session):
    return LabelServer(session.title, session.pictures, session.work, session.exporter, {}, ["A note."]).app


def _ids(app):
    return {image["name"]: image["id"] for image in request(app, "GET", "/api/session").json["images"]}


def _counts():
    import numpy as np

    y, x = np.mgrid[:120, :160]
    return mask_to_rle((x - 80) ** 2 + (y - 60) ** 2 < 900).counts


def test_a_session_is_told_with_names_as_they_are(app, session):
    told = request(app, "GET", "/api/session").json
    assert (told["title"], told["labels"], told["notes"], told["model"]["state"]) == (
        "photos",
        ["car"],
        ["A note."],
        "loading",
    )
    assert [image["name"] for image in told["images"]] == [HOSTILE, "broken.png", "disk.png"]
    assert told["output"] == str(session.directory)
    assert told["palette"][0] == "#ff424f"


def test_the_files_of_the_page_are_there_and_no_others(app):
    assert request(app, "GET", "/").headers["content-type"] == "text/html; charset=utf-8"
    assert request(app, "GET", "/page/main.js").headers["content-type"] == "text/javascript; charset=utf-8"
    page = request(app, "GET", "/").body.decode()
    assert "style=" not in page
    assert "<script>" not in page
    assert "http" not in page
    modules = re.findall(r'rel="modulepreload" href="(/page/[a-z_]+\.js)"', page)
    assert {"/page/main.js", "/page/rle.js"} <= set(modules)
    assert [request(app, "GET", path).status for path in modules] == [200] * len(modules)
    for path in (
        "/page/none.js",
        "/page/../server.py",
        "/page/..%2fserver.py",
        "/page/%2e%2e/server.py",
        "/page//etc/passwd",
        "/page/",
    ):
        assert request(app, "GET", path).status == 404


def test_the_modules_of_the_page_give_each_other_what_they_import(app):
    page = request(app, "GET", "/").body.decode()
    names = re.findall(r'rel="modulepreload" href="/page/([a-z_]+\.js)"', page)
    sources = {name: request(app, "GET", f"/page/{name}").body.decode() for name in names}
    gives = {name: set(re.findall(EXPORTED, source)) for name, source in sources.items()}
    missing = [
        (name, given, other)
        for name, source in sources.items()
        for listed, other in re.findall(r'import \{([^}]*)\} from "\./([\w.]+)"', source)
        for given in (entry.split(" as ")[0].strip() for entry in listed.split(","))
        if given and given not in gives[other]
    ]
    assert missing == []


def test_pictures_are_ids(app, tmp_path):
    ids = _ids(app)
    for what in ("", "/overview", "/thumbnail"):
        assert request(app, "GET", f"/api/images/{ids['disk.png']}{what}").status == 200
        for name in (
            "disk.png",
            "../../secret.png",
            "..%2f..%2fsecret.png",
            str(tmp_path / "secret.png"),
            "0" * 16,
            "",
            "%00",
        ):
            assert request(app, "GET", f"/api/images/{name}{what}").status == 404
    assert request(app, "GET", f"/api/images/{ids['disk.png']}/tiles/0/0").status == 200
    assert request(app, "GET", f"/api/images/{ids['disk.png']}/tiles/9/0").status == 404
    assert request(app, "GET", f"/api/images/{ids['disk.png']}/tiles/-1/0").status == 404


def test_a_broken_picture_is_named_and_fails_alone(app):
    broken = _ids(app)["broken.png"]
    for what in ("", "/overview", "/thumbnail"):
        reply = request(app, "GET", f"/api/images/{broken}{what}")
        assert reply.status == 404
        assert reply.json["error"].startswith("broken.png: ")


def test_what_is_accepted_is_on_disk_when_the_page_hears_so(app, session):
    ids = _ids(app)
    change = {"tab": "t", "changes": {"1": {**OBJECT, "counts": _counts()}, "2": None}}
    reply = request(app, "POST", f"/api/images/{ids[HOSTILE]}/changes", change)
    assert (reply.status, reply.json["count"], reply.json["labels"]) == (200, 1, ["car", OBJECT["label"]])
    assert (reply.json["places"], reply.json["state"]) == ([0, 1], "progress")
    assert OBJECT["label"] in (session.directory / "journal.jsonl").read_text().splitlines()[-1]
    shown = request(app, "GET", f"/api/images/{ids[HOSTILE]}").json
    assert (shown["width"], shown["height"], shown["objects"]) == (160, 120, {"1": {**OBJECT, "counts": _counts()}})


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"no json", 400, "A request is one JSON object."),
        (b"[" * 100_000, 400, "A request is one JSON object."),
        ([], 400, "A request is one JSON object."),
        ({"tab": "t"}, 400, "'changes' are ids with an object or null each."),
        ({"tab": "t", "changes": {"1": {"label": "a", "counts": "?"}}}, 400, "disk.png: 1"),
        ({"tab": "t", "changes": {"../1": None}}, 400, "the id of an object"),
        (b'{"x": "' + b"y" * 2**24 + b'"}', 400, "at most 16,777,216 bytes"),
    ],
)
def test_changes_that_cannot_be_used_are_refused(app, body, status, message):
    reply = request(app, "POST", f"/api/images/{_ids(app)['disk.png']}/changes", body)
    assert (reply.status, message in reply.json["error"] or "RLE" in reply.json["error"]) == (status, True)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "ask",
            {"tab": "t", "visit": 1, "kind": "steal", "steps": []},
            "click, candidates, hover, look, everything, stop, but got 'steal'",
        ),
        ("ask", {"tab": 5, "visit": 1, "kind": "click", "steps": []}, "'tab' is a short text"),
        ("ask", {"tab": "t", "visit": "1", "kind": "click", "steps": []}, "'visit' is a whole number"),
        ("ask", {"tab": "t", "visit": -1, "kind": "click", "steps": []}, "'visit' is a whole number"),
        ("ask", {"tab": "t", "visit": 1, "kind": "click", "steps": {}}, "'steps' is a list"),
        ("ask", {"tab": "t", "visit": 1, "kind": "click", "steps": [0] * 1001}, "'steps' is a list"),
        ("open", {"tab": "x" * 81, "visit": 1}, "'tab' is a short text"),
    ],
)
def test_questions_of_another_form_are_refused(app, path, body, message):
    reply = request(app, "POST", f"/api/images/{_ids(app)['disk.png']}/{path}", body)
    assert (reply.status, message in reply.json["error"]) == (400, True)


def _segmentation(session):
    return json.loads((session.directory / "annotations.json").read_text())["annotations"][0]["segmentation"]


def test_labels_and_exports(app, session):
    assert request(app, "POST", "/api/labels", {"labels": ["dog", "car"]}).json["labels"] == ["car", "dog"]
    assert request(app, "POST", "/api/labels", {"labels": [""]}).status == 400
    assert request(app, "POST", "/api/export", {"formats": ["xls"]}).status == 400
    change = {"tab": "t", "changes": {"1": {**OBJECT, "counts": _counts()}}}
    request(app, "POST", f"/api/images/{_ids(app)['disk.png']}/changes", change)
    done = request(app, "POST", "/api/export", {"formats": ["coco", "masks"]}).json
    odd = request(app, "POST", "/api/export", {"formats": ["coco"], "output_type": "dots"})
    assert (odd.status, "mask or polygon, but got 'dots'" in odd.json["error"]) == (400, True)
    assert isinstance(_segmentation(session), dict)
    request(app, "POST", "/api/export", {"formats": ["coco"], "output_type": "polygon"})
    assert isinstance(_segmentation(session), list)
    assert (done["images"], done["objects"], [path["format"] for path in done["paths"]]) == (1, 1, ["coco", "masks"])
    assert {"annotations.json", "masks/disk.png"} <= set(_files(session.directory))
    categories = json.loads((session.directory / "annotations.json").read_text())["categories"]
    assert [category["name"] for category in categories] == ["car", "dog", OBJECT["label"]]


def test_a_full_disk_is_said_and_nothing_is_taken_for_saved(app, session, monkeypatch):
    def full(line):
        raise ExportError("journal.jsonl: cannot write the change: No space left on device.")

    monkeypatch.setattr(session.work._journal, "append", full)
    change = {"tab": "t", "changes": {"1": {**OBJECT, "counts": _counts()}}}
    reply = request(app, "POST", f"/api/images/{_ids(app)['disk.png']}/changes", change)
    assert (reply.status, "No space left" in reply.json["error"]) == (507, True)
    assert request(app, "GET", f"/api/images/{_ids(app)['disk.png']}").json["objects"] == {}
