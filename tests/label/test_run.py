"""From a folder to a session: where the work goes, whose it is, and who may listen."""

from __future__ import annotations

import json

import pytest

from sam2_adapter.errors import ConfigError, FolderInUseError, ImageError, OutputExistsError
from sam2_adapter.images.find import find_images
from sam2_adapter.label.run import Address, LabelSession, _listener


def test_work_goes_beside_the_pictures_and_is_never_taken_for_pictures(photos):
    with LabelSession([photos]) as session:
        assert session.directory == photos / "labels"
        assert [picture.name for picture in session.pictures] == ["disk.png", "night/square.jpg"]
        session.work.change("disk.png", (120, 160), {"1": {"label": "disk", "counts": _all_set(), "score": 1}})
        assert session.export(["masks", "coco"]).num_objects == 1
    assert [path.name for path in find_images([photos])] == ["disk.png", "square.jpg"]
    with LabelSession([photos]) as session:
        assert session.work.counts() == {"disk.png": 1}
        assert len(session.pictures) == 2


def _all_set():
    import numpy as np

    from sam2_adapter.annotations.rle import mask_to_rle

    return mask_to_rle(np.ones((120, 160), bool)).counts


def test_a_second_page_on_the_same_folder_is_refused_by_name(photos):
    refused = f"{photos}/labels: another sam2-adapter command.* a page is open at http://h:1/"
    with LabelSession([photos]) as first:
        first.is_at("http://h:1/")
        with pytest.raises(FolderInUseError, match=refused):
            LabelSession([photos])
    LabelSession([photos]).close()


def test_a_folder_called_labels_that_is_not_ours_is_left_alone(photos):
    (photos / "labels").mkdir()
    (photos / "labels" / "disk.txt").write_text("0 0.1 0.2 0.3 0.4 0.5 0.6")
    for _ in range(2):
        with LabelSession([photos]) as session:
            assert session.directory == photos / "labels2"
    assert (photos / "labels" / "disk.txt").read_text().startswith("0 0.1")
    with pytest.raises(OutputExistsError, match="the folder is not empty"):
        LabelSession([photos], photos / "labels")


def test_images_are_named_from_what_they_share(photos, tmp_path):
    images = [photos / "night" / "square.jpg", photos / "disk.png", photos / "disk.png"]
    with LabelSession(images, tmp_path / "out", labels=["a", "b"]) as session:
        assert [picture.name for picture in session.pictures] == ["night/square.jpg", "disk.png"]
        assert (session.anchor, session.title, session.work.labels) == (photos, "photos", ["a", "b"])
    assert (
        "journal.jsonl" in json.loads((tmp_path / "out" / ".sam2-adapter.jsonl").read_text().splitlines()[0])["entries"]
    )


def test_a_folder_without_pictures_is_refused_and_stays_as_it_was(tmp_path):
    with pytest.raises(ImageError, match="no image in this folder"):
        LabelSession([tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_has_the_same_port_at_each_start_where_it_is_free(tmp_path):
    with _listener(Address(), tmp_path / "a") as first:
        port = first.getsockname()[1]
        with _listener(Address(), tmp_path / "a") as second, _listener(Address(), tmp_path / "b") as other:
            assert len({port, second.getsockname()[1], other.getsockname()[1]}) == 3
            taken = second.getsockname()[1]
            with pytest.raises(ConfigError, match="Choose another --port"):
                _listener(Address(port=taken), tmp_path / "a")
    with _listener(Address(), tmp_path / "a") as again, _listener(Address(port=taken), tmp_path / "a") as chosen:
        assert (again.getsockname()[1], chosen.getsockname()[1]) == (port, taken)


@pytest.mark.parametrize(
    ("host", "token", "message"),
    [
        ("0.0.0.0", None, "--host 0.0.0.0 lets other machines in. Give a secret of your own with --token"),
        ("example.org", None, "lets other machines in"),
        ("0.0.0.0", "short", "at least 12 letters and digits"),
        ("127.0.0.1", "with spaces in it", "at least 12 letters and digits"),
        ("127.0.0.1", "semicolon;Path=/x", "at least 12 letters and digits"),
    ],
)
def test_nobody_else_is_let_in_by_accident(host, token, message):
    with pytest.raises(ConfigError, match=message):
        Address(host, 0, token)
    Address("0.0.0.0", 0, "abcdefghijkl123")
