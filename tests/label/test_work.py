"""What was labelled: changes that may come twice, and the same work after every restart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_adapter.annotations.colors import PALETTE
from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.errors import DataError, ExportError
from sam2_adapter.label.work import MOST_LABELS, Work

HW = (3, 4)
COUNTS = mask_to_rle(np.ones(HW, bool)).counts


def _object(label="car", score=0.5):
    return {"label": label, "counts": COUNTS, "score": score}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def _again(work, path):
    work.close()
    return Work(path)


def test_objects_are_put_replaced_and_removed_and_are_there_after_a_restart(path):
    work = Work(path)
    assert work.is_new
    work.change("a.jpg", HW, {"1": _object(), "2": _object("dog")})
    work.change("a.jpg", HW, {"1": _object("bus"), "2": None, "3": None})
    work.change("a.jpg", HW, {"1": _object("bus")})
    work.change("b/ü.jpg", HW, {"x": _object("cat")})
    for _ in range(2):
        assert work.objects_of("a.jpg") == {"1": _object("bus")}
        assert work.counts() == {"a.jpg": 1, "b/ü.jpg": 1}
        assert work.labels == ["car", "dog", "bus", "cat"]
        assert work.objects_of("other.jpg") == {}
        work = _again(work, path)
        assert not work.is_new
    work.close()


def test_the_mask_that_was_painted_is_in_the_journal_once_and_older_journals_are_read(path):
    other = mask_to_rle(np.arange(12).reshape(HW) > 4).counts
    steps = [{"mask": other}, {"mask": COUNTS, "painted": True}, {"point": [1, 2], "inside": True}]
    work = Work(path)
    work.change("a.jpg", HW, {"1": {**_object(), "steps": steps}})
    for _ in range(2):
        assert work.objects_of("a.jpg")["1"]["steps"] == steps
        work = _again(work, path)
    work.close()
    assert path.read_text().count(json.dumps(COUNTS)) == 1
    older = {"image": "a.jpg", "hw": list(HW), "changes": {"1": {**_object("bus"), "steps": steps}}}
    with path.open("a") as file:
        file.write(json.dumps(older) + "\n")
    work = Work(path)
    assert work.objects_of("a.jpg")["1"] == {**_object("bus"), "steps": steps}
    work.close()


def test_changes_of_which_one_cannot_be_used_change_nothing(path):
    work = Work(path)
    before, size = work.number, path.stat().st_size
    for changes, message in [
        ({"1": _object(), "2": _object("")}, "a.jpg: 2: a label is a text"),
        ({"../x": _object()}, "the id of an object is up to 64 letters"),
        ({"": None}, "the id of an object"),
        ({"é": None}, "the id of an object"),
    ]:
        with pytest.raises(DataError, match=message):
            work.change("a.jpg", HW, changes)
    assert (work.objects_of("a.jpg"), work.number, path.stat().st_size) == ({}, before, size)
    work.close()


def test_a_change_that_cannot_be_written_is_not_made(path, monkeypatch):
    work = Work(path)
    work.change("a.jpg", HW, {"1": _object()})

    def refuse(line):
        raise ExportError("full")

    monkeypatch.setattr(work._journal, "append", refuse)
    for change in (lambda: work.change("a.jpg", HW, {"1": None}), lambda: work.add_labels(["new"])):
        with pytest.raises(ExportError, match="full"):
            change()
    assert work.objects_of("a.jpg") == {"1": _object()}
    assert work.labels == ["car"]
    work.close()


def test_labels_keep_their_places(path):
    work = Work(path)
    assert work.add_labels([" b ", "a", "b"]) == ["b", "a"]
    work.change("a.jpg", HW, {"1": _object("c")})
    assert work.add_labels(["a", "d"]) == ["b", "a", "c", "d"]
    work = _again(work, path)
    assert work.labels == ["b", "a", "c", "d"]
    with pytest.raises(DataError, match="at most 1,000 labels"):
        work.add_labels(map(str, range(1000)))
    work.close()


def test_there_is_a_limit_to_the_objects_of_a_picture(path, monkeypatch):
    monkeypatch.setattr("sam2_adapter.label.work.MOST_OBJECTS", 2)
    work = Work(path)
    work.change("a.jpg", HW, {"1": _object(), "2": _object()})
    with pytest.raises(DataError, match="at most 2 objects"):
        work.change("a.jpg", HW, {"3": _object()})
    work.change("a.jpg", HW, {"1": _object("bus")})
    work.close()


def test_states_follow_from_marks_and_changes_and_are_there_after_a_restart(path):
    work = Work(path)
    work.take_over("file.jpg", HW, [_object()])
    work.mark("done.jpg", HW, "done")
    work.mark("broken.jpg", None, "skipped")
    work.change("edited.jpg", HW, {"1": _object()})
    work.mark("edited.jpg", HW, "done")
    work.change("edited.jpg", HW, {"1": None})  # stays done
    work.change("skipped.jpg", HW, {"1": _object()})
    work.mark("skipped.jpg", HW, "skipped")
    work.change("skipped.jpg", HW, {"2": None})  # stays skipped
    work.mark("back.jpg", HW, "done")
    work.mark("back.jpg", HW, "open")
    for _ in range(2):
        names = ("file", "done", "broken", "edited", "skipped", "back", "none")
        states = {name: work.state_of(f"{name}.jpg") for name in names}
        assert states == {
            "file": "new",
            "done": "done",
            "broken": "skipped",
            "edited": "done",
            "skipped": "skipped",
            "back": "new",
            "none": "new",
        }
        # What is done has no objects where there are none; what is skipped is left out, and so is what nobody has worked on.
        assert {name: len(known.objects) for name, known in work.snapshot().items()} == {
            "file.jpg": 1,
            "done.jpg": 0,
            "edited.jpg": 0,
        }
        assert work.left_out() == ["Left out: 1 object in 1 skipped picture."]
        work = _again(work, path)
    work.change("undone.jpg", HW, {"4": _object()})
    work.change("undone.jpg", HW, {"4": None})  # nobody has said that it shows nothing
    assert (work.state_of("undone.jpg"), "undone.jpg" in work.snapshot()) == ("progress", False)
    assert work.left_out()[1].startswith("Left out: 1 picture in progress without an object.")
    work.mark("undone.jpg", HW, "done")
    assert (work.snapshot()["undone.jpg"].objects, len(work.left_out())) == ({}, 1)
    work.change("skipped.jpg", HW, {"3": _object()})  # whoever labels it does not skip it
    assert (work.state_of("skipped.jpg"), work.left_out()) == ("progress", [])
    work.close()


def test_labels_are_renamed_merged_restored_and_removed_by_one_line_each(path):
    work = Work(path)
    work.add_labels(["cat", "dog", "bird"])
    work.change("a.jpg", HW, {"1": _object("cat"), "2": _object("dog")})
    work.change("b.jpg", HW, {"1": _object("cat")})
    lines = path.read_text().count("\n")
    work.rename_label("cat", " tiger ", "r1")
    work.rename_label("cat", "tiger", "r1")  # the same once more
    work.rename_label("tiger", "dog", "r2")
    work.remove_label("bird")
    work.remove_label("bird")
    assert path.read_text().count("\n") == lines + 3
    for _ in range(2):
        assert (work.labels, work.label_places) == (["dog"], [1])
        assert work.label_uses() == {"dog": (3, 2)}
        assert work.pictures_with("dog") == {"a.jpg", "b.jpg"}
        assert [(one.old, one.new, one.is_merge) for one in work.renamings.values()] == [
            ("cat", "tiger", False),
            ("tiger", "dog", True),
        ]
        work = _again(work, path)
    work.restore_label("r2")
    assert (work.labels, work.label_uses()) == (["tiger", "dog"], {"tiger": (2, 2), "dog": (1, 1)})
    work.restore_label("r1")
    work.restore_label("r1")
    work.rename_label("cat", "tiger", "r1")  # redo
    work.restore_label("r1")
    for _ in range(2):
        assert (work.labels, work.label_places) == (["cat", "dog"], [0, 1])
        assert work.objects_of("a.jpg") == {"1": _object("cat"), "2": _object("dog")}
        work = _again(work, path)
    with pytest.raises(DataError, match="2 objects in 2 pictures have the label 'cat'"):
        work.remove_label("cat")
    work.close()


def test_lines_of_another_kind_are_passed_over(path):
    Work(path).close()
    with path.open("a") as file:
        file.write('{"image": 5, "hw": [3, 4], "changes": {}}\n{"image": "a", "hw": [3], "changes": {"1": {}}}\n')
        file.write(
            '{"image": "a", "state": "best"}\n{"rename": "x", "to": 5, "id": "r"}\n{"restore": "none"}\n{"remove": 5}\n'
        )
        file.write('{"labels": [5, "ok"]}\n{"image": "a", "hw": [3, 4], "changes": {"1": {"label": 1}, "2": 5}}\n')
    work = Work(path)
    assert (work.labels, work.counts()) == (["ok"], {"a": 0})
    work.close()


_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.dictionaries(st.sampled_from("123"), st.sampled_from(["car", "dog", None]), min_size=1),
    ),
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(changes=_CHANGES, cut=st.integers(0, 40))
def test_a_journal_cut_off_anywhere_gives_the_work_up_to_there(tmp_path_factory, changes, cut):
    path = tmp_path_factory.mktemp("work") / "journal.jsonl"
    work = Work(path)
    states = [(path.stat().st_size, work.snapshot())]
    for name, labels in changes:
        work.change(name, HW, {key: label and _object(label) for key, label in labels.items()})
        states.append((path.stat().st_size, work.snapshot()))
    work.close()
    content = path.read_bytes()
    end = max(states[0][0], len(content) - cut)
    path.write_bytes(content[:end])
    work = Work(path)
    assert work.snapshot() == [state for size, state in states if size <= end][-1]
    work.close()


def test_a_data_set_gives_its_labels_in_its_order_as_they_are(tmp_path):
    work = Work(tmp_path / "journal")
    work.add_labels(["b"])
    work.begin_with(["a ", "b", "c", "a "], {"c"})
    work.begin_with([f"{number}" for number in range(MOST_LABELS)], {"7", "3"})
    work.begin_with([], {})
    expected = ["b", "a ", "c", "3", "7"]
    assert work.labels == expected
    assert list(work.label_colors.items())[:2] == [("b", PALETTE[0]), ("a ", PALETTE[1])]
    work.close()
    later = Work(tmp_path / "journal")
    assert later.labels == expected
    later.close()
