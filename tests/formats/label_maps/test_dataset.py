"""`images/` and `masks/`."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.label_maps.dataset import read_label_map_data
from sam2_adapter.formats.left_out import LeftOut, Reason
from tests.formats.folders import HW, label_map, label_map_folder, rectangle, write_image, write_json, write_label_map

FIRST, SECOND = rectangle(2, 3, 10, 12), rectangle(15, 5, 30, 20)


def read(root):
    left_out = LeftOut()
    return read_label_map_data(root, ReadingOptions(), left_out), left_out


def test_every_number_is_an_object(tmp_path):
    (sample,) = read(label_map_folder(tmp_path, {"a.png": [FIRST, SECOND]}))[0][""]
    np.testing.assert_array_equal(sample.gt_masks, [FIRST, SECOND])
    assert [annotation.label for annotation in sample.objects] == ["object", "object"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_of_8_and_16_bits(tmp_path, dtype):
    write_image(tmp_path / "images" / "a.jpg")
    top = np.iinfo(dtype).max
    write_label_map(tmp_path / "masks" / "a.png", np.where(FIRST, top, SECOND).astype(dtype))
    (sample,) = read(tmp_path)[0][""]
    np.testing.assert_array_equal(sample.gt_masks, [SECOND, FIRST])


def test_palettes_are_numbers_not_colours(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    palette = Image.fromarray(label_map(FIRST, SECOND)).convert("P")
    palette.putdata(label_map(FIRST, SECOND).ravel().tolist())
    palette.putpalette([0, 0, 0, 0, 0, 0, 0, 0, 0])
    (tmp_path / "masks").mkdir()
    palette.save(tmp_path / "masks" / "a.png")
    (sample,) = read(tmp_path)[0][""]
    assert len(sample.objects) == 2


def test_pairs_by_name_whatever_the_order_and_suffix(tmp_path):
    """Before, sorted lists of images and annotations were zipped, and one file more on one side shifted all pairs."""
    masks = {"a.JPG": FIRST, "b.jpg": SECOND, "c.webp": FIRST, "d.PNG": SECOND, "sub/a.jpeg": SECOND}
    label_map_folder(tmp_path, {name: [mask] for name, mask in masks.items()})
    (tmp_path / "masks" / "a.png").rename(tmp_path / "masks" / "a.PNG")
    write_image(tmp_path / "images" / "0.png")
    write_label_map(tmp_path / "masks" / "zz.png", label_map(FIRST))
    samples, left_out = read(tmp_path)
    assert {sample.name for sample in samples[""]} == set(masks)
    for sample in samples[""]:
        np.testing.assert_array_equal(sample.gt_masks, [masks[sample.name]])
    assert left_out.count(Reason.NO_ANNOTATION) == 1
    assert left_out.count(Reason.NO_IMAGE) == 1


def test_two_images_of_one_stem_are_left_out(tmp_path):
    label_map_folder(tmp_path, {"a.png": [FIRST], "b.png": [FIRST]})
    write_image(tmp_path / "images" / "a.jpg")
    samples, left_out = read(tmp_path)
    assert [sample.name for sample in samples[""]] == ["b.png"]
    assert next(iter(left_out))["examples"] == ["a.jpg, a.png, a.png"]


def test_broken_files_and_other_sizes_are_counted(tmp_path):
    label_map_folder(tmp_path, {name: [FIRST] for name in ("a.png", "b.png", "c.png", "d.png", "e.png")})
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    (tmp_path / "masks" / "b.png").write_bytes(b"no image")
    write_image(tmp_path / "images" / "c.png", (5, 5))
    write_image(tmp_path / "masks" / "d.png")
    samples, left_out = read(tmp_path)
    assert [sample.name for sample in samples[""]] == ["e.png"]
    assert left_out.count(Reason.BROKEN_IMAGE) == 1
    assert left_out.count(Reason.OTHER_SIZE) == 1
    assert left_out.count(Reason.BROKEN_FILE) == 2


def test_masks_lie_in_the_upright_frame(tmp_path):
    write_image(tmp_path / "images" / "a.jpg", HW[::-1], orientation=6)
    write_label_map(tmp_path / "masks" / "a.png", label_map(FIRST))
    (sample,) = read(tmp_path)[0][""]
    assert sample.original_hw == HW
    assert sample.read_image().shape[:2] == HW


def test_labels_by_image_or_for_all(tmp_path):
    label_map_folder(tmp_path, {"a.png": [FIRST, SECOND], "sub/b.png": [FIRST]})
    write_json(tmp_path / "categories.json", {"a": {"1": "cat", "2": "dog"}, "sub/b": {"1": "cow"}, "1": "cell"})
    labels = {sample.name: [o.label for o in sample.objects] for sample in read(tmp_path)[0][""]}
    assert labels == {"a.png": ["cat", "dog"], "sub/b.png": ["cow"]}
    write_json(tmp_path / "categories.json", {"1": "cell"})
    assert [o.label for o in read(tmp_path)[0][""][0].objects] == ["cell", "object"]
    write_json(tmp_path / "categories.json", {"1": 3})
    with pytest.raises(DataError, match=r"categories\.json: expected"):
        read(tmp_path)


def test_split_folders(tmp_path):
    label_map_folder(tmp_path / "train", {"a.png": [FIRST]})
    label_map_folder(tmp_path / "val", {"a.png": [SECOND]})
    samples, _ = read(tmp_path)
    assert {split: len(found) for split, found in samples.items()} == {"train": 1, "validation": 1}
    label_map_folder(tmp_path / "valid", {"a.png": [SECOND]})
    with pytest.raises(DataError, match="both val and valid are the validation split"):
        read(tmp_path)
