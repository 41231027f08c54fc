"""Dataloop exports."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.formats.dataloop.dataset import read_dataloop_export
from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.load import load_dataset
from tests.formats.folders import HW, binary, item, rectangle, segment, write_image, write_json

FIRST, SECOND = rectangle(2, 3, 10, 12), rectangle(15, 5, 30, 20)


def read(root, **options):
    left_out = LeftOut()
    return read_dataloop_export(root, ReadingOptions(**options), left_out), left_out


def one_item(root, *annotations):
    write_image(root / "items" / "a.png")
    write_json(root / "json" / "a.json", item("/a.png", *annotations))
    return root


def objects_of(root, **options):
    (sample,) = read(root, **options)[0][""]
    return sample.gt_masks


def test_every_mask_of_an_item_is_an_object(tmp_path):
    """Before, only the last mask of an item was kept."""
    root = one_item(tmp_path, binary(FIRST, "cat"), binary(SECOND, "dog"), binary(FIRST | SECOND, "both"))
    (sample,) = read(root)[0][""]
    np.testing.assert_array_equal(sample.gt_masks, [FIRST, SECOND, FIRST | SECOND])
    assert [annotation.label for annotation in sample.objects] == ["cat", "dog", "both"]


def test_all_rings_of_a_polygon_count(tmp_path):
    """Before, holes and further rings were dropped."""
    outer = [(2, 2), (20, 2), (20, 20), (2, 20)]
    hole = [(6, 6), (12, 6), (12, 12), (6, 12)]
    part = [(24, 2), (30, 2), (30, 8), (24, 8)]
    (mask,) = objects_of(one_item(tmp_path, segment(outer, hole, part)))
    expected = rectangle(2, 2, 21, 21) & ~rectangle(7, 7, 12, 12) | rectangle(24, 2, 31, 9)
    np.testing.assert_array_equal(mask, expected)


def test_vertices_are_pixels_that_belong_and_are_rounded(tmp_path):
    """Before, vertices were cut to whole numbers."""
    ring = [(2.6, 2.6), (9.4, 2.6), (9.4, 7.6), (2.6, 7.6)]
    (mask,) = objects_of(one_item(tmp_path, segment(ring)))
    np.testing.assert_array_equal(mask, rectangle(3, 3, 10, 9))


@pytest.mark.parametrize("color", [(0, 0, 0), (1, 0, 0), (0, 0, 4), (255, 255, 255)])
def test_alpha_is_the_mask_whatever_the_colour(tmp_path, color):
    """Before, grey values above 0 were the mask: empty for dark colours, the whole frame for white on transparent white."""
    (mask,) = objects_of(one_item(tmp_path, binary(FIRST, color=color)))
    np.testing.assert_array_equal(mask, FIRST)


def test_polygons_that_share_an_object_id_are_one_object(tmp_path):
    def part(x, **system):
        return segment([(x, 2), (x + 5, 2), (x + 5, 9), (x, 9)], system=system)

    root = one_item(tmp_path, part(1, objectId="7"), part(10, objectId="7"), part(20, objectId="8"))
    masks = objects_of(root)
    np.testing.assert_array_equal(masks, [rectangle(1, 2, 7, 10) | rectangle(10, 2, 16, 10), rectangle(20, 2, 26, 10)])


def test_joined_by_what_the_document_says(tmp_path):
    """Before, sorted lists were zipped; the platform writes one JSON for a.png and a.jpg, which shifted all pairs after it."""
    masks = {"a.jpg": FIRST, "B.JPG": SECOND, "c.webp": FIRST, "sub/a.png": SECOND, "sub/deep/z.jpeg": FIRST}
    for number, (name, mask) in enumerate(masks.items()):
        write_image(tmp_path / "items" / name)
        write_json(tmp_path / "json" / f"{9 - number}.json", item(f"/{name}", binary(mask)))
    write_image(tmp_path / "items" / "a.png")
    (tmp_path / "items" / "broken.png").write_bytes(b"")
    write_json(tmp_path / "json" / "broken.json", item("/broken.png", binary(FIRST)))
    write_json(tmp_path / "json" / "gone.json", item("/gone.png", binary(FIRST)))
    samples, left_out = read(tmp_path)
    assert {sample.name for sample in samples[""]} == set(masks)
    for sample in samples[""]:
        np.testing.assert_array_equal(sample.gt_masks, [masks[sample.name]])
    assert {row["reason"]: row["examples"] for row in left_out} == {
        Reason.BROKEN_IMAGE: ["broken.png"],
        Reason.NO_IMAGE: ["gone.json"],
        Reason.NO_ANNOTATION: ["a.png"],
    }


def test_several_documents_of_one_stem(tmp_path):
    for name, mask in (("a.png", FIRST), ("a.jpg", SECOND)):
        write_image(tmp_path / "items" / name)
        write_json(tmp_path / "json" / f"{name}.json", item(f"/{name}", binary(mask)))
    (jpg, png) = read(tmp_path)[0][""]
    np.testing.assert_array_equal([jpg.gt_masks[0], png.gt_masks[0]], [SECOND, FIRST])


def test_documents_that_disagree_leave_their_image_out(tmp_path):
    root = one_item(tmp_path, binary(FIRST))
    write_json(root / "json" / "copy.json", item("/a.png", binary(FIRST)))
    assert len(read(root)[0][""]) == 1, "a copy is no contradiction"
    write_json(root / "json" / "old.json", item("/a.png", binary(SECOND)))
    samples, left_out = read(root)
    assert samples[""] == []
    assert left_out.count(Reason.DUPLICATE_NAME) == 1


def test_documents_without_a_file_name_join_by_id_or_place(tmp_path):
    for name in ("65f0.png", "sub/b.png", "sub/c.png", "sub/c.jpg"):
        write_image(tmp_path / "items" / name)
    annotations = [binary(FIRST)]
    write_json(tmp_path / "json" / "x.json", {"id": "65f0", "annotations": annotations})
    write_json(tmp_path / "json" / "sub" / "b.json", {"annotations": annotations})
    write_json(tmp_path / "json" / "sub" / "c.json", {"annotations": annotations})
    samples, left_out = read(tmp_path)
    assert [sample.name for sample in samples[""]] == ["65f0.png", "sub/b.png"]
    assert left_out.count(Reason.NO_IMAGE) == 1


def test_names_are_looked_up_never_opened(tmp_path):
    root = one_item(tmp_path / "data", binary(FIRST))
    write_image(tmp_path / "secret.png")
    write_json(root / "json" / "x.json", item("/../../secret.png", binary(FIRST)))
    samples, left_out = read(root)
    assert [sample.name for sample in samples[""]] == ["a.png"]
    assert left_out.count(Reason.NO_IMAGE) == 1


def test_turned_images_are_read_in_the_upright_frame(tmp_path):
    root = one_item(tmp_path, binary(FIRST), segment([(2, 3), (9, 3), (9, 11), (2, 11)]))
    write_image(root / "items" / "a.png", HW[::-1], orientation=6)
    (sample,) = read(root)[0][""]
    assert sample.original_hw == HW
    np.testing.assert_array_equal(sample.gt_masks, [FIRST])  # drawn twice


def test_annotations_of_a_model_are_counted_and_can_be_kept(tmp_path):
    """Before, ground truth that was made with a model's help disappeared silently."""
    made = binary(SECOND, system={"model": {"name": "sam", "confidence": 0.9}})
    also = binary(SECOND, "dog", user={"model": {"name": "sam"}})
    root = one_item(tmp_path, binary(FIRST, system={"model": {}}), made, also)
    samples, left_out = read(root)
    assert len(samples[""][0].objects) == 1
    assert left_out.count(Reason.MODEL_ANNOTATION) == 2
    assert len(objects_of(root, include_model_annotations=True)) == 3


