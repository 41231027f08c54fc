"""Where annotation files and images of COCO data sets are found."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.coco.annotation_files import find_parts
from tests.formats.folders import coco, coco_image, write_image, write_json

DOCUMENT = coco([coco_image(1, "p.png")], [])


def make(root, *paths):
    write_image(root / "images" / "p.png")
    for path in paths:
        write_json(root / path, DOCUMENT)
    return root


def found(root):
    return [
        (part.split, part.path.relative_to(root).as_posix(), part.image_folder.relative_to(root).as_posix())
        for part in find_parts(root)
    ]


@pytest.mark.parametrize(
    "path",
    ["annotations.json", "_annotations.coco.json", "result.json", "labels.json", "Annotations.JSON", "annotations/instances.json",
     "annotations/instances_default.json", "Annotations/any.json"],
)  # fmt: skip
def test_names_and_places_of_one_file(tmp_path, path):
    make(tmp_path, path)
    assert found(tmp_path) == [("", path, ".")]
    assert [part.image_folder for part in find_parts(tmp_path / path)] == [tmp_path]


def test_files_named_after_their_splits(tmp_path):
    make(tmp_path, "train.json", "coco_val.json")
    write_json(tmp_path / "split.json", {"train": ["p"]})
    assert found(tmp_path) == [("validation", "coco_val.json", "."), ("train", "train.json", ".")]


def test_a_file_in_each_split_folder(tmp_path):
    make(tmp_path / "train", "_annotations.coco.json")
    make(tmp_path / "valid", "labels.json")
    make(tmp_path / "Test", "annotations/instances.json")
    assert found(tmp_path) == [
        ("test", "Test/annotations/instances.json", "Test"),
        ("train", "train/_annotations.coco.json", "train"),
        ("validation", "valid/labels.json", "valid"),
    ]
    make(tmp_path / "val", "labels.json")
    with pytest.raises(DataError, match="both val and valid are the validation split"):
        find_parts(tmp_path)


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (["labels/coco.json"], [""]),
        (["annotation/train.json", "annotation/val.json"], ["train", "validation"]),
        (["train/_annotations.coco.json", "valid/_annotations.coco.json"], ["train", "validation"]),
    ],
)
def test_files_in_folders_without_images_are_for_the_images_beside_these(tmp_path, paths, splits):
    make(tmp_path, *paths)
    assert found(tmp_path) == [(split, path, ".") for split, path in zip(splits, paths, strict=True)]


def test_several_files_that_no_split_tells_apart_are_refused(tmp_path):
    make(tmp_path, "a.json", "b.json")
    with pytest.raises(DataError, match=r"several files hold annotations: a\.json, b\.json\. Give the path of the one"):
        find_parts(tmp_path)


def test_other_files_and_folders_are_none(tmp_path):
    write_json(tmp_path / "prompts.json", {"images": {}})
    write_json(tmp_path / "json" / "a.json", {"annotations": []})
    (tmp_path / "p.txt").write_text("images annotations")
    assert find_parts(tmp_path) == []
    assert find_parts(tmp_path / "p.txt") == []


def test_keys_far_into_a_large_file_are_found(tmp_path):
    padding = {"info": {"text": "x" * 2_500_000}}
    write_json(tmp_path / "result.json", {**padding, **DOCUMENT})
    assert len(find_parts(tmp_path)) == 1
