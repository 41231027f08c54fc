"""Other names of labels: in all pictures, and exactly back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.label.label_list import LabelList
from sam2_adapter.label.picture_work import PictureWork
from sam2_adapter.label.renamings import Renamings


def _session(**pictures):
    """Pictures of objects by their labels: a="cat dog" has the objects 0 and 1."""
    labels, made = LabelList(), {}
    for name, given_labels in pictures.items():
        made[name] = PictureWork((3, 4))
        objects = {str(n): {"label": label, "counts": "0", "score": n} for n, label in enumerate(given_labels.split())}
        labels.add(made[name].change(objects))
    return labels, made, Renamings(labels, made)


def _shown(labels, pictures):
    objects = {name: [entry["label"] for entry in work.objects.values()] for name, work in pictures.items()}
    return labels.labels, labels.places, objects


def test_all_objects_of_a_label_get_the_new_one_and_the_old_one_again():
    labels, pictures, renamings = _session(a="cat dog cat", b="dog", c="cat")
    before = _shown(labels, pictures)
    renamings.rename("r", "cat", "tiger")
    assert _shown(labels, pictures) == (
        ["tiger", "dog"],
        [0, 1],
        {"a": ["tiger", "dog", "tiger"], "b": ["dog"], "c": ["tiger"]},
    )
    done = renamings.by_id["r"]
    assert ({name: set(keys) for name, keys in done.moved.items()}, done.is_merge) == (
        {"a": {"0", "2"}, "c": {"0"}},
        False,
    )
    renamings.restore("r")
    assert _shown(labels, pictures) == before
    assert renamings.by_id["r"].is_restored


def test_a_merge_is_taken_back_for_the_objects_that_it_changed_alone():
    labels, pictures, renamings = _session(a="cat dog", b="dog cat")
    before = _shown(labels, pictures)
    renamings.rename("r", "dog", "cat")
    assert _shown(labels, pictures) == (["cat"], [0], {"a": ["cat", "cat"], "b": ["cat", "cat"]})
    pictures["b"].change({"0": None, "9": {"label": "cat", "counts": "0"}})
    renamings.restore("r")
    assert _shown(labels, pictures) == (*before[:2], {"a": ["cat", "dog"], "b": ["cat", "cat"]})


def test_a_new_name_that_is_used_meanwhile_stays():
    labels, pictures, renamings = _session(a="cat", b="")
    renamings.rename("r", "cat", "tiger")
    pictures["b"].change({"0": {"label": "tiger", "counts": "0"}})
    renamings.restore("r")
    assert _shown(labels, pictures)[2] == {"a": ["cat"], "b": ["tiger"]}
    assert set(labels.labels) == {"cat", "tiger"}


_LABELS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=4).map(" ".join)


@given(one=_LABELS, two=_LABELS, steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), max_size=4))
def test_renamings_taken_back_in_reverse_leave_everything_as_it_was(one, two, steps):
    labels, pictures, renamings = _session(one=one, two=two)
    labels.add("abc")
    before = _shown(labels, pictures)
    done = []
    for number, (old, new) in enumerate(steps):
        if old != new and old in labels:
            renamings.rename(str(number), old, new)
            done.append(str(number))
    for key in reversed(done):
        renamings.restore(key)
    assert _shown(labels, pictures) == before
