"""YOLO segmentation data sets."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.load import find_format, load_dataset
from sam2_adapter.formats.yolo.dataset import listed_labels, read_yolo_data
from tests.formats.folders import rectangle, write_image

MASK = rectangle(8, 6, 16, 18)
LINE = "0 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75"


def make(root, description, labels):
    root.mkdir(exist_ok=True)
    (root / "data.yaml").write_text(description)
    for name, text in labels.items():
        write_image(root / name)
        path = root / name.replace("images", "labels").replace(".png", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            path.write_text(text)
    return root


def read(root, **options):
    left_out = LeftOut()
    return read_yolo_data(root, ReadingOptions(**options), left_out), left_out


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}"])
@pytest.mark.parametrize("places", ["images/{}", "../images/{}", "/srv/set/images/{}"])
def test_splits_and_classes(tmp_path, names, places):
    keys = {"train": "train", "val": "val", "test": "test"}
    lines = "\n".join(f"{key}: {places.format(folder)}" for key, folder in keys.items())
    root = make(
        tmp_path,
        f"{lines}\nnames: {names}\n",
        {"images/train/a.png": f"{LINE}\n\n1{LINE[1:]}\n", "images/val/b.png": LINE, "images/test/sub/c.png": LINE},
    )
    samples, left_out = read(root)
    assert {split: [s.name for s in found] for split, found in samples.items()} == {
        "train": ["images/train/a.png"],
        "validation": ["images/val/b.png"],
        "test": ["images/test/sub/c.png"],
    }
    np.testing.assert_array_equal(samples["train"][0].gt_masks, [MASK, MASK])
    assert [annotation.label for annotation in samples["train"][0].objects] == ["cat", "dog"]
    assert not left_out


def test_folders_of_splits_with_images_and_labels_of_their_own(tmp_path):
    root = make(
        tmp_path,
        "train: ../train/images\nval: ../valid/images\nnames: [cat]\n",
        {"train/images/a.png": LINE, "valid/images/b.png": LINE},
    )
    assert find_format(root) == "yolo"
    dataset = load_dataset(root)
    assert [sample.name for sample in dataset.samples("validation")] == ["valid/images/b.png"]


def test_without_splits_all_pictures_are_one_set(tmp_path):
    root = make(tmp_path, "names: [cat]\n", {"images/a.png": LINE, "images/b.png": "", "images/c.png": None})
    samples, left_out = read(root)
    assert [sample.name for sample in samples[""]] == ["images/a.png"]
    assert left_out.count(Reason.NO_ANNOTATION) == 2


@pytest.mark.parametrize(
    ("line", "reason", "text"),
    [
        ("0 0.5 0.5 0.2 0.2", Reason.UNSUPPORTED_TYPE, "labels/a.txt: line 2: a box"),
        (
            "0 0.1 0.1 0.2",
            Reason.MALFORMED,
            "line 2: a polygon is a class and at least three pairs x y, but got 4 numbers",
        ),
        (f"{LINE} 0.3", Reason.MALFORMED, "at least three pairs x y, but got 10 numbers"),
        ("0 x 0.25 0.5 0.25 0.5 0.75", Reason.MALFORMED, "a line is the number of a class and fractions"),
        ("0 8 6 16 6 16 18 8 18", Reason.MALFORMED, "coordinates are fractions from 0 to 1, but one of them is 18"),
        ("0 nan 0.25 0.5 0.25 0.5 0.75", Reason.MALFORMED, "must be finite"),
        ("0 0.1 0.1 0.1 0.1 0.1 0.1", Reason.EMPTY, "labels/a.txt: line 2"),
    ],
)
def test_only_the_line_that_cannot_be_used_is_left_out(tmp_path, line, reason, text):
    samples, left_out = read(make(tmp_path, "names: [cat]", {"images/a.png": f"{LINE}\n{line}\n"}))
    assert len(samples[""][0].objects) == 1
    (row,) = left_out
    assert row["reason"] == reason
    assert text in row["examples"][0]


def test_a_class_without_a_name_takes_the_default_label(tmp_path):
    samples, left_out = read(make(tmp_path, "train: images", {"images/a.png": LINE}), default_label="cell")
    assert samples["train"][0].objects[0].label == "cell"
    assert left_out.remarks == ("1 object of a class without a name, labelled 'cell' (labels/a.txt: line 1).",)


@pytest.mark.parametrize(
    ("description", "text"),
    [
        ("[1, 2]", r"data\.yaml: expected keys such as 'train' and 'names', but got \['1', '2'\]"),
        ("a: [", r"data\.yaml: not a valid YAML file"),
        (
            "train: none/here",
            r"'train' is a folder of pictures, .* below the file's own folder, but got 'none/here', which is not there",
        ),
        ("train: 5", "'train' is a folder of pictures"),
        ("names: 5", "'names' is a list of class names"),
        ("names: {cat: 0}", r"'names' is a list of class names, or numbers with names, but got \{'cat': '0'\}"),
        ("names: [[cat]]", "'names' is a list of class names"),
    ],
)
def test_other_descriptions_are_refused(tmp_path, description, text):
    with pytest.raises(DataError, match=text):
        read(make(tmp_path, description, {"images/a.png": LINE}))


def test_nothing_outside_the_folder_is_read(tmp_path):
    write_image(tmp_path / "secret" / "images" / "a.png")
    root = make(tmp_path / "set", f"train: {tmp_path}/secret/images\n", {"images/a.png": LINE})
    assert [sample.image_path for sample in read(root)[0]["train"]] == [root / "images" / "a.png"]


def test_splits_that_were_never_exported_cost_the_others_nothing(tmp_path):
    description = "train: ../images/train\nval: ../images/valid\ntest: ../images/test\nnames: [cat]"
    samples, left_out = read(make(tmp_path, description, {"images/train/a.png": f"0.0{LINE[1:]}"}))
    assert {split: [sample.name for sample in found] for split, found in samples.items()} == {
        "train": ["images/train/a.png"]
    }
    assert samples["train"][0].objects[0].label == "cat"
    assert left_out.remarks == (
        "2 folders named in data.yaml but not there (val: '../images/valid', test: '../images/test').",
    )


def test_one_folder_for_two_splits_is_the_first_one(tmp_path):
    root = make(tmp_path, "train: images\nval: images\nnames: [cat]", {"images/a.png": LINE, "images/b.png": LINE})
    dataset = load_dataset(root)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "validation": 1}
    assert dataset.notes[0] == (
        "1 folder named for two splits in data.yaml, of which the first one counts (val: 'images')."
    )


@pytest.mark.parametrize(
    ("picture", "text_file"),
    [
        ("images/a.png", "Labels/A.TXT"),
        ("Images/a.png", "labels/a.txt"),
        ("images/a.png", "labels/a.png.txt"),
        ("images/gr\u00fcn.png", "labels/gru\u0308n.txt"),
    ],
)
def test_text_files_are_found_whatever_their_spelling(tmp_path, picture, text_file):
    write_image(tmp_path / picture)
    (tmp_path / "data.yaml").write_text("names: [cat]")
    (tmp_path / text_file).parent.mkdir()
    (tmp_path / text_file).write_text(LINE)
    samples, left_out = read(tmp_path)
    assert [sample.name for sample in samples[""]] == [picture]
    assert not left_out


def test_a_text_file_of_two_pictures_is_that_of_neither(tmp_path):
    root = make(tmp_path, "names: [cat]", {"images/a.png": LINE, "images/b.png": LINE})
    write_image(root / "images" / "a.jpg")
    samples, left_out = read(root)
    assert [sample.name for sample in samples[""]] == ["images/b.png"]
    assert [(row["reason"], row["examples"]) for row in left_out] == [
        (Reason.DUPLICATE_NAME, ["images/a.jpg: labels/a.txt", "images/a.png: labels/a.txt"])
    ]


def test_text_files_with_whole_names_tell_pictures_of_one_name_apart(tmp_path):
    root = make(tmp_path, "names: [cat]", {"images/a.png": None, "images/a.jpg": None})
    (root / "labels" / "a.png.txt").write_text(LINE)
    (root / "labels" / "a.txt").write_text(f"{LINE}\n{LINE.replace('0.5', '0.6')}\n")
    samples, left_out = read(root)
    assert {sample.name: len(sample.objects) for sample in samples[""]} == {"images/a.jpg": 2, "images/a.png": 1}
    assert not left_out


def test_text_files_of_no_picture_are_counted(tmp_path):
    root = make(tmp_path, "names: [cat]", {"images/a.png": LINE})
    (root / "labels" / "gone.txt").write_text(LINE)
    _, left_out = read(root)
    assert [(row["reason"], row["examples"]) for row in left_out] == [(Reason.NO_IMAGE, ["labels/gone.txt"])]


def test_lines_of_boxes_with_key_points_are_no_outlines(tmp_path):
    line = "0 0.5 0.5 0.4 0.4 0.3 0.3 1 0.6 0.3 1 0.6 0.6 1 0.3 0.6 1"
    samples, left_out = read(make(tmp_path, "kpt_shape: [4, 3]\nnames: [cat]", {"images/a.png": line}))
    assert not samples[""]
    assert [row["examples"] for row in left_out if row["kind"] == "object"] == [
        ["labels/a.txt: line 1: a box with key points"]
    ]


def test_the_number_of_a_class_may_have_any_number_of_digits(tmp_path):
    samples, _ = read(make(tmp_path, "names: [cat]", {"images/a.png": "9" * 5000 + LINE[1:]}))
    assert samples[""][0].objects[0].label == "object"


def test_listed_labels_come_in_the_order_of_their_numbers(tmp_path):
    root = make(tmp_path, "train: images\nnames: {10: dog, 2: cat, 3: '', 4: cat, 5: '  '}\n", {})
    assert listed_labels(root) == ["cat", "dog"]


UPRIGHT = "0 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75"
# Of a picture of 32 x 24 pixels: corners (16, 4), (24, 12), (16, 20) and (8, 12), a square that stands on its tip.
TURNED = "0 0.5 0.166667 0.75 0.5 0.5 0.833333 0.25 0.5"


@pytest.mark.parametrize("description", ["task: obb\n", "task: OBB\nnames: [cat]\n"])
def test_turned_boxes_are_no_masks_where_the_data_set_says_what_they_are(tmp_path, description):
    samples, left_out = read(make(tmp_path, description, {"images/a.png": f"{TURNED}\n{UPRIGHT} 0.1 0.6\n"}))
    assert len(samples[""][0].objects) == 1
    assert [(row["reason"], row["examples"]) for row in left_out] == [
        (Reason.UNSUPPORTED_TYPE, ["labels/a.txt: line 1: a turned box"])
    ]


def test_where_only_the_folder_says_that_boxes_are_turned_it_is_said_how_to_keep_outlines(tmp_path):
    root = make(tmp_path / "cars-obb", "names: [cat]", {"images/a.png": f"{TURNED}\n{UPRIGHT} 0.1 0.6\n"})
    _, left_out = read(root)
    (row,) = left_out
    assert (
        "a turned box, as the name of the folder says (if it is an outline, write 'task: segment'" in row["examples"][0]
    )


def test_four_corners_are_an_outline_where_nothing_says_what_they_are(tmp_path):
    samples, left_out = read(make(tmp_path, "names: [cat]", {"images/a.png": TURNED, "images/b.png": TURNED}))
    assert samples[""][0].objects[0].area == pytest.approx(128, abs=16)
    assert left_out.remarks[0].startswith(
        "2 objects of four corners at right angles, as all of the data set are, taken as masks: if"
    )
    assert "write 'task: obb' into data.yaml" in left_out.remarks[0]


@pytest.mark.parametrize("other", [UPRIGHT, f"{TURNED} 0.3 0.3"])
def test_turned_rectangles_among_other_outlines_are_nothing_to_remark(tmp_path, other):
    _, left_out = read(make(tmp_path, "names: [cat]", {"images/a.png": f"{TURNED}\n{other}\n"}))
    assert left_out.remarks == ()
