"""How far downloads are: the package tells, and whoever wants to shows it. Nothing is shown unless somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

# Told the number of bytes that have arrived since the last call.
Advance = Callable[[int], None]

# Called with the name of a file, the bytes that are there already, and all bytes where they are known.
Watch = Callable[[str, int, int | None], AbstractContextManager[Advance]]


def _silent(name: str, done: int, total: int | None) -> AbstractContextManager[Advance]:
    return nullcontext(lambda num_bytes: None)


_watch: Watch = _silent


def watch_downloads(watch: Watch | None) -> None:
    """Have all downloads of this process told to `watch`; `None` for nobody."""
    global _watch
    _watch = watch or _silent


def watched(name: str, done: int, total: int | None) -> AbstractContextManager[Advance]:
    """Tell that a download begins; arguments as in `Watch`."""
    return _watch(name, done, total)
