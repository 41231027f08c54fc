"""Label maps with their images, for formats that keep the two in any folders."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.label_maps.paired import PairedMasks, boxes_of_numbers
from sam2_adapter.formats.label_maps.reading import LabelMap
from sam2_adapter.formats.left_out import LeftOut, Reason
from tests.formats.folders import label_map, rectangle, write_image, write_label_map

FIRST, SECOND = rectangle(2, 2, 12, 14), rectangle(16, 4, 28, 20)


def test_boxes_of_numbers():
    numbers = label_map(FIRST, SECOND).astype(np.uint32) * 7
    assert boxes_of_numbers(numbers) == {7: (slice(2, 14), slice(2, 12)), 14: (slice(4, 20), slice(16, 28))}


@pytest.mark.parametrize("ignore_label", [None, 2])
def test_labels_are_asked_for_with_the_numbers_that_are_objects(tmp_path, ignore_label):
    asked = []

    def labels_of(image, mask, numbers, boxes):
        assert boxes == boxes_of_numbers(numbers)
        asked.append((image, mask, np.unique(numbers).tolist()))
        return {"1": "cat"}

    images = {"a.jpg": write_image(tmp_path / "x" / "a.jpg")}
    masks = {name: write_label_map(tmp_path / "y" / name, label_map(FIRST, SECOND)) for name in ("a.png", "b.png")}
    left_out = LeftOut()
    options = ReadingOptions(ignore_label=ignore_label)
    (sample,) = PairedMasks(images, masks, labels_of, options, left_out, folder="y").read()
    objects = [FIRST] if ignore_label else [FIRST, SECOND]
    np.testing.assert_array_equal(sample.gt_masks, objects)
    assert [found.label for found in sample.objects] == ["cat", "object"][: len(objects)]
    assert asked == [("a.jpg", "a.png", [0, 1] if ignore_label else [0, 1, 2])]
    assert left_out.count(Reason.NO_IMAGE) == 1


@pytest.mark.parametrize("numbers_may_be_classes", [True, False])
def test_a_format_reads_its_own_maps_and_knows_what_numbers_are(tmp_path, numbers_may_be_classes):
    parts = rectangle(0, 0, 6, 6) | rectangle(10, 0, 16, 6) | rectangle(20, 0, 26, 6)
    left_out = LeftOut()
    (sample,) = PairedMasks(
        {"a.jpg": write_image(tmp_path / "a.jpg")},
        {"a.png": write_image(tmp_path / "a.png")},
        lambda *_: {},
        ReadingOptions(),
        left_out,
        folder="y",
        numbers_may_be_classes=numbers_may_be_classes,
        read_map=lambda _: LabelMap(parts.astype(np.uint32), "read in its own way"),
    ).read()
    np.testing.assert_array_equal(sample.gt_masks, [parts])
    assert ("split_parts" in " ".join(left_out.remarks)) == numbers_may_be_classes
    assert "1 mask read in its own way (a.png)." in left_out.remarks


def test_thousands_of_masks_of_no_image_take_no_time(tmp_path):
    names = [f"{number:05}" for number in range(4_000)]
    images = {f"{name}.jpg": tmp_path / name for name in names}
    masks = {f"mask of {name}.png": tmp_path / name for name in names}
    left_out = LeftOut()
    started = time.process_time()
    reader = PairedMasks(images, masks, lambda *_: {}, ReadingOptions(), left_out, folder="masks")
    assert not reader.read()
    assert time.process_time() - started < 2
    assert left_out.remarks[0].startswith("4000 masks of no image")
