"""Opening the files that users and data sets name, where something else than a file may lie.

To open a named pipe waits for whoever writes into it, a device may never end, and both can be called `a.png`.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO


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


def _check_is_file(mode: int, path: str | Path) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    raise OSError(errno.EINVAL, f"it is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a file", str(path))
