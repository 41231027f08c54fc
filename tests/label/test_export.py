"""Exports: the same bytes as the formats' own writers give, again and again, and nothing of others replaced."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import yaml

from sam2_adapter import __version__
from sam2_adapter.annotations.colors import color_of_index
from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.errors import ConfigError, OutputExistsError
from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.registry import load_format, output_formats
from sam2_adapter.label.export import Exporter, check_formats, entries
from sam2_adapter.label.picture_work import PictureWork
from sam2_adapter.owned_folder import OwnedFolder

HW = (6, 8)
MASK = np.zeros(HW, bool)
MASK[1:4, 2:7] = True
MODEL = {"name": "sam2_nano", "weights": "abc"}


def _work():
    entry = {"label": "car", "counts": mask_to_rle(MASK).counts, "score": 0.75}
    return {"b.jpg": PictureWork(HW, {}), "a/b.jpg": PictureWork(HW, {"1": entry, "2": {**entry, "label": "<b>&"}})}


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name[0] != "."
    }


@pytest.fixture
def folder(tmp_path):
    with OwnedFolder(tmp_path / "out", "label", resume=True) as folder:
        folder.begin(entries())
        yield folder


def test_all_formats_are_written_as_their_writers_do(folder, tmp_path):
    done = Exporter(folder, ["a/b.jpg", "b.jpg"]).write(_work(), list(output_formats()), MODEL)
    assert (done.num_images, done.num_objects, sorted(done.paths)) == (2, 2, sorted(output_formats()))
    annotations = tuple(Annotation.from_mask(MASK, label, 0.75) for label in ("car", "<b>&"))
    images = [AnnotatedImage("a/b.jpg", HW, annotations), AnnotatedImage("b.jpg", HW)]
    for entry in output_formats().values():
        made_by = {"tool": f"sam2-adapter {__version__}", **MODEL}
        target = WritingTarget(tmp_path / "direct" / entry.results, lambda path: None, "sam2_nano", made_by)
        writer = load_format(entry).open_writer(target)
        for image, stem in zip(images, ("a/b", "b"), strict=True):
            writer.add(image, stem)
        writer.close()
    assert _files(folder.directory) == _files(tmp_path / "direct")


def test_an_export_replaces_the_one_before_also_in_a_later_session(folder, tmp_path):
    work, exporter = _work(), Exporter(folder, ["a/b.jpg", "b.jpg"])
    exporter.write(work, list(output_formats()), MODEL)
    first = _files(folder.directory)
    work["a/b.jpg"].objects.pop("2")
    exporter.write(work, list(output_formats()), MODEL)
    second = _files(folder.directory)
    assert first != second
    folder.close()
    with OwnedFolder(folder.directory, "label", resume=True) as later:
        later.begin(entries())
        Exporter(later, ["a/b.jpg", "b.jpg"]).write(_work(), list(output_formats()), MODEL)
        assert _files(later.directory) == first


def test_pictures_that_are_no_longer_in_it_leave_no_files_of_an_earlier_export(folder):
    """Else a skipped picture, or one where all was taken back, would be learned from as it was."""
    names, formats = ["a/b.jpg", "b.jpg", "c.jpg"], list(output_formats())
    both = {**_work(), "c.jpg": _work()["a/b.jpg"]}
    exporter = Exporter(folder, names)
    exporter.write(_work(), formats, MODEL)
    without = _files(folder.directory)
    exporter.write(both, formats, MODEL)
    assert {"yolo/labels/c.txt", "labelme/c.json", "json/c.json"} <= _files(folder.directory).keys() - without.keys()
    mine = folder.directory / "yolo" / "images" / "c.jpg"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    exporter.write(_work(), ["coco"], MODEL)  # other formats stay as they are
    assert "yolo/labels/c.txt" in _files(folder.directory)
    exporter.write(_work(), formats, MODEL)
    assert _files(folder.directory) == {**without, "yolo/images/c.jpg": b"mine"}
    exporter.write(both, formats, MODEL)  # and back
    folder.close()
    with OwnedFolder(folder.directory, "label", resume=True) as later:
        later.begin(entries())
        assert "yolo/labels/c.txt" in _files(later.directory)
        Exporter(later, names).write(_work(), formats, MODEL)
        assert _files(later.directory) == {**without, "yolo/images/c.jpg": b"mine"}


def test_files_of_others_are_not_replaced(folder):
    (folder.directory / "annotations.json").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"annotations\.json: this file is in the way"):
        Exporter(folder, []).write(_work(), ["coco"], MODEL)
    assert (folder.directory / "annotations.json").read_text() == "mine"


def test_what_is_offered_says_whether_it_is_there_from_an_earlier_export(folder):
    exporter = Exporter(folder, ["a/b.jpg", "b.jpg"])
    offered = {entry["name"]: entry for entry in exporter.offered()}
    assert list(offered) == [*output_formats(), "report"]
    assert (offered["voc"]["title"], offered["report"]["title"]) == ("Pascal VOC", "Report page")
    assert not any(entry["isThere"] for entry in offered.values())
    exporter.write(_work(), ["coco", "masks"], MODEL)
    assert [entry["name"] for entry in exporter.offered() if entry["isThere"]] == ["coco", "masks"]


def test_formats_are_known_and_come_once():
    assert check_formats(["coco", "masks", "coco"]) == ["coco", "masks"]
    with pytest.raises(ConfigError, match=r"Unknown format 'xls'\. The choices are coco"):
        check_formats(["xls"])
    with pytest.raises(ConfigError, match="Unknown format 5"):
        check_formats([5])


def test_classes_are_numbered_as_the_page_shows_them_also_those_that_nothing_has(folder):
    entry = {"label": "car", "counts": mask_to_rle(MASK).counts, "score": 0.75}
    labels = {"bus": color_of_index(0), "dog": color_of_index(1), "car": color_of_index(3)}
    exporter = Exporter(folder, ["a.jpg", "b.jpg"])
    work = {"b.jpg": PictureWork(HW, {"1": entry})}
    for _ in range(2):
        exporter.write(work, ["coco", "yolo", "voc", "cvat"], MODEL, labels=labels)
        document = json.loads((folder.directory / "annotations.json").read_text())
        assert [(row["id"], row["name"]) for row in document["categories"]] == [(1, "bus"), (2, "dog"), (3, "car")]
        assert (folder.directory / "yolo" / "labels" / "b.txt").read_text().split()[0] == "2"
        description = yaml.safe_load((folder.directory / "yolo" / "data.yaml").read_text())
        assert description["names"] == {0: "bus", 1: "dog", 2: "car"}
        listed = (folder.directory / "voc" / "labelmap.txt").read_text().splitlines()[1:]
        assert [line.split(":")[0] for line in listed] == ["background", "bus", "dog", "car"]
        text = (folder.directory / "annotations.xml").read_text()
        assert re.findall("<label><name>(.*?)</name><color>(.*?)</color></label>", text) == [
            ("bus", "#ff424f"), ("dog", "#2ca0ff"), ("car", "#26c260"),
        ]  # fmt: skip
        work["a.jpg"] = PictureWork(HW, {"1": {**entry, "label": "dog"}})  # a picture more, before the other one
