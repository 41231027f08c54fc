"""Pages in a real browser: where it is, and what is wrong with the layout of a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# A phone, a laptop and a large screen, in CSS pixels.
WIDTHS = (375, 1200, 1920)
SCHEMES = ("light", "dark")

REQUIRE = "SAM2_ADAPTER_REQUIRE_BROWSER"
"""Environment variable that makes a missing browser a failure instead of a reason to skip."""

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# What may not lie over each other: whatever shows a text, a picture or a chart of its own.
_LAYOUT = """
() => {
  const faults = [], root = document.documentElement;
  if (root.scrollWidth > innerWidth) faults.push(`the page is ${root.scrollWidth} px wide in a window of ${innerWidth} px`);
  const isPicture = (element) => ["IMG", "CANVAS", "svg"].includes(element.tagName);
  const isInline = (element) => !isPicture(element) && getComputedStyle(element).display === "inline";
  const hasText = (element) => [...element.childNodes].some((node) =>
    node.nodeType === 3 ? node.data.trim() : node.nodeType === 1 && isInline(node) && hasText(node));
  const name = (element) => `<${element.tagName.toLowerCase()}> ${(element.textContent || element.getAttribute("alt") || "").trim().slice(0, 30)}`;
  // What of a box can be seen: a text that is cut off or scrolls inside of something is not where its whole box is.
  const seen = (element, box) => {
    let { left, right, top, bottom } = box;
    for (let around = element; around && around !== document.body; around = around.parentElement) {
      if (isPicture(around) || getComputedStyle(around).overflowX === "visible") continue;
      const frame = around.getBoundingClientRect();
      [left, right] = [Math.max(left, frame.left), Math.min(right, frame.right)];
      [top, bottom] = [Math.max(top, frame.top), Math.min(bottom, frame.bottom)];
    }
    return { left, right, top, bottom, width: right - left, height: bottom - top };
  };
  const boxes = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (element.parentElement.closest("svg") || isInline(element) || !(isPicture(element) || hasText(element))) continue;
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(element);
    const box = seen(element, (isPicture(element) ? element : range).getBoundingClientRect());
    if (box.width <= 0 || box.height <= 0) continue;
    const card = element.closest("section")?.getBoundingClientRect();
    if (card && box.right > card.right + 0.5) faults.push(`${name(element)} sticks out of its section`);
    if (box.left < -0.5 || box.right > innerWidth + 0.5) faults.push(`${name(element)} reaches from ${box.left} to ${box.right}`);
    boxes.push([element, box]);
  }
  const compare = (list) => {
    list.sort(([, x], [, y]) => x.top - y.top);
    list.forEach(([a, x], i) => {
      for (let j = i + 1; j < list.length && list[j][1].top < x.bottom - 1; j++) {
        const [b, y] = list[j];
        const isOver = Math.min(x.right, y.right) - Math.max(x.left, y.left) > 1 && Math.min(x.bottom, y.bottom) - y.top > 1;
        if (isOver && !a.contains(b) && !b.contains(a)) faults.push(`${name(a)} lies over ${name(b)}`);
      }
    });
  };
  compare(boxes);
  for (const chart of document.querySelectorAll("svg")) {
    const frame = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
    for (const [text, box] of texts)
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        faults.push(`${name(text)} leaves its chart`);
    compare(texts);
  }
  return faults;
}
"""


# Texts that are hard to read: less contrast than 4.5 to 1, or 3 to 1 for large ones (WCAG 2.2, 1.4.3).
_CONTRAST = """
() => {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, index) => value * a + under[index] * (1 - a));
  const light = (color) => color.map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const color = rgba(getComputedStyle(element).backgroundColor);
    return color[3] === 1 ? color.slice(0, 3) : over(color, ground(element.parentElement));
  };
  const opacity = (element) => (element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1);
  const faults = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join(" ").trim();
    if (!text || element.closest("svg, :disabled, .unseen") || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (!opacity(element)) continue; // shown when the pointer or the focus is there
    const style = getComputedStyle(element), size = parseFloat(style.fontSize), under = ground(element);
    const color = rgba(style.color);
    const lights = [light(over([...color.slice(0, 3), color[3] * opacity(element)], under)), light(under)];
    const ratio = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
    if (ratio < (size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5))
      faults.add(`<${element.tagName.toLowerCase()} class="${element.className}"> ${text.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return [...faults];
}
"""


def executable() -> str | None:
    """The browser's program; `None` where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def launched(playwright: Any, program: str | None = None) -> Any:
    """Chromium without a window."""
    return playwright.chromium.launch(executable_path=program or executable(), args=_ARGUMENTS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window; tests that ask for it are skipped where it is not installed."""
    program = executable()
    if program is None:
        reason = "no Chromium on this machine (Debian: apt-get install chromium)"
        (pytest.fail if os.environ.get(REQUIRE) else pytest.skip)(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = launched(playwright, program)
        yield running
        running.close()


@contextmanager
def opened(
    browser: Any, page: Path | str, width: int = 1200, scheme: str = "light", height: int = 900
) -> Iterator[Any]:
    """A page of a file or an address in a window of its own; whatever it complains about is an error."""
    address = page.resolve().as_uri() if isinstance(page, Path) else page
    window = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    complaints: list[str] = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    try:
        window.goto(address)
        yield window
        if complaints:
            raise AssertionError(f"the page complains: {complaints}")
    finally:
        window.close()


def layout_faults(window: Any) -> list[str]:
    """What lies over something else, leaves its chart, or makes people scroll sideways; empty where all is well."""
    found: list[str] = window.evaluate(_LAYOUT)
    return found


def contrast_faults(window: Any) -> list[str]:
    """Texts with too little contrast to what is behind them; empty where all is well."""
    found: list[str] = window.evaluate(_CONTRAST)
    return found


def faults_everywhere(browser: Any, page: Path | str) -> dict[tuple[int, str], list[str]]:
    """`layout_faults` of a page in all widths, light and dark: by width and scheme, where there are any."""
    faults = {}
    with opened(browser, page) as window:
        for width in WIDTHS:
            window.set_viewport_size({"width": width, "height": 900})
            for scheme in SCHEMES:
                window.emulate_media(color_scheme=scheme)
                faults[width, scheme] = layout_faults(window)
    return {place: found for place, found in faults.items() if found}
