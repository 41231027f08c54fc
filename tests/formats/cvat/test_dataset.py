"""Folders with CVAT's XML and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.cvat.dataset import is_cvat_data, read_cvat_data
from sam2_adapter.formats.cvat.format import read_cvat_prompts
from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.load import find_format, load_dataset
from tests.formats.cvat.xml_files import POLYGON, image, write_document
from tests.formats.folders import rectangle, write_image


def read(root, **options):
    left_out = LeftOut()
    return read_cvat_data(root, ReadingOptions(**options), left_out), left_out


@pytest.mark.parametrize("place", ["annotations.xml", "task.XML", "annotations/instances.xml"])
def test_pictures_are_found_by_their_names(tmp_path, place):
    write_document(tmp_path / place, image(POLYGON), image(POLYGON, name="street/a.png"))
    write_image(tmp_path / "images" / "a.png")
    write_image(tmp_path / "images" / "street" / "a.png")
    assert find_format(tmp_path) == "cvat"
    samples, left_out = read(tmp_path)
    assert [sample.name for sample in samples[""]] == ["images/a.png", "images/street/a.png"]
    np.testing.assert_array_equal(samples[""][0].gt_masks, [rectangle(8, 6, 16, 18)])
    assert not left_out


def test_splits_are_subsets_or_files(tmp_path):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name)
    write_document(
        tmp_path / "x.xml",
        image(POLYGON, more='subset="Train"'),
        image(POLYGON, name="b.png", more='subset="Validation"'),
    )
    assert {split: len(found) for split, found in read(tmp_path)[0].items()} == {"train": 1, "validation": 1}
    (tmp_path / "x.xml").unlink()
    write_document(tmp_path / "train.xml", image(POLYGON))
    write_document(tmp_path / "val.xml", image(POLYGON, name="b.png"))
    assert {split: len(found) for split, found in read(tmp_path)[0].items()} == {"train": 1, "validation": 1}


def test_groups_and_layers(tmp_path):
    write_image(tmp_path / "a.png")
    part = POLYGON.replace('z_order="0"', 'z_order="0" group_id="1"')
    other = part.replace("8.0,", "20.0,").replace("16.0,6", "24.0,6").replace("16.0,18", "24.0,18")
    top = '<mask label="fly" rle="0, 4" left="8" top="6" width="2" height="2" z_order="1"></mask>'
    write_document(tmp_path / "a.xml", image(part, other, top))
    samples, left_out = read(tmp_path, min_area_px=1)
    cat, fly = samples[""][0].objects
    np.testing.assert_array_equal(fly.mask, rectangle(8, 6, 10, 8))
    np.testing.assert_array_equal(cat.mask, (rectangle(8, 6, 16, 18) | rectangle(20, 6, 24, 18)) & ~fly.mask)
    assert len(left_out.remarks) == 1


def test_what_cannot_be_used_is_counted_and_costs_nothing_else(tmp_path):
    for name in ("a", "other_size", "turned", "empty", "unlisted"):
        write_image(tmp_path / f"{name}.png")
    write_document(
        tmp_path / "a.xml",
        image(POLYGON, '<polygon label="cat" points="1,2"/>', '<box label="cat" xtl="1" ytl="2" xbr="3" ybr="4"/>'),
        image(POLYGON, name="other_size.png", hw=(9, 9)),
        image(POLYGON, name="turned.png", hw=(32, 24)),
        image(name="empty.png"),
        image(POLYGON, name="lost.png"),
    )
    samples, left_out = read(tmp_path)
    assert [(sample.name, len(sample.objects)) for sample in samples[""]] == [("a.png", 1)]
    assert {row["reason"]: row["count"] for row in left_out} == {
        Reason.MALFORMED: 1,
        Reason.UNSUPPORTED_TYPE: 1,
        Reason.OTHER_SIZE: 1,
        Reason.TURNED: 1,
        Reason.NO_ANNOTATION: 2,
        Reason.NO_IMAGE: 1,
    }


def test_a_file_may_be_named_and_tracks_are_refused_by_name(tmp_path):
    write_image(tmp_path / "a.png")
    path = write_document(tmp_path / "a.xml", image(POLYGON))
    assert load_dataset(path).data_format == "cvat"
    path = write_document(tmp_path / "b.xml", '<track id="0" label="cat"></track>')
    with pytest.raises(DataError, match=r"b\.xml: holds tracks \('cat'\), as 'CVAT for video 1\.1' does"):
        load_dataset(path)


def test_other_xml_is_not_cvat(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><object/></annotation>")
    assert not is_cvat_data(tmp_path)
    assert not is_cvat_data(tmp_path / "a.xml")


def test_a_file_that_datumaro_has_written(tmp_path):
    """Written with datumaro 1.13.12, which is what CVAT exports with: a group, a mask with a hole, a box, points, a line and a tag."""
    write_image(tmp_path / "images" / "street" / "a.jpg")
    path = Path(__file__).parent / "written_by_datumaro.xml"
    (tmp_path / "annotations.xml").write_bytes(path.read_bytes())
    samples, left_out = read(tmp_path, min_area_px=1)
    cat, hole = samples[""][0].objects
    np.testing.assert_array_equal(cat.mask, rectangle(2, 2, 12, 10) | rectangle(14, 2, 20, 10))
    expected = rectangle(5, 14, 11, 19)
    expected[16, 7] = False
    np.testing.assert_array_equal(hole.mask, expected)
    assert [(row["reason"], row["count"]) for row in left_out] == [(Reason.UNSUPPORTED_TYPE, 4)]
    box, clicks = read_cvat_prompts(tmp_path)["street/a.jpg"]
    assert (box.label, box.box_xyxy, clicks.point_coords.tolist()) == (
        "box",
        (14, 13, 22, 20),
        [[5.5, 21.5], [6.5, 21.5]],
    )


def test_an_image_that_is_listed_twice_has_the_objects_of_both_entries(tmp_path):
    write_image(tmp_path / "a.png")
    other = '<polygon label="dog" points="20,6;24,6;24,18;20,18;"/>'
    write_document(tmp_path / "a.xml", image(POLYGON), image(POLYGON, other), image())
    samples, left_out = read(tmp_path)
    (sample,) = samples[""]
    assert [annotation.label for annotation in sample.objects] == ["cat", "dog"]
    np.testing.assert_array_equal(sample.objects[1].mask, rectangle(20, 6, 24, 18))
    assert (
        left_out.remarks[0]
        == "1 image listed more than once: the objects of all its entries were put together (a.png)."
    )
    assert not left_out
