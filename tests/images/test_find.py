"""Finding images: every image once, in order, and what is passed over is counted by kind."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from sam2_adapter.errors import ImageError
from sam2_adapter.images import kinds
from sam2_adapter.images.find import find_images, search_images
from sam2_adapter.owned_folder import OwnedFolder


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def _names(folder, found):
    return [path.relative_to(folder).as_posix() for path in found]


def test_folders_are_searched_in_order(tmp_path):
    for name in (
        "b.JPG",
        "a.png",
        "sub/c.WebP",
        "sub/deep/d.tiff",
        "B.jpeg",
        "notes.txt",
        ".hidden.png",
        ".cache/e.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = find_images([tmp_path])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "B.jpeg",
        "a.png",
        "b.JPG",
        "sub/c.WebP",
        "sub/deep/d.tiff",
    ]
    assert all(path.is_file() for path in found)
    named = find_images([tmp_path / "notes.txt", str(tmp_path / ".hidden.png"), tmp_path, tmp_path / "a.png"])
    assert [path.name for path in named] == ["notes.txt", ".hidden.png", "B.jpeg", "a.png", "b.JPG", "c.WebP", "d.tiff"]
    assert find_images([]) == []


def test_missing_paths_and_empty_folders_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere: there is no such file or folder"):
        find_images([tmp_path / "nowhere"])
    with pytest.raises(ImageError, match=r"no image in this folder that can be read; looked for names of PNG, JPEG"):
        find_images([tmp_path])


def test_what_is_passed_over_is_counted_by_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "can_read_heif", lambda: False)
    names = [
        "ok.jpg",
        "IMG_1.HEIC",
        "a.heif",
        "clip.MOV",
        "raw/1.dng",
        "scan.nii.gz",
        "notes.txt",
        "b.avif",
        "c.jp2",
        "d.pgm",
    ]
    _touch(tmp_path, *names, "s/1.mp4", "s/2.mp4", "s/3.mp4", "s/4.mp4", ".hidden.heic")
    found = search_images([tmp_path])
    assert _names(tmp_path, found.paths) == ["b.avif", "c.jp2", "d.pgm", "ok.jpg"]
    assert {entry.kind.nouns: entry.count for entry in found.passed_over} == {
        "HEIC photos": 2,
        "videos": 5,
        "raw photos of a camera": 1,
        "medical images": 1,
    }
    texts = [str(entry) for entry in found.passed_over]
    assert (
        f'2 HEIC photos ({tmp_path}/IMG_1.HEIC, {tmp_path}/a.heif); to read it, pip install "sam2-adapter[heif]"'
        in texts
    )
    assert f"1 medical image ({tmp_path}/scan.nii.gz); save its slices as PNG" in texts
    assert any(text.startswith("5 videos (") and ", ...); save its frames" in text for text in texts)


def test_heic_photos_are_images_where_they_can_be_read(tmp_path, monkeypatch):
    _touch(tmp_path, "a.HEIC", "b.png")
    monkeypatch.setattr(kinds, "can_read_heif", lambda: True)
    assert _names(tmp_path, search_images([tmp_path]).paths) == ["a.HEIC", "b.png"]


def test_a_folder_of_other_kinds_says_which(tmp_path):
    _touch(tmp_path, "clip.mp4")
    with pytest.raises(
        ImageError, match=r"no image in this folder that can be read; it holds 1 video \(.*clip\.mp4\); save its"
    ):
        search_images([tmp_path])


def test_linked_folders_are_followed_once(tmp_path):
    _touch(tmp_path, "store/shots/p.png", "photos/first.png", "photos/z/deep.png")
    links = {
        "photos/linked": "../store/shots",
        "photos/linked_again": "../store/shots",
        "photos/a_link_to_a_folder_that_is_there": "z",
        "photos/z/up": "../..",
        "photos/z/self": ".",
        "store/shots/back": "../../photos",
        "photos/broken": "nowhere",
    }
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    assert _names(tmp_path, search_images([tmp_path / "photos"]).paths) == [
        "photos/first.png",
        "photos/linked/p.png",
        "photos/z/deep.png",
    ]
    (tmp_path / "way").symlink_to("photos")
    assert len(search_images([tmp_path / "way"]).paths) == 3


def test_results_of_earlier_runs_are_no_images(tmp_path):
    for name in (
        "a.png",
        "predictions/overlays/a.jpg",
        "predictions/masks/a/a_001.png",
        "predictions/mine.png",
        "masks/b.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    with OwnedFolder(tmp_path / "out", "predict") as folder:
        folder.begin(["overlays", "masks"])
    (tmp_path / "out" / ".sam2-adapter.jsonl").rename(tmp_path / "predictions" / ".sam2-adapter.jsonl")
    names = [path.relative_to(tmp_path).as_posix() for path in find_images([tmp_path])]
    assert names == ["a.png", "masks/b.png", "predictions/mine.png"]
    assert find_images([tmp_path / "predictions" / "overlays"]) == [tmp_path / "predictions" / "overlays" / "a.jpg"]
    (tmp_path / "predictions" / "mine.png").unlink()
    with pytest.raises(ImageError, match="no image in this folder apart from the results of an earlier run"):
        find_images([tmp_path / "predictions"])


def test_names_that_are_not_utf_8_are_found(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    assert [os.fsencode(path.name) for path in search_images([tmp_path]).paths] == [b"caf\xe9.png"]


def test_a_path_that_is_too_long_is_not_there():
    with pytest.raises(ImageError, match="there is no such file or folder"):
        find_images(["x" * 5000])
