"""Recognising files that stand in for others: pointers of Git LFS and git-annex, saved web pages, answers of servers.

They carry the name of a picture or of a weights file and hold a few lines of text, and a decoder would only say that it
does not understand them.
"""

from __future__ import annotations

import re

# Bytes from the start of a file that are enough to recognise it.
NUM_BYTES = 1024

_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body|script)\b", re.IGNORECASE)
_ANNEX = re.compile(rb"(/annex/objects/|(\.\./)*\.git/annex/objects/)\S+\s*\Z")
_SERVER_MESSAGE = re.compile(rb"<(Error|Code|Message)>|\A\{\s*\"(error|errors|message|detail|code|status)\"\s*:")

_POINTERS = (b"version https://git-lfs.github.com/spec/", b"version http://git-media.io/v/", b"version https://hawser.")


def what_stands_in(start: bytes) -> str | None:
    """What a file is that only stands in for another, as the end of a sentence that begins with "this is".

    Args:
        start: the first `NUM_BYTES` bytes of the file, or all of it where it is shorter.

    Returns:
        Such as "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`"; `None` for all other files.
    """
    text = start[:NUM_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(_POINTERS):
        return "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`"
    if _ANNEX.match(text):
        return "a pointer of git-annex, not the file itself; fetch it with `git annex get`"
    if text.startswith(b"<") and _PAGE.search(text):
        return (
            "a web page (HTML), saved instead of the file; open it in a browser to see why, and download the file again"
        )
    if text.startswith((b"<", b"{")) and _SERVER_MESSAGE.search(text):
        return "a message of a server, saved instead of the file; read it in an editor, and download the file again"
    return None
