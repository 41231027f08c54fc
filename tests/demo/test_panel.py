"""What the page draws of a photograph: plain values, in pixels of the image."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from sam2_adapter.annotations.colors import PALETTE
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.demo.panel import Panel, panel_values

PNG = b"\x89PNG..."


@pytest.fixture
def values() -> dict:
    mask = np.zeros((50, 100), bool)
    mask[10:20, 30:60] = True
    truth = np.zeros((50, 100), bool)
    truth[10:30, 30:60] = True
    truth[15:25, 40:50] = False
    annotation = Annotation.from_mask(mask, "bar", 0.75, prompt_index=1)
    prompts = (Prompt(box_xyxy=(1, 2, 30, 40)), Prompt(point_coords=[[5, 6], [7, 8]], point_labels=[1, 0]))
    return panel_values(Panel("two", PNG, (50, 100), (annotation,), prompts, (Annotation.from_mask(truth, "t"),)))


def test_sizes_and_photograph(values: dict) -> None:
    assert (values["caption"], values["width"], values["height"], values["unit"]) == ("two", 100, 50, 1)
    assert values["href"] == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert panel_values(Panel("", b"\xff\xd8", (1, 1), (), ()))["href"].startswith("data:image/jpeg;base64,")


def test_objects_have_the_colour_of_their_prompt(values: dict) -> None:
    (found,) = values["objects"]
    assert (found["label"], found["score"], found["area"]) == ("bar", 0.75, 300)
    assert found["path"].count("M") == found["path"].count("Z") == 1
    assert [prompt["color"] for prompt in values["prompts"]] == [
        "#{:02x}{:02x}{:02x}".format(*PALETTE[n]) for n in (1, 2)
    ]
    assert found["color"] == values["prompts"][1]["color"]


def test_prompts_are_drawn_where_they_are(values: dict) -> None:
    box, points = values["prompts"]
    assert (tuple(box["box"]), box["points"]) == ((1, 2, 30, 40), [])
    assert points["box"] is None
    assert points["points"] == [{"x": 5, "y": 6, "is_foreground": True}, {"x": 7, "y": 8, "is_foreground": False}]


def test_holes_of_the_truth_stay_open(values: dict) -> None:
    (path,) = values["truth"]
    assert path.count("M") == 2
