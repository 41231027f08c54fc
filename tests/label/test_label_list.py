"""The list of labels: every label keeps its place, and so its colour."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.colors import color_of_index
from sam2_adapter.label.label_list import LabelList


def _list(*labels):
    made = LabelList()
    made.add(labels)
    return made


def test_a_label_that_is_removed_leaves_the_places_of_the_others():
    labels = _list("a", "b", "c", "a")
    labels.remove("b")
    labels.remove("none")
    assert (labels.labels, labels.places, len(labels), "b" in labels) == (["a", "c"], [0, 2], 2, False)
    labels.add(["d"])
    assert (labels.labels, labels.places) == (["a", "c", "d"], [0, 2, 3])
    labels.add(["b"])  # back where it was
    assert (labels.labels, labels.places) == (["a", "b", "c", "d"], [0, 1, 2, 3])


def test_a_new_name_takes_the_place_of_the_old_one_and_a_known_one_keeps_its_own():
    labels = _list("a", "b", "c")
    labels.rename("a", "x")
    assert (labels.labels, labels.places) == (["x", "b", "c"], [0, 1, 2])
    labels.rename("x", "c")
    assert (labels.labels, labels.places) == (["b", "c"], [1, 2])
    labels.add(["x"])
    assert (labels.labels, labels.places) == (["x", "b", "c"], [0, 1, 2])
    labels.add(["a"])  # its place is taken by now
    assert (labels.labels, labels.places) == (["x", "b", "c", "a"], [0, 1, 2, 3])
    labels.rename("none", "y")
    assert labels.labels[-1] == "y"


def test_a_label_comes_back_to_a_place_that_is_free():
    labels = _list("a", "b", "c")
    assert (labels.place_of("b"), labels.place_of("none")) == (1, None)
    labels.remove("b")
    labels.put_back("d", 1)
    labels.put_back("b", 1)
    labels.put_back("e", None)
    labels.put_back("a", 2)  # it is there
    assert (labels.labels, labels.places) == (["a", "d", "c", "b", "e"], [0, 1, 2, 3, 4])


_NAMES = st.sampled_from("abcd")
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), _NAMES),
        st.tuples(st.just("remove"), _NAMES),
        st.tuples(st.just("rename"), _NAMES, _NAMES),
    )
)


@given(_STEPS)
def test_whatever_happens_no_label_changes_its_place_without_being_renamed(steps):
    labels = LabelList()
    for kind, *names in steps:
        before = dict(zip(labels.labels, labels.places, strict=True))
        labels.add(names) if kind == "add" else getattr(labels, kind)(*names)
        after = dict(zip(labels.labels, labels.places, strict=True))
        assert len(after) == len(labels) == len(labels.places)
        for label in before.keys() & after.keys():
            assert after[label] == before[label]
        if kind == "rename" and names[0] in before and names[1] not in before:
            assert after[names[1]] == before[names[0]]


def test_a_label_keeps_its_colour():
    labels = _list("a", "b", "c")
    labels.remove("b")
    assert labels.colors == {"a": color_of_index(0), "c": color_of_index(2)}
    assert list(labels.colors) == labels.labels
