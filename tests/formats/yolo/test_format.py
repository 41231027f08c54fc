"""YOLO's text files as results, and as a data set of these results."""

from __future__ import annotations

import numpy as np
import yaml

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.yolo.format import YoloWriter
from tests.formats.examples import annotated_image
from tests.formats.folders import write_image
from tests.shapes import iou


def writer_to(folder):
    return YoloWriter(WritingTarget(folder, lambda _: None, "small", {"tool": "x"}))


def test_results_are_a_data_set_when_the_pictures_join_them(tmp_path):
    image = annotated_image()
    writer = writer_to(tmp_path)
    written = writer.add(image, "street/a")
    assert written.files == (tmp_path / "labels" / "street" / "a.txt",)
    assert written.notes == (
        "street/a.jpg: object 2 ('dog') has holes, but a line of YOLO holds one outline: they were connected by lines, which some "
        "programs paint one pixel wide.",
        "street/a.jpg: object 3 ('cat') has 2 parts, but a line of YOLO holds one outline: they were connected by lines, which some "
        "programs paint one pixel wide.",
    )
    assert writer.close() == (tmp_path / "data.yaml",)
    write_image(tmp_path / "images" / "street" / "a.jpg", image.original_hw)
    dataset = load_dataset(tmp_path, min_area_px=1, validation_share=0)
    assert dataset.data_format == "yolo"
    (sample,) = dataset.samples("train")
    assert [found.label for found in sample.objects] == ["cat", "dog", "cat", "猫", "dog"]
    for found, given in zip(sample.objects, image.annotations, strict=True):
        assert iou(found.mask, given.mask) >= 0.98
    assert dataset.left_out.remarks == (
        "1 folder named for two splits in data.yaml, of which the first one counts (val: 'images').",
    )


def test_the_description(tmp_path):
    writer = writer_to(tmp_path)
    writer.add(annotated_image(), "a")
    text = writer.close()[0].read_text(encoding="utf-8")
    assert text.startswith("# Masks made with sam2-adapter. Put the pictures")
    assert yaml.safe_load(text) == {
        "train": "images",
        "val": "images",
        "names": {0: "cat", 1: "dog", 2: "猫"},
        "made_by": {"tool": "x"},
    }


def test_an_image_without_objects_has_an_empty_file(tmp_path):
    writer = writer_to(tmp_path)
    (path,) = writer.add(AnnotatedImage("a.jpg", (5, 6)), "a").files
    assert path.read_bytes() == b""
    assert yaml.safe_load(writer.close()[0].read_text())["names"] == {}


def test_an_earlier_run_may_have_numbered_the_classes_otherwise(tmp_path):
    mask = np.ones((4, 4), np.bool_)
    cat, dog = (
        AnnotatedImage(f"{label}.jpg", (4, 4), (Annotation.from_mask(mask, label),)) for label in ("cat", "dog")
    )
    first = writer_to(tmp_path)  # the picture of the cat failed
    first.add(dog, "dog")
    first.close()
    second = writer_to(tmp_path)
    second.add(cat, "cat")
    assert second.add_done(dog, "dog").files == ()
    written = (tmp_path / "labels" / "dog.txt").stat().st_mtime_ns
    assert second.add_done(dog, "dog").files == ()
    assert (tmp_path / "labels" / "dog.txt").stat().st_mtime_ns == written  # not again
    assert yaml.safe_load(second.close()[0].read_text())["names"] == {0: "cat", 1: "dog"}
    assert [(tmp_path / "labels" / f"{name}.txt").read_text().split()[0] for name in ("cat", "dog")] == ["0", "1"]


def test_a_picture_whose_labels_others_would_not_find_is_said(tmp_path):
    image = AnnotatedImage("street/a.png", (4, 4), (Annotation.from_mask(np.ones((4, 4), np.bool_), "cat"),))
    (note,) = writer_to(tmp_path).add(image, "street/a.png").notes
    assert note.startswith(
        "street/a.png: YOLO finds labels by the name of the picture without suffix, which another picture has too"
    )


def test_pictures_in_folders_called_images_are_a_data_set_and_said(tmp_path):
    box = np.pad(np.ones((8, 9), np.bool_), 5)
    names = ["train/images/a.png", "val/images/a.png"]
    writer = writer_to(tmp_path)
    notes = []
    for name, mask in zip(names, (box, box[:, ::-1].T.copy()), strict=True):
        image = AnnotatedImage(name, mask.shape, (Annotation.from_mask(mask, "cat"),))
        notes += writer.add(image, name.removesuffix(".png")).notes
        write_image(tmp_path / "images" / name, mask.shape)
    writer.close()
    assert notes[0] == (
        "train/images/a.png: its folder is called images, too, so that programs of YOLO look for its labels in images/train/labels, not in "
        "labels/train/images: call that folder otherwise."
    )
    samples = load_dataset(tmp_path, min_area_px=1, validation_share=0).samples("all")
    assert [sample.objects[0].original_hw for sample in samples] == [(18, 19), (19, 18)]
