"""How quick the page is: clicks on a large picture, moving with many masks, everything in it, opening many large pictures, and memory.

    python -m benchmarks.page.run --part clicks --model sam2_nano
    python -m benchmarks.page.run --part clicks --seeded sam2_hiera_s --peers-python .venv-peers/bin/python
    python -m benchmarks.page.run --part moving
    python -m benchmarks.page.run --part everything
    python -m benchmarks.page.run --part many
    python -m benchmarks.page.run --part memory

Each part takes one to three minutes on two cores and prints a JSON document of its own; without --part all of them run, one after the other.
Needs Chromium and the extra `label`. Figures are only worth something on a machine that does nothing else. `--seeded` measures an official
architecture with seeded weights, as `benchmarks/prediction` does: speed does not depend on their values, though noise has more outlines than
objects have.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.prediction.tables import processor
from sam2_adapter.annotations.rle import placed_mask_to_rle
from sam2_adapter.label.run import LabelSession
from tests.browser import launched
from tests.label.pages import DEMO, Page, Server, opened_page, serving

SEEDED = Path(__file__).parents[1] / "prediction" / "seeded_weights.py"
WIDTH, HEIGHT = 4000, 3000
PAINTED = """async ([x, y]) => {
  const { store, stage } = label;
  const canvas = document.getElementById("canvas");
  const { left, top } = canvas.getBoundingClientRect();
  const [a, b] = stage.view.toScreen(x, y);
  const event = (type) => new PointerEvent(type, { clientX: a + left, clientY: b + top, button: 0, pointerId: 1, pointerType: "mouse", bubbles: true });
  canvas.setPointerCapture = () => {};
  const started = performance.now();
  canvas.dispatchEvent(event("pointerdown"));
  canvas.dispatchEvent(event("pointerup"));
  while (!label.own()) await new Promise((resolve) => { const channel = new MessageChannel(); channel.port1.onmessage = resolve; channel.port2.postMessage(0); });
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return performance.now() - started;
}"""


SEARCHED = """async () => {
  const { store, stage } = label;
  const started = performance.now();
  const after = () => Math.round(performance.now() - started);
  const frame = () => new Promise(requestAnimationFrame);
  stage.proposals.look(false);
  while (!stage.proposals.shown.length && stage.proposals.search) await frame();
  await frame();
  const first = after();
  const clicks = [];
  while (stage.proposals.search) {
    if (clicks.length < 10) {
      const asked = performance.now();
      label.commands.point(400 + 320 * clicks.length, 1500, true);
      while (!label.own()) await frame();
      clicks.push(performance.now() - asked);
      label.commands.escape();
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return { first_ms: first, all_ms: after(), proposals: stage.proposals.list.size, clicks };
}"""


def picture(seed: int) -> Image.Image:
    """A large picture with coloured disks in it."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).resize(
        (WIDTH, HEIGHT), Image.Resampling.BICUBIC
    )
    return small.filter(ImageFilter.GaussianBlur(3))


def clicks(page: Page, count: int) -> dict[str, float]:
    """Milliseconds from the pointer going down to the painted frame."""
    rng = np.random.default_rng(0)
    page.ready()
    times = []
    for number in range(count):
        if number % 10 == 0:
            page.js("label.commands.escape()")
        times.append(page.js(PAINTED, [float(rng.uniform(0, WIDTH)), float(rng.uniform(0, HEIGHT))]))
    page.js("label.commands.escape()")
    return quantiles(times[1:])


def moving(page: Page, frames: int) -> dict[str, float]:
    """Milliseconds of script for each frame while the picture is moved, and of the browser's own layout."""
    page.ready()
    client = page.window.context.new_cdp_session(page.window)
    client.send("Performance.enable")

    def metrics() -> dict[str, float]:
        return {entry["name"]: entry["value"] for entry in client.send("Performance.getMetrics")["metrics"]}

    before = metrics()
    times = page.js(
        """async (frames) => {
          label.stage.frames.length = 0;
          for (let i = 0; i < frames; i++) {
            label.stage.view.pan(i % 40 < 20 ? 6 : -6, 2);
            label.stage.moving();
            await new Promise(requestAnimationFrame);
          }
          return [...label.stage.frames];
        }""",
        frames,
    )
    layout_ms = 1000 * (metrics()["LayoutDuration"] - before["LayoutDuration"]) / frames
    return {**quantiles(times), "layout_mean_ms": round(layout_ms, 2)}


def quantiles(times: list[float]) -> dict[str, float]:
    """Median, 95th percentile and most."""
    return {
        name: round(float(np.quantile(times, share)), 1) for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
    }


def memory_mib(server: Server) -> dict[str, int]:
    """Resident memory of the server and of the process with the model."""
    children = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True).stdout.split()
    models = [pid for pid in children if b"model_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return {"server": _resident_mib(str(server.process.pid)), "model": sum(map(_resident_mib, models))}


def _resident_mib(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024)


def usable_after(browser: Any, folder: Path, model: str) -> float:
    """Seconds from the address being opened until the first picture is shown and the page can be used."""
    with serving(folder, "--model", model) as server:
        started = time.monotonic()
        with opened_page(browser, server.url) as page:
            page.until("window.label && label.store.state.image?.width && label.stage.picture.overview")
            return round(time.monotonic() - started, 2)


def memory(browser: Any, folder: Path, model: str, count: int, every: int = 10) -> dict[str, Any]:
    """Memory after so many pictures that were opened, encoded and clicked on."""
    measured = []
    with serving(folder, "--model", model) as server, opened_page(browser, server.url) as page:
        for number in range(count + 1):
            page.ready()
            page.point(WIDTH / 2, HEIGHT / 2)
            page.press("Escape")
            if number % every == 0:
                measured.append(memory_mib(server))
            page.press("d")
    return {
        "pictures": list(range(0, count + 1, every)),
        **{key: [one[key] for one in measured] for key in measured[0]},
    }


def large_picture(folder: Path) -> Path:
    """A folder with one large picture."""
    folder.mkdir()
    picture(0).save(folder / "large.jpg", quality=90)
    return folder


def clicks_part(browser: Any, temporary: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Clicks on a large picture."""
    folder = large_picture(temporary / "one")
    with serving(folder, "--model", arguments.model) as server, opened_page(browser, server.url) as page:
        return {"click_to_painted_ms": clicks(page, arguments.clicks)}


def moving_part(browser: Any, temporary: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Moving a large picture with 200 masks."""
    folder = large_picture(temporary / "masks")
    with LabelSession([folder]) as session:
        session.work.change("large.jpg", (HEIGHT, WIDTH), disks(200))
    with serving(folder, "--model", arguments.model) as server, opened_page(browser, server.url) as page:
        page.until("window.label && Object.keys(label.store.state.objects).length === 200")
        return {"moving_with_200_masks_script_ms": moving(page, arguments.frames)}


def everything_part(browser: Any, temporary: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything in a large picture of coins, with clicks meanwhile; then 500 proposals in it while it is moved, and the slider."""
    folder = temporary / "everything"
    folder.mkdir()
    Image.open(DEMO / "coins.png").convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(
        folder / "large.jpg", quality=90
    )
    with serving(folder, "--model", arguments.model) as server, opened_page(browser, server.url) as page:
        page.ready()
        searched = page.js(SEARCHED)
        clicks_ms = quantiles(searched.pop("clicks") or [0.0])
        page.js("(list) => label.stage.proposals.offer(list, '')", list(disks(500).values()))
        page.until("!label.stage.isDue")
        moved = moving(page, arguments.frames)
        page.until("!label.stage.isMoving && !label.stage.isDue")
        sliding = page.js(
            "async () => { label.stage.frames.length = 0; for (let i = 0; i < 20; i++) { label.stage.proposals.setLeast(i / 100);"
            " await new Promise(requestAnimationFrame); } return [...label.stage.frames]; }"
        )
    return {
        "everything": {**searched, "click_meanwhile_ms": clicks_ms},
        "moving_with_500_proposals_script_ms": moved,
        "slider_with_500_proposals_script_ms": quantiles(sliding),
    }


def many_part(browser: Any, temporary: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """A folder of many large pictures, each file of its own content."""
    folder = large_picture(temporary / "many")
    content = (folder / "large.jpg").read_bytes()
    for number in range(arguments.pictures - 1):
        (folder / f"{number:04}.jpg").write_bytes(content + number.to_bytes(2, "big"))
    return {"pictures": arguments.pictures, "usable_s": usable_after(browser, folder, arguments.model)}


def memory_part(browser: Any, temporary: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Large pictures of their own pixels, one after the other."""
    (temporary / "memory").mkdir()
    base = picture(0)
    for number in range(arguments.seen + 1):
        base.paste((number % 256, 0, 255), (40 * number, 0, 40 * number + 30, 400))
        base.save(temporary / "memory" / f"{number:04}.jpg", quality=90)
    return {"memory_mib": memory(browser, temporary / "memory", arguments.model, arguments.seen)}


def disks(count: int) -> dict[str, dict[str, Any]]:
    """Accepted objects, anywhere in the picture."""
    rng = np.random.default_rng(1)
    found = {}
    for number in range(count):
        radius = int(rng.integers(40, 160))
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        corner = int(rng.integers(0, WIDTH - 2 * radius - 1)), int(rng.integers(0, HEIGHT - 2 * radius - 1))
        rle = placed_mask_to_rle(np.hypot(x, y) < radius, corner, (HEIGHT, WIDTH))
        found[str(number)] = {"label": f"label {number % 12}", "counts": rle.counts, "score": 0.9}
    return found


PARTS: dict[str, Callable[[Any, Path, argparse.Namespace], dict[str, Any]]] = {
    "clicks": clicks_part,
    "moving": moving_part,
    "everything": everything_part,
    "many": many_part,
    "memory": memory_part,
}


def main() -> None:
    """Measure and print one JSON document for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one; may be given several times")
    parser.add_argument("--model", default="sam2_nano")
    parser.add_argument("--clicks", type=int, default=100)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--seen", type=int, default=60, help="pictures that are opened for the part `memory`")
    parser.add_argument(
        "--seeded", help="an official architecture with seeded weights, such as sam2_hiera_s; needs --peers-python"
    )
    parser.add_argument("--peers-python", default="python", help="an interpreter with the official package")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launched(playwright)
        for part in arguments.part or PARTS:
            machine = {"processor": processor(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
            with tempfile.TemporaryDirectory() as temporary:
                if arguments.seeded:
                    arguments.model = str(Path(temporary) / f"{arguments.seeded}.pt")
                    subprocess.run([arguments.peers_python, str(SEEDED), arguments.seeded, arguments.model], check=True)
                measured = PARTS[part](browser, Path(temporary), arguments)
            print(json.dumps({"model": arguments.seeded or arguments.model, **machine, **measured}), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
