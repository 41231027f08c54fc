"""The photographs that the bundled model learns from: those of the training splits whose licence lets their traces ship.

python tools/nano/photographs.py DIR      print their attribution as the table of the model card
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

# The one licence that is admitted, as the attribution tables name it.
LICENCE = "CC BY 2.0"
SPLIT = "train"

# Folders of photographs, and whether every object of the 80 categories in them is labelled.
FOLDERS = {"coco-cc": True, "coco-objects": False}

# Photographs are kept in memory at no more than this; the model sees 256 px.
_LONGER_SIDE_PX = 512


@dataclass(frozen=True)
class Photograph:
    """One photograph with its labelled objects.

    Attributes:
        name: folder and stem.
        image: uint8 RGB H x W x 3.
        label_map: uint8 H x W; 0 background, 1..N objects.
        is_complete: all objects are labelled; else what is not labelled may be an object as well.
    """

    name: str
    image: npt.NDArray[np.uint8]
    label_map: npt.NDArray[np.uint8]
    is_complete: bool


def load_photographs(root: Path) -> list[Photograph]:
    """The admitted photographs in the folders of `root`, in a fixed order."""
    return [
        _load(root / row["folder"], row["stem"], is_complete=FOLDERS[row["folder"]]) for row in attribution_rows(root)
    ]


def attribution_rows(root: Path) -> list[dict[str, str]]:
    """The rows of the attribution tables for the admitted photographs, with the folder's name as `folder`."""
    rows = []
    for name in FOLDERS:
        stems = set(json.loads((root / name / "split.json").read_text("utf-8"))[SPLIT])
        with (root / name / "attribution.tsv").open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, delimiter="\t")
            rows += [{"folder": name, **row} for row in table if row["stem"] in stems and row["licence"] == LICENCE]
    return sorted(rows, key=lambda row: (row["folder"], row["stem"]))


def _load(folder: Path, stem: str, is_complete: bool) -> Photograph:
    image = np.asarray(Image.open(next((folder / "images").glob(f"{stem}.*"))).convert("RGB"))
    label_map = np.asarray(Image.open(folder / "masks" / f"{stem}.png")).astype(np.uint8)
    height, width = label_map.shape
    scale = min(1.0, _LONGER_SIDE_PX / max(height, width))
    size = (round(width * scale), round(height * scale))
    smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    labels = cv2.resize(label_map, size, interpolation=cv2.INTER_NEAREST)
    return Photograph(f"{folder.name}/{stem}", np.asarray(smaller), np.asarray(labels), is_complete)


def attribution_table(root: Path) -> str:
    """The attribution of every admitted photograph in Markdown."""
    lines = ["| photograph | page on Flickr, which names its photographer and title | licence |", "| --- | --- | --- |"]
    lines += [
        f"| {row['folder']}/{row['stem']} | {row['flickr_photo_page']} | {row['licence']} |"
        for row in attribution_rows(root)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(attribution_table(Path(sys.argv[1])))
