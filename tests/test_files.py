"""Files that are complete or not there, and what is wrong with a JSON file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sam2_adapter.errors import DataError, ExportError, OutputExistsError
from sam2_adapter.files import (
    append_whole,
    atomic_file,
    encodable,
    parsed_line,
    read_json,
    read_text,
    refuse_to_replace,
    remove_partial_files,
    write_file,
    write_json,
)
from tests.small_disk import files_of_at_most


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"a": 1})

    def fail(_: object) -> None:
        raise OSError("the disk is full")

    with pytest.raises(ExportError, match="the disk is full"):
        write_file(tmp_path / "deep" / "a.json", fail)
    assert read_json(tmp_path / "deep" / "a.json") == {"a": 1}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.json"]


@pytest.mark.parametrize("is_synced", [False, True])
def test_a_file_appears_when_it_is_complete_or_not_at_all(tmp_path: Path, is_synced: bool) -> None:
    path = tmp_path / "deep" / "a.bin"
    with atomic_file(path, is_synced=is_synced) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"

    def break_off() -> None:
        with atomic_file(path, is_synced=is_synced) as file:
            file.write(b"ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert [(entry.name, entry.read_bytes()) for entry in path.parent.iterdir()] == [("a.bin", b"whole")]


def test_only_our_own_partial_files_are_removed(tmp_path: Path) -> None:
    ours, mine = tmp_path / f".a.png.{'0af3' * 8}.part", tmp_path / ".mine.part"
    for path in (ours, mine):
        path.write_bytes(b"")
    remove_partial_files(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]


def test_a_target_that_exists_is_refused(tmp_path: Path) -> None:
    refuse_to_replace(tmp_path / "mine.pt")
    (tmp_path / "mine.pt").symlink_to("nowhere")
    with pytest.raises(OutputExistsError, match=r"mine\.pt exists already.*--overwrite, in Python overwrite=True"):
        refuse_to_replace(tmp_path / "mine.pt")


def test_text_that_utf_8_cannot_hold_is_escaped() -> None:
    assert encodable("caf\udce9 \u4f60") == "caf\\udce9 \u4f60"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty."),
        (" \n", "it is empty."),
        ('{"a": 1,\n "b": }', 'in line 2, at character 7, a value is missing: {"a": 1, "b": <here>}'),
        ("{a: 1}", "in line 1, at character 2, a key in double quotes is missing: {<here>a: 1}"),
        ('{"a" 1}', 'in line 1, at character 6, a colon is missing after a key: {"a" <here>1}'),
        ("[1 2]", "in line 1, at character 4, a comma or a closing bracket is missing: [1 <here>2]"),
        ('["x', 'in line 1, at character 2, a text begins that has no closing quote: [<here>"x'),
        ('["C:\\work"]', "a backslash stands alone in a text, where two are needed"),
        ('["a\nb"]', "a line break or another control character stands inside a text"),
        ("{} {}", "something follows after the end of the document: {} <here>{}"),
        ("[" * 100_000, "lists or objects are nested too deeply."),
        ("[" + "9" * 5000 + "]", "a number has more digits than can be read."),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
    ],
)
def test_a_file_that_is_no_json_says_what_is_wrong_and_where(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: not a valid JSON file: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'{"a": 1}\n', {"a": 1}),
        (b'{"a": 1}', None),
        (b'{"a": 1\n', None),
        (b"[1]\n", None),
        (b"\xff\n", None),
        (b"[" * 100_000 + b"\n", None),
    ],
)
def test_a_line_of_a_journal_is_a_whole_object_or_nothing(text: bytes, line: dict[str, int] | None) -> None:
    assert parsed_line(text) == line


def test_a_piece_is_appended_whole_or_not_at_all(tmp_path):
    path = tmp_path / "lines"
    with path.open("wb", buffering=0) as file:
        append_whole(file, b"one\n")
        with files_of_at_most(6), pytest.raises(OSError, match="too large"):
            append_whole(file, b"two\n")
        assert path.read_bytes() == b"one\n"
        append_whole(file, b"three\n")
    assert path.read_bytes() == b"one\nthree\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (gzip.compress(b"{}", mtime=0), "not a JSON file: it is packed with gzip; unpack it, and give what is in it"),
        (b"PK\x03\x04\x14\0", "it is a ZIP archive; unpack it"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "not a JSON file: this is a pointer of Git LFS",
        ),
        (b"<!DOCTYPE html><html>Log in</html>", "not a JSON file: this is a web page"),
        (b'{"images": [{"id": 1}, ', "it ends in line 1, before the document does, as a file does that was cut off: "),
        (b'{"images": [', "cut off"),
    ],
)
def test_what_stands_in_the_place_of_a_json_file_is_called_so(tmp_path, content, text):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_json(tmp_path / "a.json")
    assert text in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_json_in_any_form_of_unicode_is_read(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes('{"name": "Zürich 東京"}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"name": "Zürich 東京"}


def test_a_packed_text_is_called_so(tmp_path):
    (tmp_path / "a.txt").write_bytes(gzip.compress(b"0 0.1 0.2"))
    with pytest.raises(DataError, match=r"no text: it is packed with gzip; unpack it"):
        read_text(tmp_path / "a.txt")
