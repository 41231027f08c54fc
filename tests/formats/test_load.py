"""Data sets of every layout become samples, and what is left out is told."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.errors import ConfigError, DataError, ImageError
from sam2_adapter.formats.left_out import Reason
from sam2_adapter.formats.load import find_format, load_dataset
from sam2_adapter.formats.sample import Sample
from tests.formats.folders import (
    HW,
    binary,
    coco,
    coco_image,
    coco_object,
    item,
    label_map_folder,
    rectangle,
    write_image,
    write_json,
)

SHARED = Path(__file__).parents[3] / "shared" / "data"
SQUARE = rectangle(4, 5, 12, 13)


def three_images(root: Path) -> Path:
    return label_map_folder(root, {f"{name}.png": [SQUARE] for name in "abc"})


def test_the_layout_is_found_by_looking(tmp_path):
    assert find_format(three_images(tmp_path / "maps")) == "label_maps"
    write_json(tmp_path / "coco" / "annotations.json", coco([], []))
    assert find_format(tmp_path / "coco") == "coco"
    write_image(tmp_path / "dataloop" / "train" / "items" / "a.png")
    assert find_format(tmp_path / "dataloop") == "dataloop"


def test_nothing_known_says_what_is_expected(tmp_path):
    with pytest.raises(
        DataError, match=r"not a known data set\. Expected a Dataloop export .* or COCO .* or label maps"
    ):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        load_dataset(tmp_path / "missing")
    with pytest.raises(
        ConfigError, match=r"Unknown data format 'no-such'\. The choices are dataloop, coco, label_maps, yolo"
    ):
        load_dataset(tmp_path, "no-such")


def test_a_named_layout_that_is_not_there_says_what_is(tmp_path):
    with pytest.raises(
        DataError,
        match=r"not of the data format 'dataloop'\. Expected a Dataloop export \(items/ and json/\); found images/, masks/\. Name another",
    ):
        load_dataset(three_images(tmp_path / "maps"), "dataloop")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"Expected label maps \(images/ and masks/\); found nothing"):
        load_dataset(tmp_path / "empty", "label_maps")
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=r"Expected COCO .*; found a file"):
        load_dataset(tmp_path / "a.txt", "coco")
    with pytest.raises(DataError, match=r"Expected a Dataloop export .*; found a file"):
        load_dataset(tmp_path / "a.txt", "dataloop")


def test_two_layouts_at_once_ask_for_the_one_that_is_meant(tmp_path):
    three_images(tmp_path)
    write_json(tmp_path / "annotations.json", coco([coco_image(1, "a.png")], [coco_object(1, [[0, 0, 9, 0, 9, 9]])]))
    with pytest.raises(DataError, match="looks like coco and like label_maps; name the one that is meant"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, "coco", validation_share=0).samples("train")[0].name == "images/a.png"


def test_a_missing_validation_split_is_made_and_announced(tmp_path, caplog):
    caplog.set_level("INFO")
    dataset = load_dataset(three_images(tmp_path))
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 2, "validation": 1}
    assert dataset.notes == ("No validation split was given: 1 of 3 images were chosen for it at random (seed 0).",)
    assert dataset.notes[0] in caplog.text
    assert load_dataset(tmp_path).splits == dataset.splits


def test_an_empty_validation_split_is_replaced(tmp_path):
    """Before, an empty validation set had the loss 0.0, so that the first epoch was the best one."""
    three_images(tmp_path)
    write_json(tmp_path / "split.json", {"train": ["a", "b"], "validation": [], "test": ["c"]})
    dataset = load_dataset(tmp_path)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 1,
        "test": 1,
        "validation": 1,
    }
    assert len(dataset.notes) == 1


def test_a_split_file_is_followed(tmp_path):
    three_images(tmp_path)
    write_json(tmp_path / "split.json", {"train": ["a"], "validation": ["b.png"]})
    dataset = load_dataset(tmp_path)
    assert [sample.name for sample in dataset.samples("train")] == ["a.png"]
    assert [sample.name for sample in dataset.samples("validation")] == ["b.png"]
    assert [sample.name for sample in dataset.samples("all")] == ["a.png", "b.png"]
    assert dataset.left_out.count(Reason.NOT_IN_SPLIT) == 1
    assert dataset.notes == ()


def test_a_split_that_is_not_there_lists_those_that_are(tmp_path):
    dataset = load_dataset(three_images(tmp_path))
    with pytest.raises(DataError, match=r"no usable images in the split 'test'; it has train, validation \(or all\)"):
        dataset.samples("test")


def test_nothing_left_is_an_error_that_shows_why(tmp_path):
    root = label_map_folder(tmp_path, {"a.png": [rectangle(0, 0, 3, 3)], "b.png": [np.zeros(HW, bool)]})
    with pytest.raises(DataError) as caught:
        load_dataset(root)
    text = str(caught.value)
    assert "nothing in this data set can be used" in text
    assert re.search(r"1  object  mask is too small +a\.png: object 1 \(9 px\)", text)
    assert re.search(r"1  image   image has no annotation +b\.png", text)


def test_the_limit_of_small_objects_is_the_callers(tmp_path):
    label_map_folder(tmp_path, {"a.png": [rectangle(0, 0, 1, 1), SQUARE]})
    assert load_dataset(tmp_path, min_area_px=1).label_counts == {"object": 2 * 1}
    dataset = load_dataset(tmp_path, min_area_px=2, validation_share=0)
    assert [annotation.area for annotation in dataset.samples("train")[0].objects] == [64]
    assert dataset.left_out.count(Reason.TOO_SMALL) == 1


def test_an_image_in_two_splits_is_refused(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    document = coco([coco_image(1, "a.png")], [coco_object(1, [[0, 0, 9, 0, 9, 9, 0, 9]])])
    for split in ("train", "val"):
        write_json(tmp_path / "annotations" / f"instances_{split}.json", document)
    with pytest.raises(
        DataError, match=r"images/a\.png is in 'train' and in 'validation': results on it would be too good"
    ):
        load_dataset(tmp_path)


def test_samples_read_their_image_when_asked(tmp_path):
    dataset = load_dataset(three_images(tmp_path))
    sample = dataset.samples("train")[0]
    assert sample.read_image().shape == (*HW, 3)
    np.testing.assert_array_equal(sample.gt_masks, [SQUARE])
    write_image(sample.image_path, (9, 9))
    with pytest.raises(
        ImageError, match=r"has \(height, width\) \(9, 9\), but had \(24, 32\) when the data set was read"
    ):
        sample.read_image()
    sample.image_path.write_bytes(b"broken")
    with pytest.raises(ImageError, match=sample.name):
        sample.read_image()


def test_a_sample_checks_its_masks():
    with pytest.raises(DataError, match="a sample needs at least one object"):
        Sample("a", Path("a"), HW, ())
    with pytest.raises(DataError, match="object 0 has"):
        Sample("a", Path("a"), (5, 5), (Annotation.from_mask(SQUARE, "x"),))


def test_an_item_without_masks_costs_only_itself(tmp_path):
    """Before, an empty mask, a full frame or a broken image ended the run."""
    full = np.ones(HW, bool)
    for name, mask in {"a": SQUARE, "b": np.zeros(HW, bool), "c": full}.items():
        write_image(tmp_path / "items" / f"{name}.png")
        write_json(tmp_path / "json" / f"{name}.json", item(f"/{name}.png", binary(mask)))
    (tmp_path / "items" / "d.png").write_bytes(b"\x89PNG broken")
    write_json(tmp_path / "json" / "d.json", item("/d.png", binary(SQUARE)))
    dataset = load_dataset(tmp_path, validation_share=0)
    assert [sample.name for sample in dataset.samples("train")] == ["a.png", "c.png"]
    assert dataset.left_out.count(Reason.EMPTY) == 1
    assert dataset.left_out.count(Reason.BROKEN_IMAGE) == 1


@pytest.mark.parametrize(
    ("name", "images", "objects"),
    [("coco-objects", 24, 27), pytest.param("nuclei-dsb2018", 26, 1393, marks=pytest.mark.slow)],
)
def test_real_label_maps(name, images, objects):
    if not (SHARED / name).is_dir():
        pytest.skip("the shared data are not there")
    dataset = load_dataset(SHARED / name)
    assert len(dataset.samples("test")) == images
    assert sum(len(sample.objects) for sample in dataset.samples("test")) == objects
    assert not dataset.left_out


MARKER = '{"sam2-adapter": "0.2.0", "command": "predict", "entries": ["masks", "overlays"]}\n'


def test_masks_that_predict_wrote_beside_the_images_can_be_trained_on(tmp_path):
    three_images(tmp_path)
    write_image(tmp_path / "overlays" / "a.jpg")
    (tmp_path / ".sam2-adapter.jsonl").write_text(MARKER)
    dataset = load_dataset(tmp_path, validation_share=0)
    assert [sample.name for sample in dataset.samples("train")] == ["a.png", "b.png", "c.png"]
    assert dataset.notes == ("1 folder of masks that predict made, taken as true masks (masks).",)
    assert not dataset.left_out


def test_a_data_set_stays_what_it_is_when_predict_writes_into_it(tmp_path):
    three_images(tmp_path)
    (tmp_path / ".sam2-adapter.jsonl").write_text(MARKER)
    document = coco([coco_image(1, "a.png")], [coco_object(1, [[0, 0, 9, 0, 9, 9, 0, 9]])])
    write_json(tmp_path / "instances.json", document)
    assert find_format(tmp_path) == "coco"


def test_folders_that_are_not_called_like_splits_are_one_data_set(tmp_path):
    for folder, name in (("cats", "a.png"), ("cats", "b.png"), ("dogs", "a.png")):
        label_map_folder(tmp_path / folder, {name: [SQUARE]})
    dataset = load_dataset(tmp_path, validation_share=0)
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["b.png", "cats/a.png", "dogs/a.png"]
    }
    assert dataset.notes == (
        "2 folders not called like a split (train, validation, test), read as one data set (cats, dogs).",
    )
    label_map_folder(tmp_path / "val", {"c.png": [SQUARE]})
    assert sorted(load_dataset(tmp_path).splits) == ["cats", "dogs", "validation"]


def test_annotated_images_of_kinds_that_are_not_read_are_said(tmp_path):
    label_map_folder(tmp_path, {"a.png": [SQUARE], "b.png": [SQUARE]})
    (tmp_path / "images" / "b.png").rename(tmp_path / "images" / "b.psd")
    assert load_dataset(tmp_path, validation_share=0).notes == (
        f"Passed over: 1 picture of another format ({tmp_path / 'images' / 'b.psd'}); save it as PNG or JPEG.",
    )
    (tmp_path / "images" / "a.png").rename(tmp_path / "images" / "a.dcm")
    with pytest.raises(DataError, match=r"annotated image is not here(.|\n)*Passed over: 1 medical image"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seed": "x"}, "seed is a whole number of at least 0, but got 'x'"),
        ({"seed": -1}, "seed is a whole number"),
        ({"ignore_label": "255"}, "ignore_label is a whole number of at least 0, but got '255'"),
        ({"ignore_label": True}, "ignore_label is a whole number"),
        ({"include_crowds": "no"}, "include_crowds is True or False, but got 'no'"),
        ({"include_model_annotations": 1}, "include_model_annotations is True or False"),
        ({"split_parts": "false"}, "split_parts is True or False"),
        ({"default_label": ""}, "default_label is a text that is not empty"),
        ({"default_label": 5}, "default_label is a text that is not empty, but got 5"),
    ],
)
def test_options_of_other_kinds_are_refused_by_name(tmp_path, options, text):
    with pytest.raises(ConfigError, match=text):
        load_dataset(three_images(tmp_path), **options)


def test_a_path_that_is_too_long_is_not_there():
    with pytest.raises(DataError, match="there is no such folder"):
        load_dataset("x" * 5000)


def test_the_file_of_splits_may_be_in_capitals(tmp_path):
    write_json(three_images(tmp_path) / "Split.JSON", {"train": ["a"], "test": ["b", "c"]})
    assert {split: len(samples) for split, samples in load_dataset(tmp_path, validation_share=0).splits.items()} == {
        "train": 1, "test": 2,
    }  # fmt: skip