def test_other_types_and_malformed_annotations_cost_only_themselves(tmp_path):
    box = {"type": "box", "label": "cat", "coordinates": [{"x": 1, "y": 1}, {"x": 5, "y": 5}]}
    root = one_item(
        tmp_path,
        box,
        {"type": "class", "label": "cat", "coordinates": {}},
        "nonsense",
        {"type": "binary", "label": "x", "coordinates": "data:image/png;base64,AAAA"},
        binary(rectangle(0, 0, 5, 5, (9, 9))),
        segment([(40, 1), (50, 1), (50, 9)]),
        {"type": "segment", "label": "x", "coordinates": [[{"x": 1}]]},
        binary(np.zeros(HW, bool)),
        binary(rectangle(0, 0, 2, 2)),
        binary(FIRST),
    )
    samples, left_out = read(root)
    assert len(samples[""][0].objects) == 1
    counts = {row["reason"]: row["count"] for row in left_out}
    assert counts[Reason.UNSUPPORTED_TYPE] == 2
    assert counts[Reason.MALFORMED] == 4
    examples = next(row["examples"] for row in left_out if row["reason"] == Reason.MALFORMED)
    assert [text.split(": ")[1] for text in examples] == ["nonsense", "annotation 4", "annotation 5", "annotation 7"]
    assert counts[Reason.OUTSIDE] == 1
    assert counts[Reason.EMPTY] == 1


