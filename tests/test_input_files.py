"""Files are opened without waiting for what is no file; those that stand in for others are recognised by their first bytes, and nothing else is."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json, reason_of
from sam2_adapter.input_files import NUM_BYTES, open_regular, what_stands_in


def test_a_file_is_opened_to_read_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\r\n\x1a\0")
    (tmp_path / "link").symlink_to("a")
    for name in ("a", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"\r\n\x1a\0"


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    listening = socket.socket(socket.AF_UNIX)
    folder = os.open(tmp_path, os.O_RDONLY)
    with listening:
        listening.bind(f"/proc/self/fd/{folder}/socket")  # a path of its own could be too long for a socket
        for path, text in (
            (tmp_path / "pipe", "it is a named pipe, not a file"),
            (tmp_path / "link", "it is a named pipe, not a file"),
            (tmp_path / "socket", "it is a socket, not a file"),
            (tmp_path, "it is a folder, not a file"),
            (os.devnull, "it is a device, not a file"),
            ("a\0b", "it is no usable path"),
        ):
            with pytest.raises(OSError, match="it is") as caught:
                open_regular(path)
            assert reason_of(caught.value) == text
    os.close(folder)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "missing")


def test_a_pipe_instead_of_a_json_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "annotations.json")
    with pytest.raises(DataError, match=r"annotations\.json: cannot read the file: it is a named pipe, not a file"):
        read_json(tmp_path / "annotations.json")


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 184416285\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (LFS, "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`"),
        (b"\xef\xbb\xbf" + LFS, "a pointer of Git LFS"),
        (LFS.replace(b"\n", b"\r\n"), "a pointer of Git LFS"),
        (b"version https://hawser.github.com/spec/v1\noid sha256:00\nsize 1\n", "a pointer of Git LFS"),
        (b"/annex/objects/SHA256E-s7--00ff.png\n", "a pointer of git-annex"),
        (b"../../.git/annex/objects/Zx/9p/SHA256E-s7--00ff.png/SHA256E-s7--00ff.png", "a pointer of git-annex"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page (HTML), saved instead of the file"),
        (b"\n\n <HTML>\n<HEAD><TITLE>Moved</TITLE>", "a web page"),
        (b"<!-- signed in? -->\n<!doctype HTML>", "a web page"),
        (b'<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0">', "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a message of a server"),
        (b'{"error": "not found"}', "a message of a server"),
        (b'{ "message": "Bad credentials" }', "a message of a server"),
    ],
)
def test_what_stands_in_for_a_file_is_named(content, text):
    assert what_stands_in(content[:NUM_BYTES]).startswith(text)


def test_other_files_are_not_taken_for_stand_ins():
    picture = io.BytesIO()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(picture, "PNG")
    others = [
        b"",
        b"hello",
        picture.getvalue(),
        b'{"images": [], "annotations": []}',
        b'<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        b"a note about version https://git-lfs.github.com/spec/v1",
        b"PK\x03\x04archive/data.pkl",
    ]
    assert [what_stands_in(content) for content in others] == [None] * len(others)
