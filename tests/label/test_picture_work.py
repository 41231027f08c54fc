"""One picture: objects put and removed, and whether somebody has touched it."""

from __future__ import annotations

import pytest

from sam2_adapter.label.picture_work import MARKS, STATES, PictureWork, told_left_out

OBJECT = {"label": "car", "counts": "0", "score": 0.5}


def test_objects_are_put_and_removed_and_their_labels_told():
    work = PictureWork((3, 4))
    assert work.change({"a": dict(OBJECT), "b": {"label": "dog", "counts": "0"}, "c": {"label": 5}, "d": 7}) == [
        "car",
        "dog",
    ]
    assert work.objects == {"a": OBJECT, "b": {"label": "dog", "counts": "0", "score": 1.0}}
    assert work.change({"a": None, "none": None}) == []
    assert list(work.objects) == ["b"]


@pytest.mark.parametrize(
    ("changes", "is_touched"),
    [
        ([{"file-0": OBJECT, "file-1": OBJECT}], False),
        ([{}], False),
        ([{"file-0": OBJECT}, {"file-0": {**OBJECT, "label": "dog"}}], True),
        ([{"file-0": OBJECT}, {"file-0": None}, {"file-0": OBJECT}], True),
        ([{"file-0": OBJECT}, {"x": OBJECT}], True),
        ([{"x": OBJECT}], True),
        ([{"x": None}], True),
    ],
)
def test_what_was_read_from_files_is_no_work_of_a_person(changes, is_touched):
    work = PictureWork((3, 4))
    for change in changes:
        work.change(change)
    assert work.is_touched == is_touched


def test_a_copy_stays_as_it_is():
    work = PictureWork((3, 4))
    work.change({"a": dict(OBJECT)})
    copy = work.copy()
    work.change({"a": None})
    assert (copy.objects, copy.is_touched) == ({"a": OBJECT}, True)


def test_the_words_are_those_of_the_page():
    assert (MARKS, STATES) == (("done", "skipped", "open"), ("new", "progress", "done", "skipped"))


def test_pictures_without_an_object_that_nobody_finished_are_told():
    def work(*changes):
        made = PictureWork((3, 4))
        for change in changes:
            made.change(change)
        return made

    undone, full, from_file = work({"a": OBJECT}, {"a": None}), work({"a": OBJECT}), work({"file-0": OBJECT})
    assert told_left_out({"a": full, "b": from_file, "c": work()}, {}) == []
    assert told_left_out({"a": undone, "b": undone}, {"a": "done", "b": "skipped"}) == []
    assert told_left_out({"a": undone, "b": full, "c": undone, "d": full}, {"d": "skipped"}) == [
        "Left out: 1 object in 1 skipped picture.",
        "Left out: 2 pictures in progress without an object. Say Done (F) where there is nothing to label.",
    ]
