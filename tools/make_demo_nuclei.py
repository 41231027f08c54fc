"""Cut the crops of nuclei that the demo fine-tunes on; the same data give the same files.

Usage: make_demo_nuclei.py NUCLEI, the folder of the images (`images/`, `masks/`, `images.tsv`, `split.json`).

The crops to train on come from its `train` split. Those that the best epoch is chosen by and those that the demo
measures and shows come from its `validation` split, from images of their own. Its `test` split is not touched.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections import defaultdict
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_adapter.config import Config
from sam2_adapter.files import write_json

TARGET = Path(__file__).parents[1] / "sam2_adapter" / "assets" / "demo" / "nuclei"

CROP_PX = 128
STRIDE_PX = 16

# A crop with more nuclei takes the demo longer and is harder to look at.
MAX_NUCLEI = 12
MIN_SIDE_PX = 8
MIN_AREA_PX = Config().min_area_px

# Split of the demo: split of the source, and how many of its images are passed over and taken.
SPLITS = {"train": ("train", 0, 12), "validation": ("validation", 0, 4), "test": ("validation", 4, 4)}

SEED = 0

LabelMap = npt.NDArray[np.int32]


def main() -> None:
    """Write the crops, their label maps and their splits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    source = parser.parse_args().source
    stems = {split: list(_ordered_stems(source, split)) for split in ("train", "validation")}
    for folder in ("images", "masks"):
        shutil.rmtree(TARGET / folder, ignore_errors=True)
        (TARGET / folder).mkdir(parents=True)
    splits = {}
    for split, (source_split, passed_over, count) in SPLITS.items():
        splits[split] = stems[source_split][passed_over : passed_over + count]
        for stem in splits[split]:
            _write_crop(source, stem)
    write_json(TARGET / "split.json", splits)


def _ordered_stems(source: Path, split: str) -> Iterator[str]:
    """The images of a split in a random order in which the kinds of microscopy take turns."""
    kinds = defaultdict(list)
    with (source / "images.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["split"] == split:
                kinds[row["kind"]].append(row["stem"])
    rng = np.random.default_rng(SEED)
    shuffled = [rng.permutation(sorted(kinds[kind])).tolist() for kind in sorted(kinds)]
    for turn in zip_longest(*shuffled):
        yield from (stem for stem in turn if stem is not None)


def _write_crop(source: Path, stem: str) -> None:
    (image_path,) = (source / "images").glob(f"{stem}.*")
    image = np.asarray(Image.open(image_path).convert("RGB"))
    label_map = np.asarray(Image.open(source / "masks" / f"{stem}.png")).astype(np.int32)
    window = _window(label_map)
    # Grey images take a third of the space with one channel; they are read as colours again.
    crop = image[window]
    Image.fromarray(crop[..., 0] if (crop == crop[..., :1]).all() else crop).save(
        TARGET / "images" / f"{stem}.png", optimize=True
    )
    numbers, inverse, counts = np.unique(label_map[window], return_inverse=True, return_counts=True)
    # What the edge has left of a nucleus may be too small to be an object.
    kept = (numbers > 0) & (counts >= MIN_AREA_PX)
    numbered = (np.cumsum(kept) * kept)[inverse].reshape(CROP_PX, CROP_PX).astype(np.uint8)
    Image.fromarray(numbered).save(TARGET / "masks" / f"{stem}.png", optimize=True)


def _window(label_map: LabelMap) -> tuple[slice, slice]:
    """The square with the most whole nuclei, up to the limit; among equals the one with the fewest cut ones, then the first."""
    height, width = label_map.shape
    windows = [
        (slice(y, y + CROP_PX), slice(x, x + CROP_PX))
        for y in range(0, height - CROP_PX + 1, STRIDE_PX)
        for x in range(0, width - CROP_PX + 1, STRIDE_PX)
    ]
    return max(windows, key=lambda window: _suitability(label_map[window]))


def _suitability(label_map: LabelMap) -> tuple[int, int]:
    whole = cut = 0
    for number in np.unique(label_map[label_map > 0]):
        rows, columns = np.nonzero(label_map == number)
        is_cut = min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == CROP_PX - 1
        is_large = min(np.ptp(rows), np.ptp(columns)) + 1 >= MIN_SIDE_PX
        whole += is_large and not is_cut
        cut += is_cut or not is_large
    return (whole if whole + cut <= MAX_NUCLEI else -cut), -cut


if __name__ == "__main__":
    main()
