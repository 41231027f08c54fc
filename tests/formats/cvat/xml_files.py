"""XML files as CVAT writes them, for the tests that read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.formats.folders import HW

POINTS = "8.0,6.0;16.0,6.0;16.0,18.0;8.0,18.0"
POLYGON = f'<polygon label="cat" source="manual" occluded="0" points="{POINTS}" z_order="0"></polygon>'


def image(*elements: str, name: str = "a.png", hw: tuple[int, int] = HW, more: str = "") -> str:
    return f'<image id="0" name="{name}" width="{hw[1]}" height="{hw[0]}" {more}>{"".join(elements)}</image>'


def document(*images: str, labels: Sequence[str] = ("cat",)) -> str:
    listed = "".join(f"<label><name>{label}</name></label>" for label in labels)
    meta = f"<meta><task><name>x</name><labels>{listed}</labels></task><dumped>2026</dumped></meta>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{"".join(images)}</annotations>'


def write_document(path: Path, *images: str, labels: Sequence[str] = ("cat",)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document(*images, labels=labels), encoding="utf-8")
    return path
