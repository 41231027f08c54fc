"""Paths of items on the disk: their own where it can be, and never two items at one path."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.dataloop.local_names import LocalNames
from tests.shapes import QUICK


def _taken(*names):
    taken = LocalNames()
    return [str(taken.take(SimpleNamespace(id=f"id{n}", filename=name))) for n, name in enumerate(names)]


def test_an_ordinary_item_keeps_its_path():
    assert _taken("/train/a.png", "/train/a.jpg", "/Bäume & Sträucher/naïve café (1).JPG", "/猫/🐈.webp") == [
        "train/a.png",
        "train/a.jpg",
        "Bäume & Sträucher/naïve café (1).JPG",
        "猫/🐈.webp",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "/../../etc/a.png",
        "/a/../b.png",
        "/.hidden/a.png",
        "/.a.png",
        "/a\\b.png",
        "/a\0.png",
        "/a\nb.png",
        "/a\udc80.png",
        "/C:/a.png",
        "/what?.png",
        "/folder./a.png",
        f"/{'n' * 300}.png",
        f"/{'猫' * 80}.png",
    ],
)
def test_a_name_that_not_every_disk_takes_gives_way_to_the_id(name):
    assert _taken(name) == ["id0.png"]


@pytest.mark.parametrize("name", [None, "", "/"])
def test_an_item_without_a_name_is_called_by_its_id(name):
    assert _taken(name) == ["id0.png"]


def test_an_item_without_the_suffix_of_an_image_gets_one():
    assert _taken("/scan", "/scan.dcm", "/scan.PNG") == ["scan.png", "scan.dcm.png", "id2.png"]


def test_no_two_items_share_a_path_and_no_file_is_a_folder():
    assert _taken("/a.png", "/a.png", "/A.PNG", "/a.png/b.png", "/c.png/d.png", "/c.png") == [
        "a.png",
        "id1.png",
        "id2.png",
        "id3.png",
        "c.png/d.png",
        "id5.png",
    ]


@QUICK
@given(st.lists(st.text(st.sampled_from("aA./\\ :é\n"), max_size=8), max_size=8))
def test_any_names_make_paths_of_their_own_below_the_folder(names):
    taken = _taken(*names)
    assert len({path.casefold() for path in taken}) == len(names)
    for path in taken:
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert path.lower().endswith((".png", ".a.png"))
        assert not any(other != path and other.casefold().startswith(f"{path.casefold()}/") for other in taken)
