"""Results in the layout of Pascal VOC, and the same as a data set."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.errors import ExportError
from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.voc.classes import read_classes
from sam2_adapter.formats.voc.format import VocWriter
from tests.formats.examples import annotated_image
from tests.formats.folders import rectangle, write_image
from tests.shapes import FEW, object_masks, pixel_masks


def writer_to(folder, claimed=None):
    return VocWriter(WritingTarget(folder, (claimed if claimed is not None else []).append, "small", {"tool": "x"}))


def test_results_are_a_data_set_when_the_pictures_join_them(tmp_path):
    image = annotated_image()
    writer = writer_to(tmp_path)
    written = writer.add(image, "street/a")
    assert [path.relative_to(tmp_path).as_posix() for path in written.files] == [
        "SegmentationObject/street/a.png", "SegmentationClass/street/a.png", "Annotations/street/a.xml",
    ]  # fmt: skip
    assert writer.close() == (tmp_path / "labelmap.txt", tmp_path / "ImageSets" / "Segmentation" / "trainval.txt")
    assert (tmp_path / "labelmap.txt").read_text("utf-8").splitlines()[1:] == [
        "background:0,0,0::", "cat:128,0,0::", "dog:0,128,0::", "猫:128,128,0::",
    ]  # fmt: skip
    assert (tmp_path / "ImageSets" / "Segmentation" / "trainval.txt").read_text() == "street/a\n"
    write_image(tmp_path / "JPEGImages" / "street" / "a.jpg", image.original_hw)
    dataset = load_dataset(tmp_path, min_area_px=1, validation_share=0)
    (sample,) = dataset.samples("train")
    assert dataset.data_format == "voc"
    assert [found.label for found in sample.objects] == ["cat", "dog", "cat", "猫", "dog"]
    assert [found.rle for found in sample.objects] == [given.rle for given in image.annotations]
    assert (sample.ignored, dataset.left_out.remarks, written.notes) == (None, (), ())


@FEW
@given(st.one_of(pixel_masks(), object_masks()))
def test_any_mask_comes_back(mask):
    assume(mask.any())
    image = AnnotatedImage("a.png", mask.shape, (Annotation.from_mask(mask, "cat"),))
    with tempfile.TemporaryDirectory() as folder:
        writer = writer_to(Path(folder))
        assert writer.add(image, "a").notes == ()
        writer.close()
        write_image(Path(folder) / "JPEGImages" / "a.png", mask.shape)
        (sample,) = load_dataset(folder, min_area_px=1, validation_share=0).samples("train")
    np.testing.assert_array_equal(sample.gt_masks, [mask])
    assert sample.objects[0].label == "cat"


def test_pictures_have_the_palette(tmp_path):
    written = writer_to(tmp_path).add(annotated_image(), "a")
    for path in written.files[:2]:
        with Image.open(path) as picture:
            assert picture.mode == "P"
            assert picture.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]


def test_what_is_covered_or_renamed_is_said(tmp_path):
    small, large = rectangle(4, 4, 8, 8), rectangle(0, 0, 20, 20)
    objects = (Annotation.from_mask(large, "a:b"), Annotation.from_mask(small, "cat"))
    written = writer_to(tmp_path).add(AnnotatedImage("a.jpg", small.shape, objects), "a.jpg")
    covered, renamed, name = written.notes
    assert covered.startswith("a.jpg: object 1 ('a:b') lost 16 of 400 pixels, which smaller objects cover")
    assert renamed == "a.jpg: labelmap.txt cannot hold the label 'a:b'; it is called 'a_b' there."
    assert "its masks are called a.jpg.png" in name


def test_an_image_of_an_earlier_run_is_written_again_where_its_classes_have_other_numbers(tmp_path):
    first, second = (AnnotatedImage(f"{label}.jpg", (24, 32), (Annotation.from_mask(rectangle(1, 1, 9, 9), label),)) for label in "xy")  # fmt: skip
    writer_to(tmp_path).add(second, "y")
    claimed = []
    writer = writer_to(tmp_path, claimed)
    writer.add(first, "x")
    del claimed[:]
    assert writer.add_done(second, "y").files == ()
    assert claimed == [tmp_path / "SegmentationClass" / "y.png"]
    with Image.open(claimed[0]) as picture:
        assert np.unique(np.array(picture)).tolist() == [0, 2]
    writer.close()
    assert (tmp_path / "ImageSets" / "Segmentation" / "trainval.txt").read_text() == "x\ny\n"


def test_more_objects_or_classes_than_there_are_numbers(tmp_path):
    mask = rectangle(0, 0, 4, 4)
    many = tuple(Annotation.from_mask(mask, f"{number}") for number in range(255))
    writer = writer_to(tmp_path)
    with pytest.raises(
        ExportError, match=r"a\.jpg: a picture of Pascal VOC numbers up to 254 objects, but there are 255"
    ):
        writer.add(AnnotatedImage("a.jpg", mask.shape, many), "a")
    writer.add(AnnotatedImage("a.jpg", mask.shape, many[:254]), "a")
    with pytest.raises(ExportError, match=r"b\.jpg: .* number up to 254 classes, but with this picture there are 255"):
        writer.add(AnnotatedImage("b.jpg", mask.shape, many[254:]), "b")
    assert list(tmp_path.rglob("b.*")) == []


@pytest.mark.parametrize(("count", "number"), [(254, 254), (255, 1)])
def test_labels_that_are_too_many_to_be_numbered_get_their_numbers_as_they_are_used(tmp_path, count, number):
    labels = {f"{place}": None for place in range(1, count + 1)}
    writer = VocWriter(WritingTarget(tmp_path, lambda _: None, "m", {}, labels=labels))
    mask = np.ones((4, 4), bool)
    writer.add(AnnotatedImage("a.png", (4, 4), (Annotation.from_mask(mask, "254"),)), "a")
    writer.close()
    with Image.open(tmp_path / "SegmentationClass" / "a.png") as picture:
        assert np.unique(np.array(picture)).tolist() == [number]


def _classes_of(folder, stem):
    with Image.open(folder / "SegmentationClass" / f"{stem}.png") as picture:
        return set(np.unique(np.array(picture)).tolist()) - {0}


def test_a_label_that_is_not_listed_takes_the_number_of_the_last_listed_one_that_no_object_has(tmp_path):
    labels = [f"c{number}" for number in range(1, 255)]
    writer = VocWriter(WritingTarget(tmp_path, lambda _: None, "m", {}, labels=dict.fromkeys(labels)))

    def add(stem, *names):
        parts = (rectangle(4 * place, 0, 4 * place + 4, 4) for place in range(len(names)))
        objects = (Annotation.from_mask(mask, name) for mask, name in zip(parts, names, strict=True))
        writer.add(AnnotatedImage(f"{stem}.png", rectangle(0, 0, 4, 4).shape, tuple(objects)), stem)
        return _classes_of(tmp_path, stem)

    assert add("a", "c254", "new") == {253, 254}
    assert add("b", "c253", "c1") == {1, 252}
    assert add("c", "new", "c254", "c253") == {252, 253, 254}
    writer.close()
    classes = read_classes(tmp_path).by_number
    assert [classes[number] for number in (1, 251, 252, 253, 254)] == ["c1", "c251", "c253", "new", "c254"]
    assert set(classes.values()) == {*labels, "new"} - {"c252"}
    rest = [name for name in labels if name not in ("c252", "c253", "c254", "c1")]
    many = tuple(Annotation.from_mask(rectangle(0, 0, 4, 4), name) for name in rest[:-1])
    writer.add(AnnotatedImage("d.png", rectangle(0, 0, 4, 4).shape, many), "d")
    with pytest.raises(
        ExportError, match="up to 254 classes, but with this picture there are 255; choose another format"
    ):
        add("e", "more", "most")
