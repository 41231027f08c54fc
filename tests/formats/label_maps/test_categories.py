"""What the numbers of label maps are called."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.label_maps.categories import Categories, legend_of
from sam2_adapter.formats.left_out import LeftOut
from tests.formats.folders import label_map_folder, rectangle, write_json
from tests.formats.label_maps.test_dataset import read


def names(tmp_path, document, *images):
    left_out = LeftOut()
    return Categories(write_json(tmp_path / "categories.json", document)).names_of(images, left_out), left_out


@pytest.mark.parametrize("key", ["sub/a", "sub/a.png", "SUB\\A", "a"])
def test_names_of_one_image_whatever_the_spelling(tmp_path, key):
    found, left_out = names(tmp_path, {key: {"1": "cat"}, "1": "cell"}, "sub/a.png", "b.png")
    assert found == {"sub/a.png": {"1": "cat"}, "b.png": {"1": "cell"}}
    assert not left_out.remarks


def test_a_path_is_that_of_the_image_at_that_place(tmp_path):
    assert names(tmp_path, {"a": {"1": "cat"}}, "a.png", "sub/a.png")[0] == {"a.png": {"1": "cat"}, "sub/a.png": {}}


def test_names_of_other_images_are_said(tmp_path):
    _, left_out = names(tmp_path, {"x": {"1": "cat"}, "a": {"1": "cat"}}, "p/a.png", "q/a.png")
    assert left_out.remarks == (
        "1 name in categories.json of no image (x).",
        "1 name in categories.json of several images (a).",
    )


@pytest.mark.parametrize(("document", "text"), [(["a"], r"but got \['a'\]"), ({"1": 3}, "but '1' is 3")])
def test_other_files_are_refused(tmp_path, document, text):
    with pytest.raises(DataError, match=rf'categories\.json: expected {{"1": "label"}} or .*, {text}'):
        names(tmp_path, document)


def test_a_number_without_a_name_among_others_is_said(tmp_path):
    label_map_folder(tmp_path, {"a.png": [rectangle(2, 3, 10, 12), rectangle(15, 5, 30, 20)]})
    write_json(tmp_path / "categories.json", {"1": "cat"})
    samples, left_out = read(tmp_path)
    assert [annotation.label for annotation in samples[""][0].objects] == ["cat", "object"]
    assert left_out.remarks == ("1 object without a label, labelled 'object' (a.png: 2).",)


@pytest.mark.parametrize("text", ["", "[]", '{"objects": 3}', '{"objects": [3, {}]}'])
def test_a_damaged_legend_names_nothing(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert not any(legend_of(tmp_path / "a.png").values())
