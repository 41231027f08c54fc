"""Opening the files that users and data sets name, where something else may lie: no file at all, or one that stands in for another.

To open a named pipe waits for whoever writes into it, a device may never end, and both can be called `a.png`. Pointers of
Git LFS and git-annex, saved web pages and answers of servers carry the name of a picture or of a weights file and hold a
few lines of text; a decoder would only say that it does not understand them.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import IO

# Bytes from the start of a file that are enough to recognise it.
NUM_BYTES = 1024

_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body|script)\b", re.IGNORECASE)
_ANNEX = re.compile(rb"(/annex/objects/|(\.\./)*\.git/annex/objects/)\S+\s*\Z")
_SERVER_MESSAGE = re.compile(rb"<(Error|Code|Message)>|\A\{\s*\"(error|errors|message|detail|code|status)\"\s*:")

_ARCHIVES = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "packed with gzip"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ\0", "packed with xz"),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
)

_POINTERS = (b"version https://git-lfs.github.com/spec/", b"version http://git-media.io/v/", b"version https://hawser.")


def open_regular(path: str | Path) -> IO[bytes]:
    """Open a file to read its bytes; whatever is no file is refused at once, where opening a named pipe would wait.

    Raises:
        OSError: there is no such file, it cannot be read, or it is a folder, a named pipe, a device or a socket.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # null characters
        raise OSError(errno.EINVAL, "it is no usable path", str(path)) from error
    _check_is_file(mode, path)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _check_is_file(os.fstat(file.fileno()).st_mode, path)  # another one may lie there by now
    except OSError:
        file.close()
        raise
    return file


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


def packed(start: bytes) -> str | None:
    """How a file is packed, such as "packed with gzip", by its first bytes; `None` for a file that is not."""
    return next((name for mark, name in _ARCHIVES if start.startswith(mark)), None)


def _check_is_file(mode: int, path: str | Path) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    raise OSError(errno.EINVAL, f"it is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a file", str(path))
