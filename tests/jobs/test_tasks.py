"""How the images of a run are named, and which prompts they have."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.errors import PromptError
from sam2_adapter.jobs.tasks import plan_tasks, prompts_for, prompts_sha256
from tests.formats.cvat.xml_files import image, write_document

BOX_OF_CVAT = '<box label="cat" xtl="1" ytl="2" xbr="3" ybr="4"></box>'
BOX = Prompt(box_xyxy=(40, 20, 120, 100), label="disk")


def test_names_are_paths_below_the_shared_folder() -> None:
    tasks = plan_tasks(
        [Path("/data/a/x.png"), Path("/data/b/x.png"), Path("/data/a/../a/x.png")], {Path("/data/b/x.png"): [BOX]}
    )
    assert [(task.name, len(task.prompts)) for task in tasks] == [("a/x.png", 0), ("b/x.png", 1)]
    assert [task.name for task in plan_tasks([Path("/data/a/x.png")], {})] == ["x.png"]
    assert plan_tasks([], {}) == []


def test_names_are_text_that_utf_8_can_hold_and_unique() -> None:
    paths = [Path(os.fsdecode(b"/data/caf\xe9.png")), Path("/data/caf\\udce9.png")]
    tasks = plan_tasks(paths)
    assert [task.name for task in tasks] == ["caf\\udce9.png", "caf\\udce9.png_"]
    assert [task.path for task in tasks] == paths


def test_prompts_for_all_images_by_name_or_from_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [Path("photos/a.png"), Path("photos/b.png")]
    entry = {"box": [40, 20, 120, 100]}
    assert prompts_for(paths, None).of_path == {}
    assert prompts_for(paths, [BOX]).of_path == {paths[0]: [BOX], paths[1]: [BOX]}
    (prompt, refused) = prompts_for(paths, {"a.png": [entry, {"bbox": []}]}).of_path[paths[0]]
    assert isinstance(prompt, Prompt)
    assert prompt.box_xyxy == BOX.box_xyxy
    assert isinstance(refused, RefusedPrompt)
    (tmp_path / "p.json").write_text(json.dumps({"images": {"b.png": [entry], "c.png": []}}))
    assert list(prompts_for(paths, tmp_path / "p.json").of_path) == [paths[1]]
    assert "1 image that it lists is not among those given, such as 'c.png'" in caplog.text
    with pytest.raises(PromptError, match="none of the images that it lists"):
        prompts_for(paths, {"c.png": [entry]})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"box": [40, 20, 120, 100]}, "prompts is a list of prompts, one per object, but got one prompt alone"),
        ({"points": [[5, 5]], "labels": [1]}, "prompts is a list of prompts, one per object, but got one prompt alone"),
        (
            {"a.png": {"box": [40, 20, 120, 100]}},
            r"prompts\['a.png'\] is a list of prompts, one per object, but got {'box'",
        ),
        ({"a.png": "box"}, r"prompts\['a.png'\] is a list of prompts"),
        (np.zeros((1, 4)), "prompts is a list of prompts, one per object, but got array"),
        (BOX, "prompts is a list of prompts, one per object, but got Prompt"),
    ],
)
def test_prompts_that_are_no_list_are_refused(given: Any, text: str) -> None:
    with pytest.raises(PromptError, match=text):
        prompts_for([Path("photos/a.png")], given)


def test_an_image_may_be_called_like_a_key_of_a_prompt() -> None:
    assert prompts_for([Path("photos/box.png")], {"box": [BOX]}).of_path == {Path("photos/box.png"): [BOX]}


def test_prompts_are_known_by_their_values_and_units() -> None:
    same = prompts_sha256([Prompt(box_xyxy=(40, 20, 120, 100), label="disk")])
    assert same == prompts_sha256([BOX])
    others = [
        prompts_sha256([BOX, BOX]),
        prompts_sha256([BOX], "fraction"),
        prompts_sha256([Prompt(box_xyxy=(40, 20, 120, 101), label="disk")]),
        prompts_sha256([RefusedPrompt("no")]),
        prompts_sha256([]),
    ]
    assert len({same, *others}) == 6
    assert prompts_sha256([], "fraction") == prompts_sha256([])


def test_prompts_from_label_files_of_a_tool(tmp_path: Path) -> None:
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[1, 2], [30, 40]]}
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [shape], "imagePath": "a.png"}))
    paths = [Path("photos/a.png"), Path("photos/b.png")]
    found = prompts_for(paths, tmp_path).of_path
    assert list(found) == [paths[0]]
    (prompt,) = found[paths[0]]
    assert isinstance(prompt, Prompt)
    assert (prompt.label, prompt.box_xyxy) == ("cat", (1, 2, 30, 40))


def test_labels_come_in_the_order_that_is_listed_or_else_of_the_prompts(tmp_path: Path) -> None:
    paths = [Path("photos/a.png"), Path("photos/b.png")]
    box = {"box": [40, 20, 120, 100]}
    assert prompts_for(paths, None).labels == ()
    assert prompts_for(
        paths, [{**box, "label": "b"}, box, {"bbox": []}, {**box, "label": ""}, {**box, "label": "a"}]
    ).labels == ("b", "a")
    asked = {"b.png": [{**box, "label": "b"}], "gone.png": [{**box, "label": "c"}], "a.png": [{**box, "label": "a"}]}
    assert prompts_for(paths, asked).labels == ("b", "c", "a")
    write_document(tmp_path / "a.xml", image(BOX_OF_CVAT, name="a.png"), labels=["z", "disk", "y"])
    assert prompts_for(paths, tmp_path / "a.xml").labels == ("z", "disk", "y", "cat")
