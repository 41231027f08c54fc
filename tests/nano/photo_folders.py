"""Small data sets in the layout of the photographs that the bundled model learns from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

HEADER = "stem\tlicence\tlicence_url\tflickr_image\tflickr_photo_page\n"


def write_folder(
    folder: Path, label_maps: dict[str, npt.NDArray[np.uint8]], licences: dict[str, str], split: dict[str, list[str]]
) -> None:
    """Photographs of noise with the given label maps, licences by stem and splits."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rng = np.random.default_rng(0)
    for stem, label_map in label_maps.items():
        noise = rng.integers(0, 256, (*label_map.shape, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "images" / f"{stem}.jpg")
        Image.fromarray(label_map).save(folder / "masks" / f"{stem}.png")
    rows = "".join(f"{stem}\t{licence}\tlink\timage\tpage of {stem}\n" for stem, licence in licences.items())
    (folder / "attribution.tsv").write_text(HEADER + rows, "utf-8")
    (folder / "split.json").write_text(json.dumps(split), "utf-8")


def two_folders(root: Path) -> Path:
    """A completely labelled photograph without objects, one with two, and an incompletely labelled one with a small object."""
    empty = np.zeros((120, 160), np.uint8)
    two = empty.copy()
    two[20:100, 30:120], two[5:15, 130:150] = 1, 2
    small = empty.copy()
    small[50:58, 60:72] = 1
    both = {"a": "CC BY 2.0", "b": "CC BY 2.0"}
    write_folder(root / "coco-cc", {"a": empty, "b": two}, both, {"train": ["a", "b"], "validation": [], "test": []})
    write_folder(
        root / "coco-objects", {"c": small}, {"c": "CC BY 2.0"}, {"train": ["c"], "validation": [], "test": []}
    )
    return root
