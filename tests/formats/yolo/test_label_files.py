"""Which text file belongs to which picture of a YOLO data set."""

from __future__ import annotations

from sam2_adapter.formats.yolo.label_files import LabelFiles


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("0\n")
    return LabelFiles(root)


def test_the_last_folder_of_pictures_becomes_that_of_labels(tmp_path):
    found = files(tmp_path, "images/labels/sub/a.txt", "b.txt").of(["images/images/sub/a.png", "b.jpg", "c.png"])
    assert found == {"images/images/sub/a.png": ["images/labels/sub/a.txt"], "b.jpg": ["b.txt"], "c.png": []}


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path):
    found = files(tmp_path, "labels/a.txt", "labels/A.txt").of(["images/A.png", "images/a.png"])
    assert found == {"images/A.png": ["labels/A.txt"], "images/a.png": ["labels/a.txt"]}


def test_left_over_are_files_beside_those_that_were_used(tmp_path):
    found = files(tmp_path, "labels/a.txt", "labels/b.txt", "labels/other/c.txt", "a.txt", "classes.txt")
    assert found.left_over(["labels/a.txt", "a.txt"]) == ["labels/b.txt"]


def test_an_earlier_folder_of_pictures_counts_where_the_last_one_has_no_file(tmp_path):
    found = files(tmp_path, "labels/train/images/a.txt", "images/train/labels/b.txt", "labels/train/images/b.txt")
    assert found.of(["images/train/images/a.png", "images/train/images/b.png"]) == {
        "images/train/images/a.png": ["labels/train/images/a.txt"],
        "images/train/images/b.png": ["images/train/labels/b.txt"],
    }
