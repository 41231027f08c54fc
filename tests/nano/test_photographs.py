"""Which photographs the bundled model may learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from photographs import attribution_rows, load_photographs

from tests.nano.photo_folders import write_folder

CARD = Path(__file__).parents[2] / "sam2_adapter" / "assets" / "sam2_nano.md"


def _folders(root: Path) -> Path:
    label_map = np.zeros((60, 1024), np.uint8)
    label_map[10:30, 100:300] = 3
    every = {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
    licences = {"a": "CC BY 2.0", "b": "CC BY-SA 2.0", "c": "CC BY 2.0", "d": "CC BY 2.0"}
    for name in ("coco-cc", "coco-objects"):
        write_folder(root / name, dict.fromkeys("abcd", label_map), licences, every)
    return root


def test_only_the_training_split_and_the_one_licence_are_admitted(tmp_path: Path) -> None:
    rows = attribution_rows(_folders(tmp_path))
    assert [(row["folder"], row["stem"], row["flickr_photo_page"]) for row in rows] == [
        ("coco-cc", "a", "page of a"),
        ("coco-objects", "a", "page of a"),
    ]


def test_photographs_are_at_most_512_px_and_keep_their_labels(tmp_path: Path) -> None:
    first, second = load_photographs(_folders(tmp_path))
    assert (first.name, second.name) == ("coco-cc/a", "coco-objects/a")
    assert (first.is_complete, second.is_complete) == (True, False)
    assert first.image.shape == (30, 512, 3)
    assert np.unique(first.label_map).tolist() == [0, 3]
    assert int((first.label_map == 3).sum()) == 10 * 100


def test_the_model_card_names_every_photograph() -> None:
    lines = [line for line in CARD.read_text("utf-8").splitlines() if "flickr.com/photo.gne?id=" in line]
    assert len(lines) == 104
    assert len(set(lines)) == 104
    assert "https://creativecommons.org/licenses/by/2.0/" in CARD.read_text("utf-8")
