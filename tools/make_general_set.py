"""Make `sam2_adapter/assets/general/`: photographs on which fine-tuning measures what a model forgets.

    python tools/make_general_set.py --data DIR

`DIR` holds the folders `coco-cc` and `coco-objects` as docs/nano.md describes them. Photographs come from their `validation` splits, under CC BY 2.0
only, which the bundled model has never been trained on. They are made smaller, and with them their masks; objects that are too small to say
anything about a small model are left out, and of an image with many objects some of all sizes are taken.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

LICENCE = "CC BY 2.0"
SETS = ("coco-cc", "coco-objects")
NUM_PHOTOGRAPHS = 22

# Longer side of a photograph, and its JPEG quality.
LONGER_SIDE = 512
QUALITY = 85

# Shorter side of an object's box as a part of the image's, and most objects of an image.
LEAST_SIDE = 1 / 16
MOST_OBJECTS = 6

OUTPUT = Path(__file__).parents[1] / "sam2_adapter" / "assets" / "general"

HEAD = """# Photographs of the general set

Fine-tuning measures with these what a model forgets ([docs/training.md](../../../docs/training.md)); nothing is trained on them. They come
from the validation splits of two selections of COCO 2017 photographs (https://cocodataset.org). Changed: scaled to {side} pixels at the
longer side, compressed again.

Photographs: each is its photographer's, whom its page on Flickr names, and under CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/).
Masks and categories: Copyright (c) 2015, COCO Consortium, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). Changed: drawn as label
maps and scaled; small objects were left out, and of an image with many objects {most} of all sizes were kept.

| photograph | page on Flickr, which names its photographer and title | from | licence |
| --- | --- | --- | --- |
"""


def main() -> None:
    """Write images, masks, categories and the attribution."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    for folder in ("images", "masks"):
        (OUTPUT / folder).mkdir(parents=True, exist_ok=True)
    categories, rows = {}, []
    for folder, row in photographs(data):
        labels = write_photograph(folder, row["stem"])
        if labels:
            categories[row["stem"]] = labels
            rows.append(f"| {row['stem']}.jpg | {row['flickr_photo_page']} | {folder.name} | {row['licence']} |\n")
    (OUTPUT / "categories.json").write_text(json.dumps(categories, indent=1) + "\n")
    (OUTPUT / "ATTRIBUTION.md").write_text(HEAD.format(side=LONGER_SIDE, most=MOST_OBJECTS) + "".join(rows))
    size = sum(path.stat().st_size for path in OUTPUT.rglob("*.*"))
    print(f"{len(rows)} photographs, {sum(map(len, categories.values()))} objects, {size / 1e6:.2f} MB")


def photographs(data: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Folder and attribution of each photograph: those of both sets in turn, in the order of their names."""
    queues = []
    for name in SETS:
        with (data / name / "attribution.tsv").open() as file:
            known = {row["stem"]: row for row in csv.DictReader(file, delimiter="\t")}
        stems = json.loads((data / name / "split.json").read_text())["validation"]
        queues.append([(data / name, known[stem]) for stem in sorted(stems) if known[stem]["licence"] == LICENCE])
    first, second = queues
    for index in range(max(map(len, queues))):
        for queue in (first, second):
            yield from queue[index : index + 1]
            if index * 2 >= NUM_PHOTOGRAPHS:
                return


def write_photograph(folder: Path, stem: str) -> dict[str, str]:
    """Write a photograph and its label map, made smaller; returns number to category of the objects that were kept."""
    image = Image.open(folder / "images" / f"{stem}.jpg").convert("RGB")
    label_map = np.array(Image.open(folder / "masks" / f"{stem}.png"))
    scale = min(1.0, LONGER_SIDE / max(image.size))
    size = (round(image.width * scale), round(image.height * scale))
    found = json.loads((folder / "categories.json").read_text())[stem]
    small = scaled_labels(label_map, size)
    kept = spread(
        [number for number in np.unique(small).tolist() if number and is_large_enough(small == number)], small
    )
    result = np.zeros_like(small)
    for position, number in enumerate(kept, start=1):
        result[small == number] = position
    if kept:
        image.resize(size, Image.Resampling.LANCZOS).save(
            OUTPUT / "images" / f"{stem}.jpg", quality=QUALITY, optimize=True
        )
        Image.fromarray(result).save(OUTPUT / "masks" / f"{stem}.png", optimize=True)
    return {str(position): found[str(number)] for position, number in enumerate(kept, start=1)}


def scaled_labels(label_map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map of another size (width, height): a pixel goes to the object that covers most of it."""
    numbers = np.unique(label_map)
    covered = [cv2.resize((label_map == n).astype(np.float32), size, interpolation=cv2.INTER_AREA) for n in numbers]
    return numbers[np.argmax(covered, axis=0)].astype(np.uint8)


def is_large_enough(mask: np.ndarray) -> bool:
    """Whether the box of a mask has the least part of the image along both sides."""
    sides = [np.ptp(positions) + 1 for positions in np.nonzero(mask)]
    return all(side >= LEAST_SIDE * whole for side, whole in zip(sides, mask.shape, strict=True))


def spread(numbers: list[int], label_map: np.ndarray) -> list[int]:
    """At most so many objects, evenly over their sizes."""
    ordered = sorted(numbers, key=lambda number: -np.count_nonzero(label_map == number))
    if len(ordered) <= MOST_OBJECTS:
        return ordered
    return [ordered[round(at)] for at in np.linspace(0, len(ordered) - 1, MOST_OBJECTS)]


if __name__ == "__main__":
    main()
