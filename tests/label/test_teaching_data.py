"""The accepted objects as a data set: what teaches, what checks, and that training reads just that."""

from __future__ import annotations

import os
import shutil

import pytest

from sam2_adapter.errors import ExportError, TrainingError
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.label.picture_work import PictureWork
from sam2_adapter.label.teaching_data import Accepted
from tests.label.taught import HW, accepted


def _accepted(session, min_area_px=16):
    return Accepted(session.work.snapshot(), session.pictures, min_area_px)


def _rows(samples):
    return [(sample.name, [(o.label, o.rle.counts) for o in sample.objects]) for sample in samples]


@pytest.mark.parametrize(
    ("pictures", "sentence", "warning"),
    [
        (
            1,
            "The model learns from 2 objects in 1 picture; 1 object of the same picture is kept to check it.",
            "All objects are in one",
        ),
        (
            2,
            "The model learns from 3 objects in 1 picture; 1 picture with 3 objects is kept to check it.",
            "3 objects to",
        ),
        (
            21,
            "The model learns from 51 objects in 17 pictures; 4 pictures with 12 objects are kept to check it.",
            "",
        ),
    ],
)
def test_what_was_shown_before_is_what_training_reads(tmp_path, pictures, sentence, warning):
    with accepted(tmp_path / "photos", pictures) as session:
        found = _accepted(session)
        split = found.split(0.2, 0)
        found.write(tmp_path / "data", split)
    assert split.sentence == sentence
    assert (split.warning[: len(warning)], bool(split.warning)) == (warning, bool(warning))
    read = load_dataset(tmp_path / "data", "coco", validation_share=0.2, seed=0)
    assert _rows(read.samples("train")) == _rows(split.training)
    assert _rows(read.samples("validation")) == _rows(split.validation)
    assert not read.left_out
    shown = split.shown()
    assert shown["train"] == {
        "images": len(split.training),
        "objects": sum(len(sample.objects) for sample in split.training),
    }


def test_pictures_are_second_names_or_copies_and_keep_their_names(tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    with accepted(folder, 2) as session:
        (folder / "sub").mkdir()
        split = _accepted(session).split(0.2, 0)
        _accepted(session).write(tmp_path / "links", split)
        monkeypatch.setattr(os, "link", _refuse)
        _accepted(session).write(tmp_path / "copies", split)
        with pytest.raises(ExportError, match="cannot write here"):
            _accepted(session).write(tmp_path / "copies", split)
    for name in ("disks0.png", "disks1.png"):
        assert os.path.samefile(tmp_path / "links" / "images" / name, folder / name)
        assert (tmp_path / "copies" / "images" / name).read_bytes() == (folder / name).read_bytes()
    assert not os.path.samefile(tmp_path / "copies" / "images" / "disks0.png", folder / "disks0.png")


def _refuse(*_):
    raise PermissionError


def test_hostile_and_equal_names_stay_apart(tmp_path):
    folder = tmp_path / "photos"
    session = accepted(folder, 1)
    session.close()
    names = ["a.png", "A.PNG", "a%2fb.png", "<img src=x onerror=alert(1)>.png", "ü/a.png"]
    (folder / "ü").mkdir()
    for name in names:
        shutil.copy(folder / "disks0.png", folder / name)
    with accepted(folder, 1) as session:
        objects = session.work.objects_of("disks0.png")
        for name in names:
            session.work.change(name, (96, 128), objects)
        found = _accepted(session)
        split = found.split(0.4, 0)
        found.write(tmp_path / "data", split)
    read = load_dataset(tmp_path / "data", "coco")
    assert {side: [sample.name for sample in read.samples(side)] for side in ("train", "validation")} == split.names
    assert not read.left_out
    assert len(split.training) + len(split.validation) == 6


def test_too_few_objects_are_refused_with_what_to_do(tmp_path):
    with accepted(tmp_path / "photos", 2, objects_in=0) as session:
        with pytest.raises(TrainingError, match=r"Nothing is accepted yet.*40 objects in 10 pictures"):
            _accepted(session).split(0.2, 0)
        session.work.change("disks0.png", (96, 128), {"o": _whole()})
        with pytest.raises(TrainingError, match="One accepted object is too few"):
            _accepted(session).split(0.2, 0)


def _whole():
    import numpy as np

    from sam2_adapter.annotations.rle import mask_to_rle

    return {"label": "disk", "counts": mask_to_rle(np.ones((96, 128), bool)).counts, "score": 1}


def test_small_objects_and_pictures_that_are_gone_are_left_out(tmp_path):
    folder = tmp_path / "photos"
    with accepted(folder, 3) as session:
        (folder / "disks2.png").unlink()
        work = {**session.work.snapshot(), "elsewhere.png": PictureWork((96, 128), {"o": _whole()})}
        found = Accepted(work, session.pictures, min_area_px=16)
        assert [len(sample.objects) for sample in found.samples] == [3, 3]
        assert Accepted(work, session.pictures, min_area_px=10_000).samples == []


def test_what_a_model_has_learned_from_never_checks_it_later(tmp_path):
    folder = tmp_path / "photos"
    with accepted(folder, 10, objects_in=6) as session:
        earlier = _accepted(session).split(0.2, 0).names
        with pytest.raises(TrainingError, match="Label another picture"):
            _accepted(session).split(0.2, 0, {"train": [*earlier["train"], *earlier["validation"]], "validation": []})
    with accepted(folder, 10) as session:
        later = _accepted(session).split(0.2, 0, earlier)
        names = later.names
        assert set(earlier["train"]) <= set(names["train"])
        assert set(earlier["validation"]) < set(names["validation"])
        assert sorted(names["train"] + names["validation"]) == sorted(s.name for s in _accepted(session).samples)
        in_both = {"train": ["images/disks0.png"], "validation": ["images/disks0.png"]}
        assert "images/disks0.png" in _accepted(session).split(0.2, 0, in_both).names["train"]


@pytest.mark.parametrize(
    ("views", "view_px"),
    [
        ([], None),
        ([None, None, None], None),
        ([[0, 0, 40, 30], None], None),
        ([[0, 0, 40, 30], [5, 5, 25, 55], [0, 0, 60, 60], None], 50),
        ([[0, 0, 4, 3]], 16),
        ([[0, 0, 40], ["0", 0, 90, 90], [0, 0, 44, 30], [0, 0, 44, 30], [0, 0, 44, 30]], 44),
    ],
)
def test_the_view_that_most_objects_were_answered_in_is_what_the_model_learns_from(tmp_path, views, view_px):
    with accepted(tmp_path / "photos", 2) as session:
        name = session.pictures[0].name
        shape = next(iter(session.work.objects_of(name).values()))
        for place, view in enumerate(views):
            first = {"point": [1, 1], "inside": True}
            steps = [first, first if view is None else {**first, "view": view}]
            session.work.change(name, HW, {f"view{place}": {**shape, "steps": steps}})
        split = _accepted(session).split(0.2, 0)
    assert split.view_px == view_px
    told = f"It sees parts of the pictures of {view_px} pixels, since most objects were answered in the visible window"
    assert (told in split.sentence) == (view_px is not None)
