"""COCO data sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sam2_adapter.annotations.objects import mask_to_rle
from sam2_adapter.errors import DataError
from sam2_adapter.formats.coco.dataset import is_coco_data, listed_labels, read_coco_data
from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.load import find_format
from tests.formats.folders import HW, coco, coco_image, coco_object, rectangle, write_image, write_json

SQUARE = [[2, 3, 10, 3, 10, 12, 2, 12]]
MASK = rectangle(2, 3, 10, 12)


def read(root, **options):
    left_out = LeftOut()
    return read_coco_data(root, ReadingOptions(**options), left_out), left_out


def one_image(root, *segmentations, **extra):
    write_image(root / "images" / "a.png")
    annotations = [coco_object(5, segmentation, **extra) for segmentation in segmentations]
    write_json(root / "annotations.json", coco([coco_image(5, "a.png")], annotations))
    return root


def test_polygons_and_both_kinds_of_rle(tmp_path):
    flat = MASK.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    size = list(HW)
    compressed = {"size": size, "counts": mask_to_rle(MASK).counts}
    for number, segmentation in enumerate((SQUARE, {"size": size, "counts": runs}, compressed)):
        (sample,) = read(one_image(tmp_path / str(number), segmentation))[0][""]
        np.testing.assert_array_equal(sample.gt_masks, [MASK])
        assert [annotation.label for annotation in sample.objects] == ["cat"]


def test_extra_fields_are_nobodys_business(tmp_path):
    root = one_image(tmp_path, SQUARE, score=17, attributes=["any"], object_id=3)
    (sample,) = read(root)[0][""]
    assert sample.objects[0].iou_score == 1.0


def test_parts_of_an_object_belong_together(tmp_path):
    (sample,) = read(one_image(tmp_path, [*SQUARE, [20, 0, 26, 0, 26, 6, 20, 6]]))[0][""]
    np.testing.assert_array_equal(sample.gt_masks[0], MASK | rectangle(20, 0, 26, 6))


def test_crowds_and_what_cannot_be_read_are_counted(tmp_path):
    outside = [[40, 0, 50, 0, 50, 9, 40, 9]]
    unseen = [[2.1, 3.1, 2.4, 3.1, 2.4, 3.4]]
    root = one_image(tmp_path, SQUARE, [[1, 2, 3]], {"size": [9, 9], "counts": [81]}, outside, unseen, None)
    document = coco(
        [coco_image(5, "a.png")],
        [
            *(
                coco_object(5, s)
                for s in (SQUARE, [[1, 2, 3]], {"size": [9, 9], "counts": [81]}, outside, unseen, None)
            ),
            coco_object(5, SQUARE, iscrowd=1),
            coco_object(17, SQUARE),
        ],
    )
    write_json(root / "annotations.json", document)
    samples, left_out = read(root)
    assert len(samples[""][0].objects) == 1
    assert {str(row["reason"]): row["count"] for row in left_out} == {
        Reason.MALFORMED: 2,
        Reason.OUTSIDE: 1,
        Reason.EMPTY: 1,
        Reason.UNSUPPORTED_TYPE: 1,
        Reason.CROWD: 1,
        Reason.NO_IMAGE_ENTRY: 1,
    }


def test_images_are_found_by_name_not_by_order(tmp_path):
    for name in ("b.png", "images/a.JPG", "images/sub/c.webp"):
        write_image(tmp_path / name)
    boxes = {"c.webp": 0, "images/a.JPG": 10, "b.png": 20}
    images = [coco_image(index, name) for index, name in enumerate(boxes)]
    squares = [coco_object(i, [[x, 0, x + 9, 0, x + 9, 9, x, 9]], 7) for i, x in enumerate(boxes.values())]
    write_json(tmp_path / "annotations.json", coco(images, squares[::-1]))
    samples, left_out = read(tmp_path)
    found = {sample.name: sample.objects[0].box_xyxy[0] for sample in samples[""]}
    assert found == {"images/sub/c.webp": 0, "images/a.JPG": 10, "b.png": 20}
    assert not left_out


def test_names_are_looked_up_never_opened(tmp_path):
    root = one_image(tmp_path / "data", SQUARE)
    secret = write_image(tmp_path / "secret.png")
    names = ["../secret.png", str(secret), "missing.png", "a.png"]
    images = [coco_image(index, name) for index, name in enumerate(names)]
    write_json(root / "annotations.json", coco(images, [coco_object(i, SQUARE) for i in range(4)]))
    samples, left_out = read(root)
    assert [sample.image_path for sample in samples[""]] == [root / "images" / "a.png"]
    assert left_out.count(Reason.NO_IMAGE) == 3


def test_ambiguous_names_are_left_out_and_repeated_ones_are_one_image(tmp_path):
    for name in ("x/a.png", "y/a.png", "b.png"):
        write_image(tmp_path / name)
    images = [coco_image(1, "a.png"), coco_image(2, "b.png"), coco_image(3, "b.png")]
    write_json(tmp_path / "annotations.json", coco(images, [coco_object(i, SQUARE) for i in (1, 2, 3)]))
    samples, left_out = read(tmp_path)
    assert [sample.name for sample in samples[""]] == ["b.png"]
    assert left_out.count(Reason.DUPLICATE_NAME) == 1
    assert left_out.remarks == (
        "1 image listed more than once: the objects of all its entries were put together (b.png).",
    )


def test_an_image_of_another_size_is_left_out(tmp_path):
    root = one_image(tmp_path, SQUARE)
    write_image(root / "images" / "a.png", (12, 16))
    samples, left_out = read(root)
    assert samples == {"": []}
    (row,) = left_out
    assert (row["reason"], row["examples"]) == (Reason.OTHER_SIZE, ["images/a.png (32x24 in the file, 16x12 here)"])


def test_splits_are_named_by_their_files(tmp_path):
    for split, year in (("train", "2017"), ("val", "2017"), ("test", "")):
        write_image(tmp_path / f"{split}{year}" / "a.png")
        document = coco([coco_image(1, "a.png")], [coco_object(1, SQUARE)])
        write_json(tmp_path / "annotations" / f"instances_{split}{year}.json", document)
    write_json(tmp_path / "annotations" / "captions_train2017.json", {})
    samples, left_out = read(tmp_path)
    assert {split: found[0].name for split, found in samples.items()} == {
        "train": "train2017/a.png",
        "validation": "val2017/a.png",
        "test": "test/a.png",
    }
    assert not left_out


def test_one_file_in_each_split_folder(tmp_path):
    for split in ("train", "valid"):
        write_image(tmp_path / split / "a.png")
        document = coco([coco_image(1, "a.png")], [coco_object(1, SQUARE)])
        write_json(tmp_path / split / "_annotations.coco.json", document)
    assert set(read(tmp_path)[0]) == {"train", "validation"}


def test_a_file_may_be_named(tmp_path):
    root = one_image(tmp_path, SQUARE)
    assert len(read(root / "annotations.json")[0][""]) == 1


def test_images_that_no_entry_names_are_counted(tmp_path):
    root = one_image(tmp_path, SQUARE)
    write_image(root / "images" / "b.png")
    assert read(root)[1].count(Reason.NO_ANNOTATION) == 1


@pytest.mark.parametrize("content", [{}, {"images": []}, {"images": {}, "annotations": [], "categories": []}])
def test_other_files_are_refused(tmp_path, content):
    write_json(tmp_path / "annotations.json", content)
    with pytest.raises(DataError, match=r"annotations\.json: not a COCO file: expected a list '"):
        read(tmp_path)


@pytest.mark.parametrize("crowd", [1, True, "1"])
def test_brush_masks_marked_as_crowds_are_said_and_can_be_used(tmp_path, crowd):
    write_image(tmp_path / "images" / "a.png")
    brush = coco_object(5, {"size": list(HW), "counts": mask_to_rle(MASK).counts}, iscrowd=crowd)
    objects = [coco_object(5, SQUARE), brush, brush]
    write_json(tmp_path / "annotations.json", coco([coco_image(5, "a.png")], objects))
    samples, left_out = read(tmp_path)
    assert len(samples[""][0].objects) == 1
    assert left_out.count(Reason.CROWD) == 2
    assert "2 objects marked 'iscrowd': 1" in left_out.remarks[0]
    assert "include_crowds=true" in left_out.remarks[0]
    (sample,) = read(tmp_path, include_crowds=True)[0][""]
    np.testing.assert_array_equal(sample.gt_masks, [MASK])


def test_a_file_of_nothing_but_crowds_holds_single_objects(tmp_path):
    """A real crowd stands beside single objects; a tool that marks every brush mask marks them all."""
    root = one_image(tmp_path, SQUARE, {"size": list(HW), "counts": mask_to_rle(MASK).counts}, iscrowd=1)
    samples, left_out = read(root)
    np.testing.assert_array_equal(samples[""][0].gt_masks, [MASK])
    assert left_out.count(Reason.CROWD) == 0
    assert "2 objects marked 'iscrowd': 1, as every object of the file is" in left_out.remarks[0]


@pytest.mark.parametrize("crowd", [0, False, None, "0", "false"])
def test_other_forms_of_no_crowd(tmp_path, crowd):
    assert len(read(one_image(tmp_path, SQUARE, iscrowd=crowd))[0][""][0].objects) == 1


def test_an_object_without_a_category_takes_the_default_label(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    objects = [coco_object(1, SQUARE, category) for category in (None, 99, 5, True)]
    del objects[0]["category_id"]
    document = {**coco([coco_image(1, "a.png")], objects), "categories": [{"id": 5, "name": ""}, {"name": "x"}]}
    write_json(tmp_path / "annotations.json", document)
    samples, left_out = read(tmp_path, default_label="part")
    assert [annotation.label for annotation in samples[""][0].objects] == ["part"]
    assert left_out.remarks[0].startswith(
        "4 objects without a known category, labelled 'part' (images/a.png: annotation 0, "
    )
    del document["categories"]
    write_json(tmp_path / "annotations.json", document)
    assert read(tmp_path)[1].remarks[0].startswith("4 objects without a known category, labelled 'object'")


def test_degenerate_rings_are_passed_over_beside_good_ones(tmp_path):
    samples, left_out = read(one_image(tmp_path, [[1, 2, 3, 4], *SQUARE, []], [[1, 2, 3, 4]]))
    np.testing.assert_array_equal(samples[""][0].gt_masks, [MASK])
    assert left_out.remarks == (
        "2 rings of fewer than three points passed over in a polygon that has others (images/a.png: annotation 0, images/a.png: annotation 0).",
    )
    (row,) = left_out
    assert row["examples"] == [
        "images/a.png: annotation 1: 'segmentation' needs a polygon of at least three points, but got [[1, 2, 3, 4]]."
    ]


def test_a_photograph_listed_with_its_size_from_before_turning(tmp_path):
    write_image(tmp_path / "images" / "a.jpg", HW[::-1], orientation=6)
    write_image(tmp_path / "images" / "b.jpg", HW[::-1], orientation=6)
    images = [coco_image(1, "a.jpg", HW[::-1]), coco_image(2, "b.jpg", HW[::-1])]
    wide = [[20, 3, 31, 3, 31, 12, 20, 12]]
    write_json(tmp_path / "annotations.json", coco(images, [coco_object(1, wide), coco_object(2, SQUARE)]))
    samples, left_out = read(tmp_path)
    assert [(sample.name, sample.objects[0].box_xyxy) for sample in samples[""]] == [("images/a.jpg", (20, 3, 31, 12))]
    assert "EXIF orientation" in left_out.remarks[0]
    (row,) = left_out
    assert row["reason"] == Reason.TURNED
    assert "EXIF orientation" in row["reason"]


def test_results_of_predict_are_no_images_of_a_data_set(tmp_path):
    root = one_image(tmp_path, SQUARE)
    write_image(root / "predictions" / "overlays" / "a.png")
    write_json(root / "predictions" / "annotations.json", coco([], []))
    (root / "predictions" / ".sam2-adapter.jsonl").write_text(
        '{"sam2-adapter": "0.2.0", "command": "predict", "entries": ["annotations.json", "overlays"]}\n'
    )
    samples, left_out = read(root)
    assert [sample.name for sample in samples[""]] == ["images/a.png"]
    assert not left_out


def test_frames_of_a_video_that_is_not_here_are_not_those_of_another(tmp_path):
    write_image(tmp_path / "v" / "1.png")
    images = [coco_image(1, "v/1.png"), coco_image(2, "w/1.png")]
    write_json(tmp_path / "annotations.json", coco(images, [coco_object(1, SQUARE), coco_object(2, SQUARE)]))
    samples, left_out = read(tmp_path)
    assert [len(sample.objects) for sample in samples[""]] == [1]
    assert left_out.count(Reason.NO_IMAGE) == 1


def test_an_image_of_another_split_is_not_taken_for_one_that_is_missing(tmp_path):
    write_image(tmp_path / "val" / "a.png")
    write_json(tmp_path / "annotations" / "train.json", coco([coco_image(1, "train/a.png")], [coco_object(1, SQUARE)]))
    samples, left_out = read(tmp_path)
    assert samples == {"train": []}
    assert left_out.count(Reason.NO_IMAGE) == 1


def test_label_files_of_labelme_in_the_same_place_are_no_coco(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    document = {"version": "5.5.0", "shapes": [], "imagePath": "a.png"}
    assert not is_coco_data(write_json(tmp_path / "annotations" / "a.json", document))
    assert not is_coco_data(tmp_path)
    assert find_format(tmp_path) == "labelme"


def test_fractions_are_called_so_and_objects_listed_again_are_used_once(tmp_path):
    fractions = [[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]]
    samples, left_out = read(one_image(tmp_path, SQUARE, fractions, SQUARE))
    np.testing.assert_array_equal(samples[""][0].gt_masks, [MASK])
    assert left_out.count(Reason.FRACTIONS) == 1
    assert left_out.remarks == (
        "1 object listed again with the same label and the same mask, used once (images/a.png: cat 2).",
    )


@pytest.mark.parametrize("name", [" a.png", "a.png\n", "\ta.png  "])
def test_blanks_around_a_name(tmp_path, name):
    write_image(tmp_path / "images" / "a.png")
    write_json(tmp_path / "annotations.json", coco([coco_image(5, name)], [coco_object(5, SQUARE)]))
    assert [sample.name for sample in read(tmp_path)[0][""]] == ["images/a.png"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_files_as_windows_writes_them(tmp_path, encoding):
    root = one_image(tmp_path, SQUARE)
    path = root / "annotations.json"
    path.write_bytes(path.read_text().encode(encoding))
    np.testing.assert_array_equal(read(root)[0][""][0].gt_masks, [MASK])


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((2, 10, 1), ["c", "a", "b"]),
        ((5, -1, "3"), ["b", "c", "a"]),
        ((90, 0, -2.0), ["c", "b", "a"]),
        (("x", 1, 2), ["a", "b", "c"]),
        (("9" * 5000, 2, 1), ["a", "b", "c"]),
        (("\u00b2", 2, 1), ["a", "b", "c"]),
    ],
)
def test_listed_labels_come_in_the_order_of_their_ids(tmp_path, ids, expected):
    categories = [{"id": number, "name": name} for number, name in zip(ids, "abc", strict=True)]
    document = {"images": [], "annotations": [], "categories": categories}
    write_json(tmp_path / "annotations" / "instances_train.json", document)
    write_json(tmp_path / "annotations" / "instances_val.json", {**document, "categories": [{"id": 7, "name": "d"}]})
    assert listed_labels(tmp_path) == [*expected, "d"]


def test_segmentations_as_texts_are_read_as_what_they_hold(tmp_path):
    outside = "[[100, 100, 110, 100, 110, 110]]"
    samples, left_out = read(one_image(tmp_path, json.dumps(SQUARE), outside, "[]", "nan"))
    (found,) = samples[""][0].objects
    np.testing.assert_array_equal(found.mask, MASK)
    assert {row["reason"]: row["count"] for row in left_out} == {
        Reason.OUTSIDE: 1,
        Reason.UNSUPPORTED_TYPE: 1,
        Reason.MALFORMED: 1,
    }


@pytest.mark.parametrize("other", ["gru\u0308n 1.png", "gr\u00fcn%201.png", "./gr\u00fcn 1.png"])
def test_one_image_under_two_spellings_has_the_objects_of_both(tmp_path, other):
    write_image(tmp_path / "gr\u00fcn 1.png")
    images = [coco_image(1, "gr\u00fcn 1.png"), coco_image(2, other)]
    squares = [coco_object(1, SQUARE), coco_object(2, [[20, 3, 30, 3, 30, 12]])]
    write_json(tmp_path / "annotations.json", coco(images, squares))
    samples, left_out = read(tmp_path)
    assert len(samples[""][0].objects) == 2
    assert not left_out
    assert left_out.remarks[0].startswith(
        "1 image listed more than once: the objects of all its entries were put together"
    )


def test_a_name_in_another_case_beside_the_images_own_is_another_image(tmp_path):
    write_image(tmp_path / "a.png")
    images = [coco_image(1, "a.png"), coco_image(2, "A.png")]
    write_json(tmp_path / "annotations.json", coco(images, [coco_object(1, SQUARE), coco_object(2, SQUARE)]))
    samples, left_out = read(tmp_path)
    assert [len(sample.objects) for sample in samples[""]] == [1]
    assert [(row["reason"], row["examples"]) for row in left_out] == [(Reason.NO_IMAGE, ["A.png"])]
