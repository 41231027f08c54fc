"""Files that stand in for others are recognised by their first bytes, and nothing else is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.stand_ins import NUM_BYTES, what_stands_in

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
