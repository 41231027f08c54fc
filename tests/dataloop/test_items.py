"""What a filter means, and sizes that documents from outside give in any form."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sam2_adapter.dataloop.items import checked_items, name_of, nested, query_of, system_of, upright_hw
from sam2_adapter.errors import PlatformError


def _item(**system):
    return SimpleNamespace(id="1", filename="/a.png", metadata={"system": system})


def test_a_filter_is_taken_in_each_of_its_forms(dl):
    part = {"$and": [{"dir": "/a"}]}
    assert query_of({"filter": part, "resource": "items"}) == query_of(part) == {"filter": part, "resource": "items"}
    assert query_of(None) == query_of({}) == query_of(dl.Filters()) == dl.Filters().prepare()


@pytest.mark.parametrize("filters", ["all", 5, [1], True])
def test_what_is_no_filter_is_named(filters):
    with pytest.raises(PlatformError, match=r"^filters: expected dl\.Filters or a query .*, but got "):
        query_of(filters)


def test_items_are_a_list_of_items_or_one():
    item = _item()
    assert checked_items(item) == checked_items([item]) == checked_items((item,)) == [item]
    assert checked_items([]) == []
    for items in (None, "a.png", 5, [item, None], [{"id": "1"}], {"id": "1"}):
        with pytest.raises(PlatformError, match=r"^items: expected a list of items of the platform"):
            checked_items(items)


@pytest.mark.parametrize("holder", [None, "text", [], 5, {"a": None}, {"a": "text"}, {"a": {"b": [1]}}])
def test_what_is_no_object_is_an_empty_one(holder):
    assert nested(holder, "a", "b") == {}
    assert system_of(SimpleNamespace(metadata=holder)) == {}


def test_items_without_a_name_are_called_by_their_id():
    assert name_of(_item()) == "a.png"
    assert name_of(SimpleNamespace(id="1", filename="/")) == name_of(SimpleNamespace(id="1", filename=None)) == "1"


@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 4, "3", 4.0])
def test_an_image_that_stands_upright_has_its_stored_size(orientation):
    assert upright_hw(_item(height=120, width=160, exif={"Orientation": orientation})) == (120, 160)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8, "6", 8.0])
def test_an_image_that_lies_on_its_side_is_turned(orientation):
    assert upright_hw(_item(height=120, width=160, exif={"Orientation": orientation})) == (160, 120)


@pytest.mark.parametrize("exif", [None, "none", [], 5])
def test_exif_data_of_another_kind_say_nothing(exif):
    assert upright_hw(_item(height="120", width=160.0, exif=exif)) == (120, 160)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "wide",
        "1e3",
        "-5",
        "160 px",
        "²",
        "9" * 5000,
        0,
        -1,
        1.5,
        True,
        float("nan"),
        float("inf"),
        [160],
        10**400,
    ],
)
def test_a_size_of_another_kind_is_none(value):
    assert upright_hw(_item(height=120, width=value)) is None
    assert upright_hw(_item(height=value, width=160)) is None
    assert upright_hw(_item(height=120, width=160, exif={"Orientation": value})) == (
        (120, 160) if value is None else None
    )


def test_a_size_that_no_image_may_have_is_none():
    assert upright_hw(_item(height=30_000, width=40_000)) is None
    assert upright_hw(_item()) is upright_hw(SimpleNamespace(metadata=None)) is None
