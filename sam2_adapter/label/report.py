"""The report of a labelling session: one HTML file with figures by label, how far the pictures are, and objects to look at."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sam2_adapter import __version__
from sam2_adapter.annotations.colors import PALETTE, Color, hex_of_color
from sam2_adapter.errors import ImageError
from sam2_adapter.images.read import read_image
from sam2_adapter.label.cutouts import cut_out
from sam2_adapter.label.picture_work import DONE, IN_PROGRESS, NEW, SKIPPED
from sam2_adapter.label.pictures import Picture, encoded_jpeg
from sam2_adapter.label.review import Accepted, accepted, figures, in_order, is_by_hand, score_of
from sam2_adapter.label.work import Work
from sam2_adapter.reports.pages import render_page
from sam2_adapter.text import plural

REPORT = "report"
REPORT_NAME = "report.html"

_SHOWN_OF_LABEL = 12
_MOST_LABELS = 24
_MOST_PICTURES = 1000
_STATE_NAMES = {NEW: "new", IN_PROGRESS: "in progress", DONE: "done", SKIPPED: "skipped"}


def report_html(title: str, pictures: Sequence[Picture], work: Work, model: Mapping[str, Any]) -> str:
    """The page as text; it loads nothing.

    Args:
        title: name of the session.
        pictures: in their order; those that cannot be read are told without objects cut out of them.
        work: what was labelled.
        model: `name` of the model in use, where it is known.
    """
    objects = accepted(work.snapshot())
    colors = work.label_colors
    rows = figures(objects, work.labels)
    most = max((row.num_objects for row in rows), default=0) or 1
    states = Counter(work.state_of(picture.name) for picture in pictures)
    labels = [
        {
            "row": row,
            "color": hex_of_color(colors.get(row.label, PALETTE[0])),
            "share": round(100 * row.num_objects / most, 1),
        }
        for row in rows
    ]
    return render_page(
        "labels.html",
        title=title,
        lead=_lead(len(objects), len(pictures), states),
        states=[(_STATE_NAMES[state], states[state]) for state in _STATE_NAMES],
        num_pictures=max(len(pictures), 1),
        labels=labels,
        galleries=_galleries(objects, [row.label for row in rows if row.num_objects][:_MOST_LABELS], pictures, colors),
        pictures=_picture_rows(pictures, objects, work)[:_MOST_PICTURES],
        num_more=max(0, len(pictures) - _MOST_PICTURES),
        made_by=f"Made by sam2-adapter {__version__}" + (f" with {model['name']}." if model.get("name") else "."),
    )


def _lead(num_objects: int, num_pictures: int, states: Mapping[str, int]) -> str:
    skipped = f", {states[SKIPPED]} skipped" if states[SKIPPED] else ""
    return f"{plural(num_objects, 'object')} in {plural(num_pictures, 'picture')}; {states[DONE]} done{skipped}."


def _galleries(
    objects: Sequence[Accepted], labels: Sequence[str], pictures: Sequence[Picture], colors: Mapping[str, Color]
) -> list[dict[str, Any]]:
    """For each label the objects that the model is least sure of, then those that have no score; each picture is read once."""
    ordered = sorted(in_order(objects, None, "score"), key=lambda one: score_of(one.entry) is None)
    chosen = {label: in_order(ordered, label, "picture")[:_SHOWN_OF_LABEL] for label in labels}
    by_picture: dict[str, list[Accepted]] = {}
    for one in (one for those in chosen.values() for one in those):
        by_picture.setdefault(one.name, []).append(one)
    known = {picture.name: picture for picture in pictures}
    shown: dict[tuple[str, str], str] = {}
    for name, those in by_picture.items():
        try:
            pixels = read_image(known[name].path, name=name) if name in known else None
        except ImageError:
            pixels = None
        for one in those:
            if pixels is not None and pixels.shape[:2] == one.original_hw:
                drawn = cut_out(pixels, one.entry, colors.get(one.entry["label"], PALETTE[0]))
                content = base64.b64encode(encoded_jpeg(drawn)).decode()
                shown[name, one.key] = f"data:image/jpeg;base64,{content}"
    return [
        {
            "label": label,
            "objects": [
                {
                    "src": shown[one.name, one.key],
                    "score": score_of(one.entry),
                    "is_by_hand": is_by_hand(one.entry),
                    "name": one.name,
                }
                for one in those
                if (one.name, one.key) in shown
            ],
        }
        for label, those in chosen.items()
    ]


def _picture_rows(pictures: Sequence[Picture], objects: Sequence[Accepted], work: Work) -> list[dict[str, Any]]:
    counts: dict[str, Counter[str]] = {}
    for one in objects:
        counts.setdefault(one.name, Counter())[one.entry["label"]] += 1
    return [
        {
            "name": picture.name,
            "state": _STATE_NAMES[work.state_of(picture.name)],
            "objects": sum(counts.get(picture.name, {}).values()),
            "labels": ", ".join(
                f"{label} {count}" for label, count in counts.get(picture.name, Counter()).most_common()
            ),
        }
        for picture in pictures
    ]
