"""Files are opened without waiting for what is no file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json, reason_of
from sam2_adapter.regular_files import open_regular


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
