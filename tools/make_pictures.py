"""Draw docs/images/modes.jpg, the three prediction modes on the demo's photographs, with the bundled model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sam2_adapter.demo.scenes import load_scenes, read_photo
from sam2_adapter.predict.loading import load_predictor
from sam2_adapter.predict.segment import segment
from sam2_adapter.reports.overlay import draw_overlay

TARGET = Path(__file__).parents[1] / "docs" / "images" / "modes.jpg"
MODES = ("No prompt", "Points", "Boxes")
HEIGHT, GAP = 330, 12


def main() -> None:
    """Draw the pictures side by side."""
    predictor = load_predictor("sam2_nano", device="cpu", runtime="torch", precision="fp32")
    scenes, _ = load_scenes()
    pictures = []
    for scene in (next(scene for scene in scenes if scene.mode == mode) for mode in MODES):
        image = read_photo(scene.photo)
        found = segment(predictor, predictor.embed([image])[0], scene.prompts)
        drawn = Image.fromarray(draw_overlay(image, found.annotations, scene.prompts))
        pictures.append(np.asarray(drawn.resize((round(drawn.width * HEIGHT / drawn.height), HEIGHT))))
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (gap, picture)][1:]
    Image.fromarray(np.concatenate(row, axis=1)).save(TARGET, quality=85)


if __name__ == "__main__":
    main()
