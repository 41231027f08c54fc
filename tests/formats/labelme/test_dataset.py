"""Folders of label files and pictures."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.labelme.dataset import is_labelme_data, read_labelme_data
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.load import find_format, load_dataset
from tests.formats.folders import rectangle, write_image, write_json
from tests.formats.labelme.label_files import SQUARE, label_file, shape

MASK = rectangle(8, 6, 16, 18)


def read(root, **options):
    left_out = LeftOut()
    return read_labelme_data(root, ReadingOptions(**options), left_out)[""], left_out


def add(root, name, *shapes, **more):
    write_json((root / name).with_suffix(".json"), label_file(*shapes, image=name.rpartition("/")[2], **more))
    return write_image(root / name)


def test_pictures_and_label_files_beside_each_other(tmp_path):
    add(tmp_path, "a.png", shape("polygon", SQUARE))
    add(tmp_path, "street/a.png", shape("polygon", SQUARE, label="dog"))
    write_image(tmp_path / "c.png")
    assert find_format(tmp_path) == "labelme"
    samples, left_out = read(tmp_path)
    assert [(sample.name, sample.objects[0].label) for sample in samples] == [("a.png", "cat"), ("street/a.png", "dog")]
    np.testing.assert_array_equal(samples[0].gt_masks, [MASK])
    assert left_out.count(Reason.NO_ANNOTATION) == 1


@pytest.mark.parametrize(
    "listed", ["../pictures/a.png", "C:\\work\\a.png", "/home/me/a.png", "a.bmp", "", "..\\..\\pictures\\a.png"]
)
def test_paths_of_other_machines_are_found_by_their_names(tmp_path, listed):
    write_image(tmp_path / "pictures" / "a.png")
    write_json(tmp_path / "labels" / "a.json", label_file(shape("polygon", SQUARE), image=listed))
    samples, left_out = read(tmp_path)
    assert [sample.name for sample in samples] == ["pictures/a.png"]
    assert not left_out


def test_a_single_file(tmp_path):
    add(tmp_path, "a.png", shape("polygon", SQUARE))
    add(tmp_path, "b.png", shape("polygon", SQUARE))
    dataset = load_dataset(tmp_path / "a.json", validation_share=0)
    assert [sample.name for sample in dataset.samples("train")] == ["a.png"]


def test_a_picture_that_is_only_embedded_is_used(tmp_path):
    image = write_image(tmp_path / "elsewhere" / "a.png", value=37)
    content = base64.b64encode(image.read_bytes()).decode()
    write_json(tmp_path / "set" / "a.json", label_file(shape("polygon", SQUARE), imageData=content))
    (sample,), left_out = read(tmp_path / "set")
    assert (sample.read_image() == 37).all()
    assert left_out.remarks == ("1 image read out of a label file, because there is no picture of that name (a.json).",)


def test_what_cannot_be_used_is_counted_and_costs_nothing_else(tmp_path):
    good = shape("polygon", SQUARE)
    add(
        tmp_path,
        "a.png",
        good,
        shape("polygon", [[1, 2]]),
        shape("point", [[3, 3]]),
        shape("polygon", [[40, 1], [50, 1], [50, 9]]),
    )
    add(tmp_path, "other_size.png", good, hw=(9, 9))
    add(tmp_path, "turned.png", good, hw=(32, 24))
    add(tmp_path, "empty.png")
    write_json(tmp_path / "lost.json", label_file(good, image="lost.png"))
    (tmp_path / "broken.json").write_text('{"shapes": [')
    write_json(tmp_path / "second.json", label_file(good, image="a.png"))
    samples, left_out = read(tmp_path)
    assert [sample.name for sample in samples] == ["a.png"]
    assert len(samples[0].objects) == 1
    counted = {row["reason"]: row["count"] for row in left_out}
    assert counted == {
        Reason.MALFORMED: 1,
        Reason.UNSUPPORTED_TYPE: 1,
        Reason.OUTSIDE: 1,
        Reason.OTHER_SIZE: 1,
        Reason.TURNED: 1,
        Reason.NO_ANNOTATION: 1,
        Reason.NO_IMAGE: 1,
        Reason.BROKEN_FILE: 1,
        Reason.DUPLICATE_NAME: 1,
    }


def test_a_label_that_is_missing_is_the_default_one(tmp_path):
    add(tmp_path, "a.png", shape("polygon", SQUARE, label=""))
    (sample,), left_out = read(tmp_path, default_label="cell")
    assert sample.objects[0].label == "cell"
    assert left_out.remarks == ("1 object without a label, labelled 'cell' (a.json: shape 1).",)


def test_other_json_files_are_not_label_files(tmp_path):
    write_image(tmp_path / "a.png")
    write_json(tmp_path / "a.json", {"annotations": [], "images": []})
    assert not is_labelme_data(tmp_path)
    assert not is_labelme_data(tmp_path / "a.png")
    assert not is_labelme_data(tmp_path / "missing")


def test_a_file_that_labelme_itself_has_written(tmp_path):
    """Written with labelme 6.3.1: every type of shape, a group, an embedded picture and a path of Windows."""
    (tmp_path / "a.json").write_bytes((Path(__file__).parent / "written_by_labelme.json").read_bytes())
    (sample,), left_out = read(tmp_path, min_area_px=1)
    assert sample.read_image().shape == (24, 32, 3)
    cat, ball, hole = sample.objects
    assert [found.label for found in sample.objects] == ["cat", "ball", "hole"]
    np.testing.assert_array_equal(cat.mask, rectangle(2, 2, 12, 10) | rectangle(14, 2, 20, 10))
    assert ball.box_xyxy == (19, 2, 29, 12)
    expected = rectangle(5, 14, 11, 19)
    expected[16, 7] = False
    np.testing.assert_array_equal(hole.mask, expected)
    assert [(row["reason"], row["count"]) for row in left_out] == [(Reason.UNSUPPORTED_TYPE, 5)]
