"""A prompts file of ours, or what a labelling tool has saved."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import PromptError
from sam2_adapter.formats.prompt_sources import listed_labels, read_prompts
from tests.formats.folders import write_json
from tests.formats.labelme.label_files import label_file, shape


def test_our_own_prompts_file(tmp_path):
    path = write_json(tmp_path / "prompts.json", {"images": {"a.png": [{"box": [1, 2, 3, 4]}]}})
    (prompt,) = read_prompts(path)["a.png"]
    assert prompt.box_xyxy == (1, 2, 3, 4)


def test_files_and_folders_of_labelling_tools(tmp_path):
    path = write_json(tmp_path / "a.json", label_file(shape("rectangle", [[1, 2], [3, 4]])))
    for source in (path, tmp_path):
        (prompt,) = read_prompts(source)["a.png"]
        assert (prompt.box_xyxy, prompt.label) == ((1, 2, 3, 4), "cat")


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(
        PromptError, match=r"a folder without prompts\. Expected a prompts file, or files of yolo or labelme or cvat"
    ):
        read_prompts(tmp_path)
    with pytest.raises(PromptError, match="cannot read the file"):
        read_prompts(tmp_path / "missing.json")


@pytest.mark.parametrize("name", ["p.csv", "P.TSV", "p.xlsx"])
def test_tables_are_refused_with_an_example_of_what_is_read(tmp_path, name):
    (tmp_path / name).write_text("image;x0;y0;x1;y1\na.png;1,5;2;3;4\n")
    with pytest.raises(
        PromptError, match=r'tables are not read\. A prompts file is JSON, such as \{"images": \{"street.jpg"'
    ):
        read_prompts(tmp_path / name)


def test_a_path_that_is_too_long_cannot_be_read():
    with pytest.raises(PromptError, match="cannot read the file: File name too long"):
        read_prompts("x" * 5000)


def test_labels_are_listed_by_tools_alone(tmp_path):
    path = write_json(tmp_path / "prompts.json", {"images": {"a.png": [{"box": [1, 2, 3, 4], "label": "a"}]}})
    assert listed_labels(path) == ()
    root = tmp_path / "set"
    root.mkdir()
    (root / "data.yaml").write_text("train: images\nnames: [dog, cat]\n")
    assert listed_labels(root) == ["dog", "cat"]
    (root / "data.yaml").write_text("train: images\nnames: dog\n")
    with pytest.raises(PromptError, match="'names' is a list of class names"):
        listed_labels(root)
