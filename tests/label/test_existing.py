"""Annotations beside the pictures are there when the page opens, in every format that can be read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.registry import FORMATS, load_format
from sam2_adapter.label.objects import annotations_of
from sam2_adapter.label.run import LabelSession
from sam2_adapter.label.work import MOST_LABELS
from tests.conftest import disk_photo
from tests.formats.folders import coco, coco_image, coco_object, write_image, write_json

HW = (120, 160)
BOTH = [entry for entry in FORMATS if entry.layout and entry.output]


def _masks():
    y, x = np.mgrid[:120, :160]
    return {"disk": np.hypot(x - 80, y - 60) < 40, "bar": (y >= 105) & (x < 150)}


def _written(folder, entry, labels=()):
    """Pictures and their annotations as a tool leaves them: results of ours without the mark that they are."""
    image = AnnotatedImage(
        "disk.png", HW, tuple(Annotation.from_mask(mask, label, 0.5) for label, mask in _masks().items())
    )
    writer = load_format(entry).open_writer(
        WritingTarget(folder / entry.results, lambda path: None, "m", {}, labels=dict.fromkeys(labels))
    )
    writer.add(image, "disk")
    writer.close()


def _placed(folder, entry):
    """The same in the layout that the format is found by."""
    if entry.name == "dataloop":
        (folder / "items").mkdir()
        disk_photo().save(folder / "items" / "disk.png")
    elif entry.name == "label_maps":
        (folder / "images").mkdir()
        disk_photo().save(folder / "images" / "disk.png")
    elif entry.name == "yolo":
        for name in ("data.yaml", "labels"):
            (folder / "yolo" / name).rename(folder / name)
        (folder / "images").mkdir()
        disk_photo().save(folder / "images" / "disk.png")
    elif entry.name == "labelme":
        disk_photo().save(folder / "labelme" / "disk.png")
    elif entry.name == "voc":
        (folder / "voc" / "JPEGImages").mkdir()
        disk_photo().save(folder / "voc" / "JPEGImages" / "disk.png")
    else:
        disk_photo().save(folder / "disk.png")


@pytest.mark.parametrize("entry", BOTH, ids=[entry.name for entry in BOTH])
def test_annotations_beside_the_pictures_can_be_gone_on_with(tmp_path, entry):
    folder = tmp_path / "data"
    folder.mkdir()
    _written(folder, entry)
    _placed(folder, entry)
    inputs = [folder / entry.results] if entry.name in ("labelme", "voc") else [folder]
    for _ in range(2):
        with LabelSession(inputs, tmp_path / "work") as session:
            ((name, done),) = session.work.snapshot().items()
            annotations = annotations_of(list(done.objects.values()), done.original_hw)
            assert name in {picture.name for picture in session.pictures}
            assert len(annotations) == 2
            for annotation, mask in zip(sorted(annotations, key=lambda one: -one.area), _masks().values(), strict=True):
                assert np.count_nonzero(annotation.mask ^ mask) <= 0.06 * mask.sum()
    with LabelSession(inputs, tmp_path / "other") as session:
        assert session.notes[0] == f"2 objects in 1 picture loaded ({entry.name})."
        session.work.change(name, HW, {"file-0": None})
        assert session.export(["coco"]).num_objects == 1


@pytest.mark.parametrize("name", ["coco", "cvat", "voc", "yolo"])
def test_the_labels_of_a_data_set_are_there_in_its_order_whether_objects_have_them_or_not(tmp_path, name):
    entry = next(one for one in BOTH if one.name == name)
    folder = tmp_path / "data"
    folder.mkdir()
    _written(folder, entry, ["unused", "bar", "disk"])
    _placed(folder, entry)
    source = folder / entry.results if name == "voc" else folder
    assert load_dataset(source, min_area_px=1, validation_share=0).labels == ("unused", "bar", "disk")
    with LabelSession([source], tmp_path / "work") as session:
        assert session.work.labels == ["unused", "bar", "disk"]


def test_pictures_without_annotations_are_no_data_set(photos):
    with LabelSession([photos]) as session:
        assert (session.notes, session.work.counts()) == ([], {})


def test_annotations_that_cannot_be_read_are_said_and_nothing_else_fails(photos):
    (photos / "annotations.json").write_text('{"images": [{"id": 1}], "annotations": [], "categories": []}')
    with LabelSession([photos]) as session:
        assert session.work.counts() == {}
        assert session.notes
        assert session.notes[0].startswith("Annotations were found and not loaded: ")


def test_what_was_left_out_is_told_in_sentences_and_pictures_to_label_are_no_news(tmp_path):
    for name in ("a.png", "new.png", "new2.png"):
        write_image(tmp_path / "set" / name)
    objects = [coco_object(number, [[2, 3, 10, 3, 10, 12, 2, 12]], 1) for number in (1, 2)]
    objects[1]["segmentation"] = "no outline"
    document = coco(
        [coco_image(1, "a.png"), coco_image(2, "gone.png")], [*objects, coco_object(3, [[2, 3, 10, 3, 10, 12]], 2)]
    )
    write_json(tmp_path / "set" / "annotations.json", document)
    with LabelSession([tmp_path / "set"], tmp_path / "work") as session:
        assert session.notes[0] == "1 object in 1 picture loaded (coco)."
        assert "Left out: 1 image: annotated image is not here (gone.png)." in session.notes
        assert any(note.startswith("Left out: 1 object: ") for note in session.notes)
        assert not any("\n" in note or "new.png" in note for note in session.notes)


def _yolo_set(folder, names):
    (folder / "labels").mkdir(parents=True)
    (folder / "images").mkdir()
    disk_photo().save(folder / "images" / "disk.png")
    (folder / "data.yaml").write_text(f"train: images\nnames: {names}\n")
    (folder / "labels" / "disk.txt").write_text("2 0.2 0.2 0.8 0.2 0.8 0.8\n1 0.1 0.1 0.5 0.1 0.5 0.5\n")
    return folder


def test_classes_keep_the_order_of_the_data_set(tmp_path):
    folder = _yolo_set(tmp_path / "set", "[cow, dog, cat]")
    with LabelSession([folder], tmp_path / "work") as session:
        assert session.work.labels == ["cow", "dog", "cat"]
        session.export(["yolo"])
    description = yaml.safe_load((tmp_path / "work" / "yolo" / "data.yaml").read_text())
    assert description["names"] == {0: "cow", 1: "dog", 2: "cat"}
    (lines,) = (path.read_text().splitlines() for path in (tmp_path / "work" / "yolo").rglob("*.txt"))
    assert [line.split()[0] for line in lines] == ["2", "1"]
    with LabelSession([folder], tmp_path / "work", labels=["new"]) as session:
        assert session.work.labels == ["cow", "dog", "cat", "new"]
    with LabelSession([folder], tmp_path / "other", labels=["new", "cat"]) as session:
        assert session.work.labels == ["new", "cat", "cow", "dog"]


def test_a_coco_file_is_parsed_once(tmp_path, monkeypatch):
    write_image(tmp_path / "set" / "a.png")
    objects = [coco_object(1, [[2, 3, 10, 3, 10, 12, 2, 12]], number) for number in (1, 2)]
    objects[1]["segmentation"] = "no outline"
    document = coco([coco_image(1, "a.png")], objects)
    document["categories"] = [{"id": 2, "name": "unused"}, {"id": 1, "name": "cell"}]
    write_json(tmp_path / "set" / "annotations.json", document)
    parsed, loads = [], json.loads
    monkeypatch.setattr(json, "loads", lambda text, **more: [parsed.append(text), loads(text, **more)][1])
    with LabelSession([tmp_path / "set"], tmp_path / "work") as session:
        assert session.work.labels == ["cell", "unused"]
        assert session.work.counts() == {"a.png": 1}
    assert sum("no outline" in text and "categories" in text for text in parsed) == 1
    assert parsed.count("no outline") == 1


def test_of_more_classes_than_a_page_has_those_that_are_used_keep_their_order(tmp_path):
    folder = _yolo_set(tmp_path / "set", [f"c{number}" for number in range(MOST_LABELS + 1)])
    with LabelSession([folder], tmp_path / "work") as session:
        assert session.work.labels == ["c1", "c2"]


def test_labels_that_no_file_can_hold_are_escaped(tmp_path):
    write_image(tmp_path / "set" / "a.png")
    document = coco([coco_image(1, "a.png")], [coco_object(1, [[2, 3, 10, 3, 10, 12, 2, 12]], 1)])
    names = ("bad\ud800", "unused\udfff")
    document["categories"] = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    write_json(tmp_path / "set" / "annotations.json", document)
    with LabelSession([tmp_path / "set"], tmp_path / "work") as session:
        assert session.work.labels == ["bad\\ud800", "unused\\udfff"]
        (done,) = session.work.snapshot().values()
        assert [entry["label"] for entry in done.objects.values()] == ["bad\\ud800"]
