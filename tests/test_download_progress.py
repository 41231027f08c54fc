"""Who is told how far a download is."""

from __future__ import annotations

from contextlib import nullcontext

from sam2_adapter.download_progress import watch_downloads, watched


def test_nobody_is_told_unless_somebody_asks():
    told = []
    with watched("a", 0, 3) as advance:
        advance(3)
    watch_downloads(lambda *begun: told.append(begun) or nullcontext(told.append))
    try:
        with watched("b", 1, None) as advance:
            advance(2)
    finally:
        watch_downloads(None)
    with watched("c", 0, 1) as advance:
        advance(1)
    assert told == [("b", 1, None), 2]
