"""`sam2-adapter label` as a command: what it refuses, what it exports without a page, and how it ends."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.cli import run
from sam2_adapter.label.run import LabelSession
from tests.label.pages import serving


@pytest.fixture
def labelled(photos):
    """A folder with one object in it."""
    with LabelSession([photos]) as session:
        entry = {"label": "disk", "counts": mask_to_rle(np.ones((120, 160), bool)).counts, "score": 0.5}
        session.work.change("disk.png", (120, 160), {"1": entry})
    return photos


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name a folder of pictures, as in `sam2-adapter label my_photos`."),
        (["{photos}", "--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines in"),
        (["{photos}", "--export", "xls"], "Unknown format 'xls'. The choices are coco, "),
        (["{photos}", "--export", "cocoa"], "Unknown format 'cocoa'. Did you mean 'coco'? The choices are coco, "),
    ],
)
def test_what_cannot_be_done_is_refused(photos, capsys, arguments, message):
    assert run(["label", *(argument.format(photos=photos) for argument in arguments)]) == 2
    assert message in capsys.readouterr().err
    assert not (photos / "labels").exists()


def test_what_was_labelled_is_exported_without_a_page(labelled, capsys):
    assert run(["label", str(labelled), "--export", "coco,masks", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["images"], told["objects"], sorted(told["exported"])) == (1, 1, ["coco", "masks"])
    document = json.loads((labelled / "labels" / "annotations.json").read_text())
    assert [category["name"] for category in document["categories"]] == ["disk"]
    assert run(["label", str(labelled), "--export", "polygons"]) == 0
    assert capsys.readouterr().out.strip() == str(labelled / "labels" / "polygons")


@pytest.mark.slow
def test_ctrl_c_ends_in_good_order_and_leaves_the_export(labelled):
    with serving(labelled, "--model", "sam2_nano") as server:
        assert server.url == f"http://127.0.0.1:{server.port}/?key=tokenOfTheTests"
        assert server.stop() == 0
    assert json.loads((labelled / "labels" / "annotations.json").read_text())["annotations"][0]["score"] == 0.5


def test_settings_of_teaching_are_checked_before_a_page_opens(photos, capsys):
    for setting, message in (
        ("num_epochs=0", "num_epochs"),
        ("epochs=3", "unknown"),
        ("blend=0.5", "teaching sets this itself"),
    ):
        assert run(["label", str(photos), "--set", setting, "--no-browser"]) == 2
        assert message.lower() in capsys.readouterr().err.lower()
