"""The demo's page: honest about what was gained, escaped, and laid out for every screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.demo import NUM_EPOCHS
from sam2_adapter.demo.fine_tuning import Figure, FineTuning
from sam2_adapter.demo.page import Section, page_html
from sam2_adapter.demo.panel import Panel
from sam2_adapter.demo.scenes import load_scenes, photo_bytes, read_photo
from sam2_adapter.training.records import TrainingResult
from tests.browser import faults_everywhere, opened

MADE_BY = {"tool": "t", "name": "n", "weights_sha256": "0" * 64, "runtime": "r", "precision": "p", "device": "d"}


def test_everything_inserted_is_escaped() -> None:
    evil = '<script>alert("1")</script>'
    annotation = Annotation.from_mask(np.eye(40, dtype=np.bool_), evil, 0.5, prompt_index=0)
    panel = Panel(evil, photo_bytes("coins.png"), (40, 40), (annotation,), (), (annotation,))
    section = Section(evil, evil, evil, evil, evil, (panel, panel))
    html = page_html([section], _tuning(0.5, 0.6, panel=panel, text=evil), {**MADE_BY, "name": evil}, 1.0)
    assert evil not in html
    assert "&lt;script&gt;alert" in html


@pytest.mark.parametrize(
    ("click", "box", "best_epoch", "verdict"),
    [
        (0.6, 0.8, 3, "Better from one click. No notable difference from box."),
        (0.6, 0.9, 3, "Better from one click and box."),
        (0.4, 0.9, 3, "Better from box. Worse from one click."),
        (0.5, 0.805, 3, "Nothing was gained on the held-out crops. No notable difference from one click and box."),
        (0.5, 0.8, 0, "Nothing was gained: no epoch beat the untouched model on the crops for choosing"),
    ],
)
def test_the_verdict_is_honest(click: float, box: float, best_epoch: int, verdict: str) -> None:
    tuning = _tuning(0.5, click, box_after=box, best_epoch=best_epoch)
    assert tuning.verdict.startswith(verdict)
    assert verdict in page_html([], tuning, MADE_BY, 1.0)


def test_a_page_of_an_interrupted_demo_claims_no_teaching() -> None:
    tuning = _tuning(0.5, 0.5, best_epoch=0)
    assert "Taught nuclei" in page_html([], tuning, MADE_BY, 1.0)
    interrupted = replace(tuning, result=replace(tuning.result, epochs=0, stopped="interrupted"))
    html = page_html([], interrupted, MADE_BY, 1.0)
    assert "Fine-tuning was interrupted" in html
    assert "The model was to be fine-tuned on 20 nuclei under the microscope" in html
    assert "Taught nuclei" not in html
    assert "was just fine-tuned" not in html


def _tuning(
    click_before: float,
    click_after: float,
    box_after: float = 0.8,
    best_epoch: int = 3,
    panel: Panel | None = None,
    text: str = "sam2-adapter",
) -> FineTuning:
    path = Path("run") / "model.torch"
    result = TrainingResult(
        "nuclei", "sam2_nano", path, "0" * 64, best_epoch, 0.1, NUM_EPOCHS, "all epochs done", (), 9.0
    )
    figures = (Figure("one click", click_before, click_after, 0.7), Figure("box", 0.8, box_after, 0.7))
    panels = () if panel is None else (panel,)
    return FineTuning(result, figures, 20, 10, panels, panels, (text,))


def _example_page() -> str:
    """All scenes with a made-up mask for every prompt, in folders with long names."""
    folder = "/home/somebody/a folder with_a_very_long_name/" * 3
    scenes, _ = load_scenes()
    sections = []
    for scene in scenes:
        height, width = read_photo(scene.photo).shape[:2]
        mask = np.hypot(*np.mgrid[-height // 2 : height // 2, -width // 2 : width // 2]) < height / 4
        count = max(1, len(scene.prompts))
        found = tuple(Annotation.from_mask(mask, "a label of some length", 0.9, prompt_index=i) for i in range(count))
        panel = Panel(scene.photo, photo_bytes(scene.photo), mask.shape, found, tuple(scene.prompts))
        sections.append(Section(scene.mode, scene.title, scene.text, scene.credit, scene.command(folder), (panel,)))
    sections.append(Section("Corrections", "Steps", "Each step.", "by me", "", (sections[0].panels[0],) * 3))
    panels = sections[1].panels * 4
    figures = tuple(Figure(prompt, 0.5, 0.75, 0.7) for prompt in ("one click", "box"))
    command = f"sam2-adapter train '{folder}nuclei' --model sam2_nano --set num_epochs=12 --output run"
    tuning = FineTuning(_tuning(0.5, 0.6).result, figures, 20, 10, panels, panels, (command, command))
    return page_html(sections, tuning, MADE_BY, 51.0)


def test_the_report_of_the_run_is_one_click_away() -> None:
    tuning = _tuning(0.5, 0.6)
    folder, name = tuning.report_path.parent.name, tuning.report_path.name
    assert f'<a href="{folder}/{name}">' in _example_page()


@pytest.mark.browser
def test_nothing_overlaps_and_nobody_scrolls_sideways(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(_example_page())
    assert faults_everywhere(browser, path) == {}


@pytest.mark.browser
def test_masks_can_be_hidden_and_found(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(_example_page())
    with opened(browser, path) as window:
        mask = window.locator(".mask").first
        assert mask.is_visible()
        window.locator(".scores li").first.hover()
        assert "on" in mask.get_attribute("class").split()
        window.uncheck("#masks")
        assert not mask.is_visible()
        copied = window.locator("pre").first.inner_text()
    assert copied.startswith("sam2-adapter predict '/home/somebody/a folder with_a_very_long_name/")