def test_platform_folders_are_splits_and_class_pictures_are_no_images(tmp_path):
    """Before, the pictures in `instance/` became training images."""
    for subset in ("train", "validation", "test"):
        write_image(tmp_path / subset / "items" / subset / "a.png")
        write_image(tmp_path / subset / "instance" / subset / "a.png")
        write_json(tmp_path / subset / "json" / subset / "a.json", item(f"/{subset}/a.png", binary(FIRST)))
    dataset = load_dataset(tmp_path)
    assert dataset.data_format == "dataloop"
    assert {split: [s.name for s in found] for split, found in dataset.splits.items()} == {
        split: [f"{split}/a.png"] for split in ("train", "validation", "test")
    }
    assert not dataset.left_out


def test_a_subset_without_documents_is_told(tmp_path):
    write_image(tmp_path / "train" / "items" / "a.png")
    samples, left_out = read(tmp_path)
    assert samples == {"train": []}
    assert left_out.count(Reason.NO_ANNOTATION) == 1


def test_broken_documents_are_counted(tmp_path):
    root = one_item(tmp_path, binary(FIRST))
    (root / "json" / "x.json").write_text("{")
    write_json(root / "json" / "y.json", [item("/a.png", binary(FIRST)), 3])
    samples, left_out = read(root)
    assert len(samples[""]) == 1
    assert left_out.count(Reason.BROKEN_FILE) == 2


def test_fractions_are_called_so(tmp_path):
    ring = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)]
    one_item(tmp_path, segment(ring), segment([(2, 3), (20, 3), (20, 20)]))
    samples, left_out = read(tmp_path)
    assert [len(sample.objects) for found in samples.values() for sample in found] == [1]
    assert left_out.count(Reason.FRACTIONS) == 1


def test_coordinates_as_texts_and_files_in_capitals(tmp_path):
    entry = segment([(2, 3), (9, 3), (9, 11), (2, 11)])
    entry["coordinates"] = [[{"x": str(point["x"]), "y": str(point["y"])} for point in entry["coordinates"][0]]]
    outside = segment([(100, 100), (120, 100), (120, 120)])
    outside["coordinates"] = [[{"x": str(point["x"]), "y": str(point["y"])} for point in outside["coordinates"][0]]]
    one_item(tmp_path, entry, outside)
    (tmp_path / "json" / "a.json").rename(tmp_path / "json" / "a.JSON")
    samples, left_out = read(tmp_path)
    np.testing.assert_array_equal(samples[""][0].gt_masks, [FIRST])
    assert [row["reason"] for row in left_out] == [Reason.OUTSIDE]
