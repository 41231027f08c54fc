"""The report page: complete in itself, with texts as texts."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.errors import OutputExistsError
from sam2_adapter.label.run import LabelSession
from tests.conftest import disk_photo
from tests.label.test_server import HOSTILE, _counts


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", HOSTILE):
        disk_photo().save(folder / name)
    (folder / "broken.png").write_bytes(b"no picture")
    with LabelSession([folder], labels=["cat", "<b>dog</b>"]) as session:
        session.work.change("a.png", (120, 160), {"1": {"label": "cat", "counts": _counts(), "score": 0.25}})
        session.work.change("a.png", (120, 160), {"2": {"label": "<b>dog</b>", "counts": _counts(), "score": 0.5}})
        other = mask_to_rle(np.ones((9, 9), bool)).counts
        session.work.change("broken.png", (9, 9), {"1": {"label": "cat", "counts": other, "score": 0.75}})
        session.work.mark("a.png", (120, 160), "done")
        session.work.mark(HOSTILE, (120, 160), "skipped")
    return folder


def test_the_report_has_figures_states_and_objects_and_loads_nothing(folder):
    with LabelSession([folder]) as session:
        done = session.export(["report", "coco"], {"name": "sam2_nano"})
        text = done.paths["report"].read_text()
        assert done.paths["report"] == session.directory / "report.html"
    assert "3 objects in 3 pictures; 1 done, 1 skipped." in text
    cat = re.search(r"</i>cat</td>(.*?)</tr>", text)[1]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", cat) == ["2", "2", "1,445", "0.50", "", "0", "2"]
    assert re.findall(r"<b>(\d)</b><span>([a-z ]+), (\d+) %", text) == [
        ("0", "new", "0"),
        ("1", "in progress", "33"),
        ("1", "done", "33"),
        ("1", "skipped", "33"),
    ]
    assert text.count("data:image/jpeg;base64,") == 2  # the broken picture shows nothing
    assert "&lt;b&gt;dog&lt;/b&gt;" in text
    assert "<b>dog" not in text
    assert "<img src=x" not in text
    loaded = re.findall(r"<[^>]*\b(?:src|href)=[\"']?([^\"'> ]*)", text)
    assert all(address.startswith("data:image/jpeg") for address in loaded)
    assert not re.search(r"<script|@import|url\(|<link", text)
    assert "sam2_nano" in text


def test_painted_masks_and_those_of_files_without_scores_have_none_in_the_report(tmp_path):
    disk_photo().save(tmp_path / "a.png")
    painted = {"counts": _counts(), "score": 1.0, "steps": [{"mask": _counts(), "painted": True}]}
    objects = {
        "1": {"label": "cat", **painted},
        "2": {"label": "cat", "counts": _counts(), "score": 0.25},
        "3": {"label": "dog", **painted},
        "4": {"label": "cat", "counts": _counts(), "score": None},
    }
    with LabelSession([tmp_path], labels=["cat", "dog"]) as session:
        session.work.change("a.png", (120, 160), objects)
        text = session.export(["report"]).paths["report"].read_text()
    assert re.findall(r"<b>([^<]*)</b> a\.png", text) == ["0.25", "painted", "no score", "painted"]
    rows = [
        re.findall(r"<td[^>]*>([^<]*)</td>", re.search(rf"</i>{label}</td>(.*?)</tr>", text)[1])
        for label in ("cat", "dog")
    ]
    assert [(row[3], row[5]) for row in rows] == [("0.25", "1"), ("", "1")]


def test_a_report_replaces_its_own_and_no_others(folder):
    with LabelSession([folder]) as session:
        first = session.export(["report"]).paths["report"].read_text()
        session.work.mark("broken.png", None, "skipped")
    with LabelSession([folder]) as session:
        second = session.export(["report"]).paths["report"].read_text()
        assert first != second
        (session.directory / "report.html").write_text("edited by hand")
    with LabelSession([folder]) as session:
        session.export(["report"])
        kept = [path.read_text() for path in session.directory.glob("report*") if path.name != "report.html"]
        assert kept == ["edited by hand"]


def test_a_file_of_somebody_else_is_not_replaced(tmp_path):
    disk_photo().save(tmp_path / "a.png")
    with LabelSession([tmp_path]) as session:
        (session.directory / "report.html").write_text("mine")
        with pytest.raises(OutputExistsError, match=r"report\.html: this file is in the way"):
            session.export(["report"])
        assert (session.directory / "report.html").read_text() == "mine"
