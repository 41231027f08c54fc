"""What describes a YOLO data set."""

from __future__ import annotations

import pytest

from sam2_adapter.formats.load import find_format, load_dataset
from sam2_adapter.formats.yolo.description import find_description, label_of_class, read_description
from tests.formats.yolo.test_dataset import LINE, make


@pytest.mark.parametrize("given", ["", "coco8-seg.yaml"])
def test_a_yaml_file_of_another_name_describes_a_data_set(tmp_path, given):
    make(tmp_path, "", {"images/a.png": LINE})
    (tmp_path / "data.yaml").rename(tmp_path / "coco8-seg.yaml").write_text("train: images\nnames: [cat]\n")
    (tmp_path / "settings.yaml").write_text("patience: 3\n")
    dataset = load_dataset(tmp_path / given)
    assert dataset.data_format == "yolo"
    assert dataset.samples("all")[0].objects[0].label == "cat"


def test_the_file_itself_may_be_given(tmp_path):
    root = make(tmp_path, "names: [cat]", {"images/a.png": LINE})
    assert find_format(root / "data.yaml") == "yolo"
    assert load_dataset(root / "data.yaml").samples("all")[0].name == "images/a.png"


def test_several_files_of_other_names_describe_nothing(tmp_path):
    for name in ("a.yaml", "b.yml"):
        (tmp_path / name).write_text("train: images\nnames: [cat]\n")
    assert find_description(tmp_path) is None
    assert find_description(tmp_path / "b.yml") == tmp_path / "b.yml"


def test_a_list_of_classes_describes_a_data_set_with_labels(tmp_path):
    make(tmp_path, "", {"images/a.png": f"1{LINE[1:]}"})
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_bytes("cat\r\nd\u00f6g\r\n".encode())
    assert load_dataset(tmp_path).samples("all")[0].objects[0].label == "d\u00f6g"


def test_a_list_of_classes_alone_is_no_data_set(tmp_path):
    (tmp_path / "classes.txt").write_text("cat\n")
    assert find_description(tmp_path) is None


def test_names_are_kept_as_they_are_written(tmp_path):
    path = tmp_path / "data.yaml"
    path.write_text("names: [no, 007, 1.50, null, 'off', 2020-01-01]\nnc: 6\nval:\ntest: ~\n")
    description = read_description(path)
    assert list(description.names.values()) == ["no", "007", "1.50", "null", "off", "2020-01-01"]
    assert description.places == ()


@pytest.mark.parametrize("place", ["path: set\ntrain: images/train", "path: /srv/data/set\ntrain: ./images/train/"])
def test_splits_lie_below_the_path_of_the_file(tmp_path, place):
    make(tmp_path / "set", "", {"images/train/a.png": LINE})
    (tmp_path / "data.yaml").write_text(f"{place}\nnames: [cat]\n")
    dataset = load_dataset(tmp_path)
    assert [sample.name for sample in dataset.samples("all")] == ["set/images/train/a.png"] * 2


def test_the_folder_of_the_file_may_be_a_split(tmp_path):
    root = make(tmp_path, "train: .\nnames: [cat]\n", {"a.png": LINE})
    assert [sample.name for sample in load_dataset(root, validation_share=0).samples("train")] == ["a.png"]


def test_numbers_of_classes() -> None:
    names = {0: "cat", 12: "dog"}
    assert [label_of_class(word, names) for word in ("0", "12.0", "-1", "1e0", "x", "9" * 5000)] == [
        "cat", "dog", None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "task", "expected"),
    [
        ("set", "task: obb", True),
        ("set", "task: ' OBB '", True),
        ("set", "task: segment", False),
        ("set", "task: yolo-obb", True),
        ("set", "task: [obb]", False),
        ("set", "task: hobby", False),
        ("set", "", False),
        ("cars.v1i.yolov8-obb", "", True),
        ("cars.v1i.yolov8-obb", "task: segment", False),
        ("knobbly", "task:", False),
        ("yolo11obb", "task:", True),
        ("obb2seg", "", False),
    ],
)
def test_turned_boxes_are_named_by_the_task_or_else_the_folder(tmp_path, folder, task, expected):
    path = tmp_path / folder / "data.yaml"
    path.parent.mkdir()
    path.write_text(f"train: images\nnames: [cat]\n{task}\n")
    assert read_description(path).has_turned_boxes == expected
    classes = path.with_name("classes.txt")
    classes.write_text("cat\n")
    assert read_description(classes).has_turned_boxes == folder.endswith("obb")
    assert read_description(classes).folder_tells
    assert read_description(path).folder_tells == (task in ("", "task:"))
