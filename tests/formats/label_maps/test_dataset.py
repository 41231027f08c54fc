"""`images/` and `masks/`."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.label_maps.dataset import listed_labels, read_label_map_data
from sam2_adapter.formats.left_out import LeftOut, Reason
from tests.formats.folders import HW, label_map, label_map_folder, rectangle, write_image, write_json, write_label_map

FIRST, SECOND = rectangle(2, 3, 10, 12), rectangle(15, 5, 30, 20)


def read(root, **options):
    left_out = LeftOut()
    return read_label_map_data(root, ReadingOptions(**options), left_out), left_out


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
    noise = np.random.default_rng(0).integers(0, 255, HW, np.uint8)
    write_label_map(tmp_path / "masks" / "d.png", noise)
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


def test_split_folders(tmp_path):
    label_map_folder(tmp_path / "train", {"a.png": [FIRST]})
    label_map_folder(tmp_path / "val", {"a.png": [SECOND]})
    samples, _ = read(tmp_path)
    assert {split: len(found) for split, found in samples.items()} == {"train": 1, "validation": 1}
    label_map_folder(tmp_path / "valid", {"a.png": [SECOND]})
    with pytest.raises(DataError, match="both val and valid are the validation split"):
        read(tmp_path)


def test_masks_of_other_habits_are_paired(tmp_path):
    for image, mask in {
        "a.jpg": "a_mask.png",
        "b.jpg": "b.jpg.png",
        "sub/c.png": "sub/C_Masks.tif",
        "d.png": "d-seg.png",
    }.items():
        write_image(tmp_path / "Images" / image)
        write_label_map(tmp_path / "MASKS" / mask, label_map(FIRST))
    samples, left_out = read(tmp_path)
    assert sorted(sample.name for sample in samples[""]) == ["a.jpg", "b.jpg", "d.png", "sub/c.png"]
    assert not left_out


def test_a_jpeg_of_two_values_is_one_object_and_says_so(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    Image.fromarray(FIRST.astype(np.uint8) * 255).save(tmp_path / "masks" / "a.jpg", quality=60)
    samples, left_out = read(tmp_path)
    np.testing.assert_array_equal(samples[""][0].gt_masks, [FIRST])
    assert left_out.remarks == (
        "1 mask with soft edges, read as one object: the pixels of at least half the largest value (a.jpg).",
    )


@pytest.mark.parametrize("void", [255, 65_535])
def test_a_void_number_is_said_and_can_be_left_out(tmp_path, void):
    border = rectangle(1, 2, 11, 13) & ~FIRST
    write_image(tmp_path / "images" / "a.png")
    numbers = label_map(FIRST, SECOND, dtype=np.uint8 if void == 255 else np.uint16)
    numbers[border] = void
    write_label_map(tmp_path / "masks" / "a.png", numbers)
    samples, left_out = read(tmp_path)
    assert len(samples[""][0].objects) == 3
    assert samples[""][0].ignored is None
    assert f"the number {void} beside" in left_out.remarks[0]
    assert f"ignore_label={void}" in left_out.remarks[0]
    samples, left_out = read(tmp_path, ignore_label=void)
    np.testing.assert_array_equal(samples[""][0].gt_masks, [FIRST, SECOND])
    np.testing.assert_array_equal(samples[""][0].ignored_mask, border)
    assert not left_out.remarks
    assert read(tmp_path, ignore_label=77)[0][""][0].ignored is None


def test_a_number_of_many_parts_is_said_and_can_be_split(tmp_path):
    parts = [rectangle(x, 2, x + 4, 8) for x in (0, 6, 12)]
    label_map_folder(tmp_path, {"a.png": [parts[0] | parts[1] | parts[2]], "b.png": [FIRST]})
    samples, left_out = read(tmp_path)
    assert [len(sample.objects) for sample in samples[""]] == [1, 1]
    assert left_out.remarks[0].startswith("1 mask with one number in many separate parts, read as one object")
    assert "split_parts=true (a.png: 3 parts)" in left_out.remarks[0]
    samples, left_out = read(tmp_path, split_parts=True)
    np.testing.assert_array_equal(samples[""][0].gt_masks, parts)
    assert not left_out.remarks


def test_masks_that_predict_wrote_are_read_with_their_labels(tmp_path):
    label_map_folder(tmp_path, {"sub/a.png": [FIRST, SECOND]})
    for number, mask in enumerate((FIRST, SECOND), start=1):
        write_label_map(tmp_path / "masks" / "sub" / "a" / f"a_00{number}.png", mask.astype(np.uint8) * 255)
    legend = {"objects": [{"number": 1, "label": "cat"}, {"number": 2, "label": "dog"}]}
    write_json(tmp_path / "masks" / "sub" / "a.json", legend)
    samples, left_out = read(tmp_path)
    assert [annotation.label for annotation in samples[""][0].objects] == ["cat", "dog"]
    np.testing.assert_array_equal(samples[""][0].gt_masks, [FIRST, SECOND])
    assert not left_out


def test_objects_without_a_label_take_the_default_one(tmp_path):
    (sample,) = read(label_map_folder(tmp_path, {"a.png": [FIRST]}), default_label="cell")[0][""]
    assert sample.objects[0].label == "cell"


def test_a_mask_that_looks_inverted_or_has_more_pages_is_said(tmp_path):
    for name, mask in {"a": ~FIRST, "b": FIRST, "c": FIRST | ~FIRST}.items():
        write_image(tmp_path / "images" / f"{name}.png")
        write_label_map(tmp_path / "masks" / f"{name}.png", mask.astype(np.uint8) * 255)
    write_image(tmp_path / "images" / "d.png")
    pages = [Image.fromarray(mask.astype(np.uint8)) for mask in (FIRST, SECOND)]
    pages[0].save(tmp_path / "masks" / "d.tif", save_all=True, append_images=pages[1:])
    remarks = read(tmp_path)[1].remarks
    assert len(remarks) == 2
    assert remarks[0].startswith(
        "1 mask whose one object covers the whole border of the picture and encloses the rest: "
    )
    assert remarks[0].endswith("(a.png).")
    assert remarks[1] == "1 mask with more in the file than is read (d.tif: 2 pages, of which the first one is read)."


def test_files_of_arrays_among_the_masks_are_said(tmp_path):
    label_map_folder(tmp_path, {"a.png": [FIRST]})
    np.save(tmp_path / "masks" / "b.npy", FIRST)
    assert read(tmp_path)[1].remarks == (
        "1 file of numbers, which are not read: save label maps as PNG or TIFF (masks/b.npy).",
    )


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (
            "a/1.png",
            "1 mask called like one of several of an image, as pictures of single objects are, which are not read",
        ),
        ("a_mask_03.png", "1 mask called like one of several of an image"),
        ("a-2.png", "1 mask called like one of several of an image"),
        ("x.png", "1 mask of no image: a mask has the path of its image, with any suffix; p_mask.png, mask_p.png and"),
    ],
)
def test_where_no_mask_has_an_image_it_is_said_how_masks_are_called(tmp_path, mask, text):
    write_image(tmp_path / "images" / "a.png")
    write_label_map(tmp_path / "masks" / mask, label_map(FIRST))
    samples, left_out = read(tmp_path)
    assert not samples[""]
    assert left_out.remarks[0].startswith(text)
    label_map_folder(tmp_path, {"b.png": [FIRST]})
    assert not read(tmp_path)[1].remarks


def test_pages_behind_an_empty_one_are_said(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    pages = [Image.fromarray(mask.astype(np.uint8)) for mask in (FIRST & SECOND, FIRST)]
    pages[0].save(tmp_path / "masks" / "a.tif", save_all=True, append_images=pages[1:])
    assert read(tmp_path)[1].remarks == (
        "1 mask with more in the file than is read (a.tif: 2 pages, of which the first one is read).",
    )


def test_listed_labels_come_in_the_order_of_their_numbers(tmp_path):
    write_json(tmp_path / "categories.json", {"10": "dog", "2": "cat", "a": {"1": "cow"}, "3": "cat"})
    assert listed_labels(tmp_path) == ["cat", "dog"]
    assert listed_labels(tmp_path / "none") == []
    write_json(tmp_path / "categories.json", {"9" * 5000: "dog", "2": "cat", "-1": "cow"})
    assert listed_labels(tmp_path) == ["cow", "dog", "cat"]
