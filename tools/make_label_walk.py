"""Draw docs/images/label-walk.webp: a short walk over the page of `sam2-adapter label`, with the bundled model and pictures, in a real browser.

python -m tools.make_label_walk [FILE]
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from sam2_adapter.reports.labels import LabelFont
from tests.browser import launched
from tests.label.pages import Page, opened_page, serving

TARGET = Path(__file__).parents[1] / "docs" / "images" / "label-walk.webp"
DEMO = Path(__file__).parents[1] / "sam2_adapter" / "assets" / "demo"
SIZE_WH = (1000, 620)
CAPTION_PX = 40
MOST_BYTES = 1_500_000
_POINTER = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (13, 12))


class Walk:
    """Frames of the page, each with a sentence below."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.durations: list[int] = []
        self.pointer: tuple[float, float] | None = None
        self._font = LabelFont(19)

    def move(self, x: float, y: float) -> None:
        """Move the pointer to a point of the picture."""
        self.pointer = self.page.place(x, y)
        self.page.window.mouse.move(*self.pointer)

    def show(self, text: str, ms: int = 1500) -> None:
        """Add a frame as the page looks now."""
        self.page.until("!label.stage.isDue && !label.stage.isMoving")
        with Image.open(io.BytesIO(self.page.window.screenshot())) as shot:
            frame = Image.new("RGB", (SIZE_WH[0], SIZE_WH[1] + CAPTION_PX), (24, 24, 27))
            frame.paste(shot.convert("RGB"))
        draw = ImageDraw.Draw(frame)
        if self.pointer:
            corners = [(self.pointer[0] + x, self.pointer[1] + y) for x, y in _POINTER]
            draw.polygon(corners, fill="white", outline="black")
        self._font.draw(draw, (16, SIZE_WH[1] + 26), self._font.line(text), (255, 255, 255))
        self.frames.append(frame)
        self.durations.append(ms)

    def save(self, path: Path) -> None:
        """Write the frames as one animated picture."""
        first, *rest = self.frames
        first.save(path, save_all=True, append_images=rest, duration=self.durations, loop=0, quality=72, method=6)


def walk(page: Page) -> Walk:
    """A short day's work."""
    walk = Walk(page)
    page.ready()
    page.until("document.getElementById('progress').hidden")
    walk.move(225, 85)
    walk.show("Click on an object ...", 1200)
    page.press("3")
    page.point(225, 85)
    walk.show("... and its mask appears.", 1500)
    page.press("Tab")
    page.until("label.stage.candidatesAt?.text.startsWith('2 of 3')")
    walk.show("Tab: the other masks.", 1400)
    page.press("Escape")
    walk.move(145, 10)
    page.window.mouse.down()
    walk.move(300, 190)
    walk.show("Or drag a box around it.", 1300)
    page.window.mouse.up()
    page.answered()
    walk.show("Click again to correct it.", 1300)
    page.press("Enter")
    page.saved()
    walk.show("Enter accepts it.", 1300)
    page.press("2")
    walk.move(170, 390)
    page.point(170, 390)
    walk.show("1 to 9 choose the label.", 1300)
    page.press("Enter")
    page.saved()
    page.press("p")
    for at in ((395, 480), (430, 470), (470, 490)):
        walk.move(*at)
        if at == (395, 480):
            page.window.mouse.down()
    page.window.mouse.up()
    walk.show("P: the brush, by hand.", 1500)
    page.press("Control+z", "Escape")
    page.press("f")
    page.until("label.store.state.images.find((one) => one.id === label.store.state.image?.id)?.name === 'coins.png'")
    page.ready()
    walk.pointer = None
    page.window.mouse.move(1, 1)
    page.press("1")
    walk.show("F: done, on to the next one.", 1500)
    page.press("g")
    page.until("label.stage.proposals.isOn && label.stage.proposals.shown.length > 3 && !label.stage.proposals.search")
    walk.show("G: everything, as proposals.", 1600)
    page.press("Shift+G")
    page.saved()
    page.press("Escape")
    walk.show("Accept one, some or all.", 1600)
    page.press("r")
    page.until("document.querySelectorAll('.cutout').length > 6")
    page.until("[...document.querySelectorAll('.cutout img')].slice(0, 6).every((one) => one.naturalWidth > 20)")
    walk.show("R: the review, worst first.", 2200)
    page.press("Escape", "t")
    page.until("document.querySelector('#teach-dialog[open]') && document.getElementById('teach-next').textContent")
    walk.show("T: teach the model.", 2200)
    return walk


def main(path: Path = TARGET) -> None:
    """Walk over the page and write the picture."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch) / "my photos"
        folder.mkdir()
        for name in ("astronaut.jpg", "coins.png", "flower.jpg", "retina.jpg"):
            shutil.copy(DEMO / name, folder / name)
        browser: Any = launched(playwright)
        with (
            serving(folder, "--model", "sam2_nano", "--labels", "coin,badge,face") as server,
            opened_page(browser, server.url, *SIZE_WH) as page,
        ):
            page.window.set_default_timeout(120_000)
            walk(page).save(path)
        browser.close()
    size = path.stat().st_size
    print(f"{path}: {size / 1e6:.2f} MB")
    if size > MOST_BYTES:
        raise SystemExit(f"{path} is larger than {MOST_BYTES / 1e6} MB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
