"""The scenes of the demo: their photographs are there, their prompts lie in them, and their commands say the same."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from sam2_adapter.demo.scenes import Scene, load_scenes, photo_bytes, read_photo

SCENES, REFINEMENT = load_scenes()
SCENE = Scene("a.jpg", "box", "A title", "A text.", "Somebody", ({"box": [1, 2, 30, 40]}, {"points": [[5, 6]]}))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.photo} {scene.mode}")
def test_prompts_lie_in_their_photographs(scene):
    height, width = read_photo(scene.photo).shape[:2]
    for prompt in scene.prompts:
        x0, y0, x1, y1 = prompt.box_xyxy or (0, 0, width, height)
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        for x, y in prompt.point_coords if prompt.point_coords is not None else ():
            assert 0 <= x <= width
            assert 0 <= y <= height
    assert scene.title
    assert scene.text
    assert scene.credit


def test_the_clicks_of_the_refinement_lie_in_its_photograph():
    height, width = read_photo(REFINEMENT.photo).shape[:2]
    assert {label for _, _, label in REFINEMENT.clicks} <= {0, 1}
    assert all(0 <= x <= width and 0 <= y <= height for x, y, _ in REFINEMENT.clicks)


def test_a_photograph_is_a_jpeg_or_png_file():
    assert photo_bytes(SCENES[0].photo)[:2] in (b"\xff\xd8", b"\x89P")


def test_simple_prompts_are_options_of_the_command():
    words = shlex.split(SCENE.command("photos of mine"))
    assert words[:3] == ["sam2-adapter", "predict", "photos of mine/a.jpg"]
    assert words[3:] == ["--model", "sam2_nano", "--box", "1,2,30,40", "--point", "5,6"]


@pytest.mark.parametrize(
    "entry", [{"box": [1, 2, 3, 4], "label": "cat"}, {"points": [[1, 2], [3, 4]], "labels": [1, 0]}]
)
def test_other_prompts_come_from_their_file(entry):
    words = shlex.split(replace(SCENE, entries=(*SCENE.entries, entry)).command("photos"))
    assert words[5:] == ["--prompts", "photos/a.prompts.json"]


def test_a_scene_without_prompts_is_the_zero_shot_command():
    assert shlex.split(replace(SCENE, entries=()).command("photos"))[3:] == ["--model", "sam2_nano"]
