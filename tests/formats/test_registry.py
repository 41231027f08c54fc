"""The table of formats: everything that it says is true, and looking at it imports no format."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from sam2_adapter.formats.base import Writer, WritingTarget
from sam2_adapter.formats.coco.objects import read_coco
from sam2_adapter.formats.cvat.objects import read_cvat
from sam2_adapter.formats.labelme.objects import read_labelme
from sam2_adapter.formats.polygon_json import read_polygons
from sam2_adapter.formats.registry import FORMATS, data_formats, load_format, output_formats
from tests.formats.examples import annotated_image


def test_the_names_that_users_know():
    assert list(data_formats()) == ["dataloop", "coco", "label_maps", "yolo", "labelme", "cvat", "voc"]
    assert list(output_formats()) == ["coco", "cvat", "dataloop", "labelme", "masks", "polygons", "voc", "yolo"]


@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_a_format_can_do_what_the_table_says(entry):
    found = load_format(entry)
    assert (found.recognise is not None) == (found.read_dataset is not None) == bool(entry.layout)
    assert (found.read_prompts is not None) == entry.has_prompts
    assert (found.open_writer is not None) == bool(entry.output) == bool(entry.results)


@pytest.mark.parametrize("entry", output_formats().values(), ids=lambda entry: entry.name)
def test_the_table_says_which_formats_write_masks_or_polygons_as_asked(tmp_path, entry):
    written = []
    for output_type in ("mask", "polygon"):
        folder = tmp_path / output_type
        target = WritingTarget(folder / entry.results, lambda path: None, "small", {"tool": "x"}, output_type)
        writer = load_format(entry).open_writer(target)
        writer.add(annotated_image(), "street/a")
        writer.close()
        written.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert (written[0] != written[1]) == entry.has_output_types


@pytest.mark.parametrize("entry", output_formats().values(), ids=lambda entry: entry.name)
@pytest.mark.parametrize("output_type", ["mask", "polygon"])
def test_a_writer_claims_every_file_before_it_is_there(tmp_path, entry, output_type):
    claimed = []

    def claim(path):
        assert not path.exists()
        claimed.append(path)

    target = WritingTarget(tmp_path / entry.results, claim, "small", {"tool": "x"}, output_type)
    writer = load_format(entry).open_writer(target)
    assert isinstance(writer, Writer)
    written = writer.add(annotated_image(), "street/a")
    closed = writer.close()
    assert bool(written.files) != entry.is_one_file
    assert set(claimed) == {*written.files, *closed}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(claimed)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("coco", lambda path: read_coco(path).images[0]),
        ("cvat", lambda path: read_cvat(path).images[0]),
        ("labelme", lambda path: read_labelme(path).images[0]),
        ("polygons", read_polygons),
    ],
)
def test_results_are_read_back(tmp_path, name, read):
    entry = output_formats()[name]
    writer = load_format(entry).open_writer(WritingTarget(tmp_path / entry.results, lambda _: None, "small", {}))
    written = writer.add(annotated_image(), "a")
    image = read((*writer.close(), *written.files)[0])
    assert [annotation.label for annotation in image.annotations] == ["cat", "dog", "cat", "猫", "dog"]


@pytest.mark.slow
def test_looking_at_the_table_imports_no_format():
    code = "import sys, sam2_adapter.formats.registry; print('numpy' in sys.modules, 'sam2_adapter.formats.load' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


WITH_CLASSES = ["coco", "cvat", "voc", "yolo"]


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_a_list_of_classes_begins_with_the_labels_that_are_given(tmp_path, name):
    entry = output_formats()[name]
    labels = {"unused": None, "dog": (255, 66, 79), "cat": None}
    target = WritingTarget(tmp_path / entry.results, lambda _: None, "small", {}, labels=labels)
    writer = load_format(entry).open_writer(target)
    writer.add(annotated_image(), "a")
    writer.close()
    assert list(load_format(entry).read_labels(target.path)) == ["unused", "dog", "cat", "猫"]
    assert list(target.labels) == ["unused", "dog", "cat"]


def test_formats_without_classes_write_the_same_whatever_labels_are_given(tmp_path):
    for entry in (entry for name, entry in output_formats().items() if name not in WITH_CLASSES):
        contents = []
        for labels in ({}, {"dog": None}):
            folder = tmp_path / f"{len(labels)}"
            writer = load_format(entry).open_writer(WritingTarget(folder, lambda _: None, "m", {}, labels=labels))
            writer.add(annotated_image(), "a")
            writer.close()
            contents.append({path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()})
            shutil.rmtree(folder)
        assert contents[0] == contents[1]
