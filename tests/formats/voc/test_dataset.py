"""Data sets of Pascal VOC."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.load import find_format, load_dataset
from sam2_adapter.formats.voc.classes import palette
from sam2_adapter.formats.voc.dataset import is_voc_data, read_voc_data
from tests.formats.folders import HW, rectangle, write_image, write_label_map

CAT, DOG, VOID = rectangle(2, 2, 12, 14), rectangle(16, 4, 28, 20), rectangle(12, 2, 14, 14)
OBJECTS = (CAT * 1 + DOG * 2 + VOID * 255).astype(np.uint8)
CLASSES = (CAT * 8 + DOG * 12 + VOID * 255).astype(np.uint8)
XML = (
    "<annotation><object><name>horse</name><bndbox><xmin>17</xmin><ymin>5</ymin><xmax>28</xmax><ymax>20</ymax></bndbox></object>"
    "</annotation>"
)


def make(root, *names, classes=CLASSES, objects=OBJECTS, mode="P", xml=""):
    for name in names or ("a",):
        write_image(root / "JPEGImages" / f"{name}.jpg")
        for folder, numbers in (("SegmentationObject", objects), ("SegmentationClass", classes)):
            if numbers is not None:
                path = write_label_map(root / folder / f"{name}.png", numbers)
                picture = Image.fromarray(numbers)
                picture.putpalette([value for color in palette() for value in color])
                picture.convert(mode).save(path)
        if xml:
            path = root / "Annotations" / f"{name}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(xml)
    return root


def lists(root, **names):
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    for split, text in names.items():
        (folder / f"{split}.txt").write_text(text)


def read(root, **options):
    left_out = LeftOut()
    return read_voc_data(root, ReadingOptions(**options), left_out), left_out


@pytest.mark.parametrize("mode", ["P", "RGB"])
def test_objects_classes_and_the_void_border(tmp_path, mode):
    samples, left_out = read(make(tmp_path, mode=mode))
    (sample,) = samples[""]
    assert (sample.name, sample.original_hw) == ("a.jpg", HW)
    np.testing.assert_array_equal(sample.gt_masks, [CAT, DOG])
    np.testing.assert_array_equal(sample.ignored_mask, VOID)
    assert [found.label for found in sample.objects] == ["cat", "dog"]
    assert not left_out
    assert not left_out.remarks
    assert find_format(tmp_path) == "voc"


def test_another_number_may_be_the_void_one(tmp_path):
    (sample,) = read(make(tmp_path), ignore_label=2)[0][""]
    np.testing.assert_array_equal(sample.gt_masks, [CAT, VOID])
    np.testing.assert_array_equal(sample.ignored_mask, DOG)
    assert [found.label for found in sample.objects] == ["cat", "object"]


def test_names_of_boxes_where_the_class_has_none(tmp_path):
    (sample,) = read(make(tmp_path, classes=None, xml=XML))[0][""]
    assert [found.label for found in sample.objects] == ["object", "horse"]
    (sample,) = read(make(tmp_path, classes=CLASSES * (CLASSES < 12), xml=XML))[0][""]
    assert [found.label for found in sample.objects] == ["cat", "horse"]


@pytest.mark.parametrize("mode", ["P", "RGB"])
def test_names_of_a_file_of_names(tmp_path, mode):
    classes = (CAT * 1 + DOG * 2).astype(np.uint8)
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\nwheel:128,0,0::\ndoor:0,128,0::\n")
    (sample,) = read(make(tmp_path, classes=classes, mode=mode))[0][""]
    assert [found.label for found in sample.objects] == ["wheel", "door"]


def test_splits(tmp_path):
    make(tmp_path, "a", "b", "c", "d")
    lists(tmp_path, train="a\nb.jpg\n\n", val="c\r\n", trainval="a\nb\nc\n", test="x\n")
    samples, left_out = read(tmp_path)
    found = {split: [sample.name for sample in found] for split, found in samples.items()}
    assert found == {"train": ["a.jpg", "b.jpg"], "validation": ["c.jpg"], "test": []}
    assert left_out.count(Reason.NOT_IN_SPLIT) == 1
    assert left_out.remarks == ("1 name in Segmentation of no image that can be used (x).",)
    assert set(load_dataset(tmp_path).splits) == {"train", "validation"}


def test_one_list_of_all_pictures_is_no_split(tmp_path):
    make(tmp_path, "a", "b", "c")
    lists(tmp_path, trainval="a\nb\n")
    samples, left_out = read(tmp_path)
    assert {split: [sample.name for sample in found] for split, found in samples.items()} == {"": ["a.jpg", "b.jpg"]}
    assert left_out.count(Reason.NOT_IN_SPLIT) == 1


def test_an_object_in_three_parts_is_one_object_and_no_remark(tmp_path):
    parts = rectangle(0, 0, 6, 6) | rectangle(10, 0, 16, 6) | rectangle(20, 0, 26, 6)
    samples, left_out = read(make(tmp_path, objects=parts.astype(np.uint8), classes=None))
    np.testing.assert_array_equal(samples[""][0].gt_masks, [parts])
    assert not left_out.remarks


def test_classes_alone_are_parted_when_asked_for(tmp_path):
    classes = (rectangle(0, 0, 6, 6) * 8 + rectangle(10, 0, 16, 6) * 8).astype(np.uint8)
    make(tmp_path, objects=None, classes=classes)
    with pytest.raises(DataError, match=r"there is no SegmentationObject/\. .* set split_parts=true"):
        load_dataset(tmp_path)
    (sample,) = read(tmp_path, split_parts=True)[0][""]
    np.testing.assert_array_equal(sample.gt_masks, [rectangle(0, 0, 6, 6), rectangle(10, 0, 16, 6)])
    assert [found.label for found in sample.objects] == ["cat", "cat"]


def test_names_of_folders_as_labelme_has_them_and_in_any_case(tmp_path):
    root = make(tmp_path / "set")
    (root / "JPEGImages").rename(root / "jpegimages")
    for name in ("SegmentationObject", "SegmentationClass"):
        (root / name).rename(root / f"{name}PNG")
        (root / name).mkdir()
    assert is_voc_data(root)
    assert [found.label for found in read(root)[0][""][0].objects] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: (root / "SegmentationObject" / "a.png").write_bytes(b"no picture"), Reason.BROKEN_FILE),
        (lambda root: (root / "SegmentationObject" / "a.png").unlink(), Reason.NO_ANNOTATION),
        (lambda root: (root / "JPEGImages" / "a.jpg").unlink(), Reason.NO_IMAGE),
        (lambda root: (root / "JPEGImages" / "a.jpg").write_bytes(b"no picture"), Reason.BROKEN_IMAGE),
        (lambda root: write_image(root / "JPEGImages" / "a.jpg", (30, 40)), Reason.OTHER_SIZE),
        (lambda root: write_image(root / "JPEGImages" / "a.png"), Reason.DUPLICATE_NAME),
        (lambda root: write_label_map(root / "SegmentationObject" / "a.png", OBJECTS * 0), Reason.NO_ANNOTATION),
        (lambda root: write_label_map(root / "SegmentationObject" / "a.png", (OBJECTS > 200) * OBJECTS), Reason.NO_ANNOTATION),
        (lambda root: write_label_map(root / "SegmentationObject" / "a.png", OBJECTS * (np.add.outer(range(24), range(32)) < 7)), Reason.TOO_SMALL),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_counted_and_the_rest_is_read(tmp_path, spoil, reason):
    make(tmp_path, "a", "b")
    spoil(tmp_path)
    samples, left_out = read(tmp_path)
    assert left_out.count(reason) >= 1
    assert [sample.name for sample in samples[""]] == ["b.jpg"]


@pytest.mark.parametrize("folder", ["SegmentationClass/a.png", "Annotations/a.xml"])
def test_labels_that_cannot_be_read_are_said(tmp_path, folder):
    make(tmp_path, classes=CLASSES if "Class" in folder else None, xml=XML)
    (tmp_path / folder).write_bytes(b"broken")
    samples, left_out = read(tmp_path)
    assert [found.label for found in samples[""][0].objects] == ["object", "horse" if "Class" in folder else "object"]
    assert any("of classes or boxes that cannot be read" in remark and "a." in remark for remark in left_out.remarks)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"train": "a\nb", "val": "b"}, r"the image 'b\.jpg' is in 'train' and in 'validation'"),
        ({"train": "a", "val": "sub/../a.jpg"}, r"the image 'a\.jpg' is in 'train' and in 'validation'"),
    ],
)
def test_a_picture_in_two_splits_is_refused(tmp_path, wrong, text):
    lists(make(tmp_path, "a", "b"), **wrong)
    with pytest.raises(DataError, match=text):
        read(tmp_path)


def test_lists_and_names_that_are_no_text_are_refused(tmp_path):
    lists(make(tmp_path))
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=r"train\.txt"):
        read(tmp_path)
    (tmp_path / "labelmap.txt").write_bytes(b"\xfa")
    with pytest.raises(DataError, match=r"labelmap\.txt: byte 0 is no text"):
        read(tmp_path)


@pytest.mark.parametrize("folders", [(), ("images", "masks"), ("JPEGImages", "Annotations"), ("JPEGImages",), ("SegmentationObject",)])  # fmt: skip
def test_other_layouts_are_not_recognised(tmp_path, folders):
    for name in folders:
        (tmp_path / name).mkdir()
    assert not is_voc_data(tmp_path)
    assert not is_voc_data(tmp_path / "missing")


def test_files_in_another_spelling_and_objects_without_a_class(tmp_path):
    make(tmp_path, classes=None, xml=XML)
    (tmp_path / "Annotations" / "a.xml").rename(tmp_path / "Annotations" / "A.XML")
    samples, left_out = read(tmp_path)
    assert [found.label for found in samples[""][0].objects] == ["object", "horse"]
    assert left_out.remarks == ("1 object without a known class, labelled 'object' (a.png: 1).",)
    (tmp_path / "Annotations" / "a.xml").write_text(XML.replace("horse", "cow"))
    assert [found.label for found in read(tmp_path)[0][""][0].objects] == ["object", "cow"]


def test_of_files_that_fit_in_another_spelling_alone_none_is_guessed(tmp_path):
    make(tmp_path, classes=None, xml=XML)
    folder = tmp_path / "Annotations"
    for name in ("A.xml", "A.XML"):  # one name without suffix
        (folder / name).write_text(XML)
    (folder / "a.xml").unlink()
    assert [found.label for found in read(tmp_path)[0][""][0].objects] == ["object", "horse"]
    (tmp_path / "JPEGImages" / "a.jpg").rename(tmp_path / "JPEGImages" / "ab.jpg")
    (tmp_path / "SegmentationObject" / "a.png").rename(tmp_path / "SegmentationObject" / "ab.png")
    for name in ("aB.xml", "Ab.xml"):
        (folder / name).write_text(XML)
    samples, left_out = read(tmp_path)
    assert [found.label for found in samples[""][0].objects] == ["object", "object"]
    assert "2 objects without a known class, labelled 'object'" in left_out.remarks[0]
