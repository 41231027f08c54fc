"""Splits of YOLO data sets that a text file lists."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.yolo.images import images_of_place, place_below
from tests.formats.folders import write_image
from tests.formats.yolo.test_dataset import LINE, make, read


@pytest.mark.parametrize("form", ["./images/train/{}", "/srv/set/images/train/{}", "C:\\set\\images\\train\\{}", "{} "])
def test_a_list_of_pictures_is_a_split(tmp_path, form):
    make(
        tmp_path,
        "train: ./lists/train.txt\nval: images/val\nnames: [cat]\n",
        {"images/train/a.png": LINE, "images/val/b.png": LINE},
    )
    write_image(tmp_path / "images" / "train" / "unlisted.png")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "train.txt").write_bytes("\r\n".join(map(form.format, ("a.png", "gone.png", ""))).encode())
    samples, left_out = read(tmp_path)
    assert {split: [sample.name for sample in found] for split, found in samples.items()} == {
        "train": ["images/train/a.png"],
        "validation": ["images/val/b.png"],
    }
    assert left_out.count(Reason.NO_IMAGE) >= 1


def test_what_lies_elsewhere_is_not_looked_at(tmp_path):
    write_image(tmp_path / "secret" / "a.png")
    write_image(tmp_path / "set" / "images" / "b.png")
    (tmp_path / "set" / "train.txt").write_text("../secret/a.png\n/etc/passwd\nimages/b.png\n")
    left_out = LeftOut()
    place = place_below([tmp_path / "set"], "train.txt", "'train'")
    assert list(images_of_place(tmp_path / "set", place, left_out)) == ["images/b.png"]
    assert left_out.count(Reason.NO_IMAGE) == 2


@pytest.mark.parametrize("value", ["x" * 5000, "a\0b", "../" * 5000, "a/" * 5000])
def test_names_that_no_folder_can_have(tmp_path, value):
    with pytest.raises(DataError, match="'train' is a folder of pictures"):
        place_below([tmp_path], value, "'train'")
