"""Images and results by path or URL."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from sam2_adapter.errors import ConfigError, DataError, ExportError, ImageError
from sam2_adapter.jobs.ray.locations import ResultFolder, find_sources, read_source, source_version


def test_images_are_found_by_path_and_url(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "sub/c.png", ".hidden/d.png", ".e.png", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = ["a.JPG", "b.png", "sub/c.png"]
    assert find_sources([f"file://{tmp_path}"]) == [f"file://{tmp_path}/{name}" for name in names]
    assert find_sources([str(tmp_path)]) == [f"{tmp_path}/{name}" for name in names]
    assert find_sources([f"file://{tmp_path}/b.png"] * 2) == [f"file://{tmp_path}/b.png"]
    assert find_sources([f"file://{tmp_path}/note.txt"]) == [f"file://{tmp_path}/note.txt"]


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert find_sources(["a.png"]) == [str(tmp_path / "a.png")]
    assert find_sources(["."]) == [str(tmp_path / "a.png")]


def test_a_bucket(bucket: str) -> None:
    with fsspec.open(f"{bucket}/photos/day/a.png", "wb") as file:
        file.write(b"content")
    assert find_sources([f"{bucket}/photos"]) == ["memory:///bucket/photos/day/a.png"]
    assert read_source(f"{bucket}/photos/day/a.png") == b"content"
    folder = ResultFolder(f"{bucket}/out/")
    assert folder.names() == set()
    folder.write("part.parquet", b"rows")
    assert (folder.names(), folder.read("part.parquet")) == ({"part.parquet"}, b"rows")


@pytest.mark.parametrize(
    ("location", "error", "text"),
    [
        ("nosuch://bucket/photos", ConfigError, "nosuch"),
        ("s3://bucket/photos", ConfigError, "s3fs"),
        ("file:///no/such/folder", ImageError, "cannot look for images: No such file"),
        ("http://127.0.0.1:9/a.png", ImageError, "cannot look for images"),
    ],
)
def test_a_location_that_cannot_be_used_is_named(location: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        find_sources([location])
    assert location in str(caught.value)


def test_a_file_that_cannot_be_read_or_written_is_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"memory://bucket/no\.png: cannot read the image"):
        read_source(f"{bucket}/no.png")
    with pytest.raises(DataError, match="memory://bucket/out/no: cannot read the file"):
        ResultFolder(f"{bucket}/out").read("no")
    with fsspec.open(f"{bucket}/file", "wb") as file:
        file.write(b"")
    with pytest.raises(ExportError, match="memory://bucket/file/a: cannot write the file"):
        ResultFolder(f"{bucket}/file").write("a", b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="file/a: cannot write the file"):
        ResultFolder(str(tmp_path / "file")).write("a", b"")


def test_a_file_that_was_replaced_has_another_version(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    os.utime(tmp_path / "a.png", ns=(5, 5))
    versions = [source_version(str(tmp_path / "a.png")), source_version(f"file://{tmp_path}/a.png")]
    os.utime(tmp_path / "a.png", ns=(6, 6))
    versions.append(source_version(str(tmp_path / "a.png")))
    assert versions == ["3 5", "3 5", "3 6"]
    for content in (b"one", b"two"):
        with fsspec.open(f"{bucket}/a.png", "wb") as file:
            file.write(content)
        versions.append(source_version(f"{bucket}/a.png"))
    assert None not in versions
    assert versions[3] != versions[4]
    assert source_version(f"{bucket}/no.png") is None
    assert source_version("nosuch://a.png") is None


def test_results_of_earlier_runs_are_no_images(bucket: str, tmp_path: Path) -> None:
    marker = b'{"sam2-adapter": "1", "command": "predict", "entries": ["overlays", "masks"]}\n"overlays/a.jpg"\n'
    old = b'{"settings": {"tool": "sam2-adapter 0.1.0", "formats": [], "overlay": true}}\n'
    files = {
        "a.png": b"",
        "predictions/overlays/a.jpg": b"",
        "predictions/mine.png": b"",
        "predictions/.sam2-adapter.jsonl": marker,
        "old/overlays/a.jpg": b"",
        "old/.predictions.jsonl": old,
        "odd/masks/b.png": b"",
        "odd/.sam2-adapter.jsonl": b"{",
    }
    for root in (f"{bucket}/photos", f"file://{tmp_path}"):
        for name, content in files.items():
            with fsspec.open(f"{root}/{name}", "wb", auto_mkdir=True) as file:
                file.write(content)
        found = [url.partition("photos/")[2] or url.removeprefix(f"{root}/") for url in find_sources([root])]
        assert found == ["a.png", "odd/masks/b.png", "predictions/mine.png"]
