"""Named and seeded splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.sample import Sample
from sam2_adapter.formats.splits import (
    apply_split_file,
    check_disjoint,
    read_split_file,
    split_by_folders,
    split_off_validation,
)
from tests.formats.folders import HW, rectangle, write_json


def sample(name: str, num_objects: int = 1) -> Sample:
    objects = [Annotation.from_mask(rectangle(i, 0, i + 5, 5), f"o{i}") for i in range(num_objects)]
    return Sample(name, Path(name), HW, tuple(objects))


def test_the_choice_depends_on_the_seed_alone():
    samples = [sample(f"{index}.png") for index in range(20)]
    train, validation, note = split_off_validation(samples, 0.2, seed=3)
    assert len(validation) == 4
    assert {s.name for s in train} | {s.name for s in validation} == {s.name for s in samples}
    assert split_off_validation(samples[::-1], 0.2, seed=3) == (train, validation, note)
    assert split_off_validation(samples, 0.2, seed=4)[1] != validation
    assert note == "No validation split was given: 4 of 20 images were chosen for it at random (seed 3)."


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_both_sides_get_something(fraction):
    train, validation, _ = split_off_validation([sample("a"), sample("b")], fraction, seed=0)
    assert (len(train), len(validation)) == (1, 1)


@pytest.mark.parametrize("seed", range(8))
def test_a_crowd_beside_nearly_empty_images_teaches(seed):
    """Whichever image the seed would keep, most objects are there to learn from."""
    for counts in ([18, 1], [1, 18], [20, 2, 1, 3, 2]):
        samples = [sample(f"{index}.png", count) for index, count in enumerate(counts)]
        train, validation, _ = split_off_validation(samples, 0.2, seed)
        assert len(validation) == 1
        assert sum(len(s.objects) for s in train) >= sum(counts) / 2
        assert split_off_validation(samples[::-1], 0.2, seed)[:2] == (train, validation)


def test_a_crowd_is_kept_where_that_was_asked_for():
    """With 80 % of the images for validation the crowd may be one of them."""
    samples = [sample(f"{index}.png", count) for index, count in enumerate([20, 10, 10, 5, 5])]
    kept = [sum(len(s.objects) for s in split_off_validation(samples, 0.8, seed)[1]) for seed in range(8)]
    assert max(kept) == 40
    assert min(kept) >= 30


def test_one_image_is_split_by_objects():
    (train,), (validation,), note = split_off_validation([sample("a.png", 5)], 0.2, seed=0)
    assert (len(train.objects), len(validation.objects)) == (4, 1)
    assert set(train.objects) & set(validation.objects) == set()
    assert note == "There is only one image (a.png): 1 of its 5 objects were chosen for validation at random (seed 0)."


def test_one_object_is_its_own_validation_and_says_so():
    train, validation, note = split_off_validation([sample("a.png")], 0.2, seed=0)
    assert train == validation
    assert "only one object (a.png)" in note


def test_a_year_may_follow_the_name_of_a_split():
    names = ["train2017/a.png", "val2017/b.png", "test-2014/c.png", "train/20170101/d.png"]
    found = split_by_folders([sample(name) for name in names])
    assert found is not None
    assert {split: [s.name for s in samples] for split, samples in found.items()} == {
        "train": ["train2017/a.png", "train/20170101/d.png"],
        "validation": ["val2017/b.png"],
        "test": ["test-2014/c.png"],
    }


def test_split_names_are_brought_to_ours(tmp_path):
    path = write_json(tmp_path / "split.json", {"train": ["a", "a"], "val": ["b"], "extra": ["c"]})
    assert read_split_file(path) == {"train": ["a"], "validation": ["b"], "extra": ["c"]}


def test_an_image_in_two_splits_is_refused(tmp_path):
    path = write_json(tmp_path / "split.json", {"train": ["a"], "test": ["a"]})
    with pytest.raises(DataError, match="the image 'a' is in 'train' and in 'test'; an image belongs to one split"):
        read_split_file(path)
    with pytest.raises(DataError, match="a is in 'train' and in 'test': results on it would be too good"):
        check_disjoint({"train": [sample("a")], "test": [sample("a")]})


@pytest.mark.parametrize("content", [[], {"train": "a"}, {"train": [1]}])
def test_other_content_is_refused(tmp_path, content):
    with pytest.raises(DataError, match=r"split\.json: expected lists of image names by split"):
        read_split_file(write_json(tmp_path / "split.json", content))


def test_names_of_a_split_file_are_found_as_images_are(tmp_path):
    samples = [sample(f"images/{name}") for name in ("p.png", "Caf\u00e9.jpg", "sub/r.png")]
    names = {"train": ["p", "C:\\work\\cafe\u0301.JPG"], "val": ["r.png"], "test": ["x.png"]}
    left_out = LeftOut()
    found = apply_split_file(samples, write_json(tmp_path / "split.json", names), left_out)
    assert {split: [s.name for s in chosen] for split, chosen in found.items()} == {
        "train": ["images/p.png", "images/Caf\u00e9.jpg"],
        "validation": ["images/sub/r.png"],
        "test": [],
    }
    assert left_out.remarks == ("1 name in split.json of no image that can be used (x.png).",)


def test_names_of_a_split_file_that_fit_several_images_or_splits_are_refused(tmp_path):
    samples = [sample("a/p.png"), sample("b/p.png"), sample("a.jpg"), sample("a.png")]
    for names, text in (
        ({"train": ["p.png"]}, "the name 'p.png' fits several images, a/p.png and b/p.png"),
        ({"train": ["a"]}, "the name 'a' fits several images, a.jpg and a.png"),
        ({"train": ["a.png"], "test": ["A.PNG"]}, "the image 'a.png' is in 'train' and in 'test'"),
        ({"train": ["b/p"], "test": ["b/p.png"]}, "the image 'b/p.png' is in 'train' and in 'test'"),
    ):
        with pytest.raises(DataError, match=text):
            apply_split_file(samples, write_json(tmp_path / "split.json", names), LeftOut())


def test_folders_named_after_splits_are_splits():
    samples = [
        sample(name) for name in ("images/train/a.png", "images/Val/b.png", "images/test/x/c.png", "images/d.png")
    ]
    found = split_by_folders(samples)
    assert {split: [s.name for s in chosen] for split, chosen in found.items()} == {
        "train": ["images/train/a.png"],
        "validation": ["images/Val/b.png"],
        "test": ["images/test/x/c.png"],
        "": ["images/d.png"],
    }
    assert split_by_folders([sample("test/a.png"), sample("test/b.png")]) is None
    assert split_by_folders([sample("a.png"), sample("cats/b.png")]) is None
