"""The demo's page: one HTML file with photographs, masks and prompts inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sam2_adapter.demo.fine_tuning import FineTuning
from sam2_adapter.demo.panel import Panel, panel_values
from sam2_adapter.reports.pages import render_page


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        mode: the prediction mode.
        title: heading.
        text: a sentence or two.
        credit: who made the photograph.
        command: the command that does the same; may be empty.
        panels: the pictures.
    """

    mode: str
    title: str
    text: str
    credit: str
    command: str
    panels: tuple[Panel, ...]


def page_html(sections: list[Section], fine_tuning: FineTuning, made_by: dict[str, Any], seconds: float) -> str:
    """The complete page; everything inserted is escaped."""
    shown = [{"section": section, "panels": [panel_values(panel) for panel in section.panels]} for section in sections]
    pairs = [
        (panel_values(before), panel_values(after))
        for before, after in zip(fine_tuning.before, fine_tuning.after, strict=True)
    ]
    return render_page("demo.html", sections=shown, tuning=fine_tuning, pairs=pairs, made_by=made_by, seconds=seconds)
