"""Memory that is no longer used goes back to the system, so that a long session stays as small as what it keeps."""

from __future__ import annotations

import ctypes
import sys


def _glibc_trim() -> ctypes._FuncPointer | None:
    """What gives memory back where the C library is glibc, which keeps freed pieces of large images for itself otherwise."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


_trim = _glibc_trim()


def give_memory_back() -> None:
    """To be called after a large image was worked on; takes milliseconds."""
    if _trim is not None:
        _trim(0)
