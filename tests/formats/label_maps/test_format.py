"""Results as pictures: a label map, one picture per object, and what the numbers mean."""

from __future__ import annotations

import json

import numpy as np

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.label_maps.format import FORMAT
from sam2_adapter.formats.label_maps.reading import read_label_map
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.result_names import unique_stems
from sam2_adapter.images.mask_files import read_mask
from tests.formats.examples import annotated_image
from tests.formats.folders import write_image


def test_every_object_has_its_number_and_its_picture(tmp_path):
    image = annotated_image()
    written = FORMAT.open_writer(WritingTarget(tmp_path, lambda _: None, "small", {"tool": "x"})).add(image, "street/a")
    label_map, *pictures, legend = written.files
    assert [path.name for path in pictures] == [f"a_00{number}.png" for number in range(1, 6)]
    document = json.loads(legend.read_text())
    for number, (picture, annotation) in enumerate(zip(pictures, image.annotations, strict=True), start=1):
        np.testing.assert_array_equal(read_mask(picture), annotation.mask)
        np.testing.assert_array_equal(read_label_map(label_map).numbers == number, annotation.mask)
        assert document["objects"][number - 1]["label"] == annotation.label
    assert document["made_by"] == {"tool": "x"}


def test_pictures_of_single_objects_are_known_whatever_dots_a_name_has(tmp_path):
    writer = FORMAT.open_writer(WritingTarget(tmp_path / "masks", lambda _: None, "small", {"tool": "x"}))
    names = ["x.y.z.png", "x.png.jpg", "a.png", "a.jpg", "dots./b.png"]
    stems = unique_stems(names)
    for name in names:
        image = annotated_image()
        writer.add(AnnotatedImage(name, image.original_hw, image.annotations), stems[name])
        write_image(tmp_path / "images" / name, image.original_hw)
    dataset = load_dataset(tmp_path, min_area_px=1, validation_share=0)
    assert sorted(sample.name for sample in dataset.samples("all")) == sorted(names)
    assert [str(entry) for entry in dataset.left_out] == []
