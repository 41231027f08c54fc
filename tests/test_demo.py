"""The demo: offline, quick, one page that needs nothing else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.annotations import Annotation
from sam2_adapter.demo.page import Panel, Section, page_html
from sam2_adapter.demo.scenes import load_scenes, photo_bytes, read_photo
from tests.command_line import Run, run

MADE_BY = {"tool": "t", "name": "n", "weights_sha256": "0" * 64, "runtime": "r", "precision": "p", "device": "d"}


class _Page(HTMLParser):
    """Collects tags and the addresses that a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, run("demo", "--output", folder, "--json")


def test_it_succeeds_and_says_what_it_did(demo: tuple[Path, Run]) -> None:
    folder, done = demo
    document = json.loads(done.stdout)
    assert done.status == 0
    assert document["page"] == str(folder / "index.html")
    assert document["num_photographs"] == 4
    assert document["num_objects"] >= 10
    assert document["made_by"]["name"] == "sam2_nano"
    assert document["seconds"] < 180


def test_the_page_needs_no_other_file(demo: tuple[Path, Run]) -> None:
    html = (demo[0] / "index.html").read_text("utf-8")
    page = _Page()
    page.feed(html)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "url(" not in html
    assert "@import" not in html


def test_the_page_shows_all_modes(demo: tuple[Path, Run]) -> None:
    html = (demo[0] / "index.html").read_text("utf-8")
    for text in (
        "No prompt",
        "Points",
        "Boxes",
        "Everything at once",
        "Corrections",
        "sam2_nano",
        "never seen a photograph",
    ):
        assert text in html
    page = _Page()
    page.feed(html)
    assert page.tags.count("svg") == 7
    assert {"rect", "circle", "path", "image"} <= set(page.tags)
    assert re.search(r"weights [0-9a-f]{12}", html)


def test_the_commands_on_the_page_work(demo: tuple[Path, Run], tmp_path: Path) -> None:
    scenes, _ = load_scenes()
    for scene in scenes:
        words = scene.command((demo[0] / "photos").as_posix()).split()
        done = run(*words[1:], "--output", tmp_path, "--no-overlay", "--json")
        assert (done.status, done.stderr) == (0, "")
        (image,) = json.loads(done.stdout)["images"]
        assert len(image["objects"]) + len(image["empty_prompts"]) == max(1, len(scene.entries))


def test_every_photograph_has_its_attribution() -> None:
    attribution = photo_bytes("ATTRIBUTION.md").decode()
    scenes, refinement = load_scenes()
    for photo in {refinement.photo, *(scene.photo for scene in scenes)}:
        assert f"`{photo}`" in attribution
        assert max(read_photo(photo).shape) <= 640
        assert len(photo_bytes(photo)) < 100_000


def test_everything_inserted_is_escaped() -> None:
    evil = '<script>alert("1")</script>'
    annotation = Annotation.from_mask(np.eye(40, dtype=np.bool_), evil, 0.5, prompt_index=0)
    panel = Panel(evil, photo_bytes("coins.png"), (40, 40), (annotation,), ())
    html = page_html([Section(evil, evil, evil, evil, evil, (panel, panel))], {**MADE_BY, "name": evil}, 1.0)
    assert evil not in html
    assert "&lt;script&gt;alert" in html
