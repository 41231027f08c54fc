"""Draw docs/images/modes.jpg, the three prediction modes on the demo's photographs, astronaut.jpg, everything.jpg and windows.jpg, with the bundled model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.config import Config
from sam2_adapter.demo.scenes import Scene, load_scenes, read_photo
from sam2_adapter.predict.everything.segment_all import segment_all
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.segment import segment
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.predict.windows import WindowedImage
from sam2_adapter.reports.overlay import draw_overlay

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MODES = ("No prompt", "Points", "Boxes")
MIXED_MODE = "Everything at once"
HEIGHT, GAP = 330, 12


def main() -> None:
    """Draw the modes side by side, and the picture with prompts of all kinds."""
    predictor = load_predictor("sam2_nano", device="cpu", runtime="torch", precision="fp32")
    scenes = {scene.mode: scene for scene in load_scenes()[0]}
    pictures = []
    for mode in MODES:
        drawn = _drawn(predictor, scenes[mode])
        pictures.append(np.asarray(drawn.resize((round(drawn.width * HEIGHT / drawn.height), HEIGHT))))
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (gap, picture)][1:]
    Image.fromarray(np.concatenate(row, axis=1)).save(IMAGES / "modes.jpg", quality=85)
    _drawn(predictor, scenes[MIXED_MODE]).save(IMAGES / "astronaut.jpg", quality=90)
    draw_everything(predictor)
    draw_windows(predictor)


def draw_everything(predictor: Predictor) -> None:
    """Draw everything in a photograph of coins: as it is found, and without overlaps."""
    image = read_photo("coins.png")
    pictures = []
    for settings in (Config(), Config(drop_contained=True, overlaps="highest_score", mask_nms_thresh=0.4)):
        found = segment_all(predictor, image, predictor.embed(image), settings.everything)
        pictures.append(draw_overlay(image, found.annotations))
    gap = np.full((image.shape[0], GAP, 3), 255, np.uint8)
    Image.fromarray(np.concatenate([pictures[0], gap, pictures[1]], axis=1)).save(IMAGES / "everything.jpg", quality=85)


def draw_windows(predictor: Predictor) -> None:
    """Draw a part of a big picture, of which the photograph of coins is one tile of thirty: boxes on the whole image, and in windows."""
    tile = read_photo("coins.png")
    image = np.tile(tile, (5, 6, 1))
    height, width = tile.shape[:2]
    place = Region(2 * width, 2 * height, 3 * width, 3 * height)
    bright = cv2.threshold(cv2.GaussianBlur(tile[..., 0], (5, 5), 0), 0, 255, cv2.THRESH_OTSU)[1]
    parts = cv2.connectedComponentsWithStats(bright)[2][1:].tolist()
    coins = [(x, y, x + w, y + h) for x, y, w, h, _ in parts if min(w, h) > 20 and max(w, h) < 70]
    prompts = [
        Prompt(box_xyxy=(x0 + place.x0, y0 + place.y0, x1 + place.x0, y1 + place.y0)) for x0, y0, x1, y1 in coins
    ]
    embedding = predictor.embed(image)
    pictures = []
    for choice in ("off", "auto"):
        windowed = WindowedImage(image, WindowRule(choice))  # type: ignore[arg-type]
        answers = segment(predictor, embedding, prompts, windowed=windowed)
        masks = [place.cut(entry.mask) for entry in answers.annotations]
        shown = tile.copy()
        for mask in masks:
            edge = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
            shown[mask] = shown[mask] // 2 + np.array([0, 60, 110], np.uint8)
            shown[edge] = (255, 220, 0)
        pictures.append(shown)
    gap = np.full((height, GAP, 3), 255, np.uint8)
    Image.fromarray(np.concatenate([pictures[0], gap, pictures[1]], axis=1)).save(IMAGES / "windows.jpg", quality=85)


def _drawn(predictor: Predictor, scene: Scene) -> Image.Image:
    image = read_photo(scene.photo)
    found = segment(predictor, predictor.embed([image])[0], scene.prompts)
    return Image.fromarray(draw_overlay(image, found.annotations, scene.prompts))


if __name__ == "__main__":
    main()
