"""The filter language, against a plain reading of it, and through the real client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dataloop.gateway.query import matches, run_query, values_at
from tests.shapes import QUICK

NAMES = ("/a.png", "/b/a.png", "/b/c/a.jpg", "/ab.png")
NUMBERS = st.integers(-2, 2)
MISSING = object()

DOCUMENTS = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES)},
    optional={
        "n": NUMBERS,
        "flag": st.booleans(),
        "deep": st.fixed_dictionaries({}, optional={"n": NUMBERS, "s": st.sampled_from("xyz")}),
    },
)
SIMPLE = {
    "$eq": lambda value, operand: value == operand,
    "$ne": lambda value, operand: value != operand,
    "$in": lambda value, operand: value in operand,
    "$nin": lambda value, operand: value not in operand,
    "$gt": lambda value, operand: value is not MISSING and value > operand,
    "$gte": lambda value, operand: value is not MISSING and value >= operand,
    "$lt": lambda value, operand: value is not MISSING and value < operand,
    "$lte": lambda value, operand: value is not MISSING and value <= operand,
}


def _path(document, path):
    for part in path.split("."):
        if part not in document:
            return MISSING
        document = document[part]
    return document


@given(DOCUMENTS, st.sampled_from(["n", "deep.n"]), st.sampled_from(sorted(SIMPLE)), NUMBERS, st.lists(NUMBERS))
@QUICK
def test_operators_on_numbers(document, path, name, number, numbers):
    operand = numbers if name in ("$in", "$nin") else number
    assert matches(document, {path: {name: operand}}) == SIMPLE[name](_path(document, path), operand)


@given(DOCUMENTS, st.sampled_from(["n", "deep", "deep.s", "none.at.all"]), st.booleans())
@QUICK
def test_exists(document, path, wanted):
    assert matches(document, {path: {"$exists": wanted}}) == ((_path(document, path) is not MISSING) == wanted)


@given(DOCUMENTS, st.lists(NUMBERS, min_size=1), st.lists(st.sampled_from("xyz"), min_size=1), NUMBERS)
@QUICK
def test_and_beside_or_have_both_to_hold(document, any_n, any_s, limit):
    query = {"$or": [{"n": n} for n in any_n], "$and": [{"deep.s": {"$in": any_s}}, {"deep.n": {"$lt": limit}}]}
    deep = document.get("deep", {})
    assert matches(document, query) == (
        document.get("n") in any_n and deep.get("s") in any_s and deep.get("n", 9) < limit
    )


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("/b/*", ["/b/a.png", "/b/c/a.jpg"]),
        ("/b/**", ["/b/a.png", "/b/c/a.jpg"]),
        ("**a.png", ["/a.png", "/b/a.png"]),
        ("/a*", ["/a.png", "/ab.png"]),
        ("/a.png", ["/a.png"]),
        ("/a?png", []),
        ("*", list(NAMES)),
    ],
)
def test_stars_cross_slashes_and_nothing_else_is_special(glob, expected):
    assert [name for name in NAMES if matches({"name": name}, {"name": glob})] == expected
    assert [name for name in NAMES if matches({"name": name}, {"name": {"$in": ["none", glob]}})] == expected
    assert [name for name in NAMES if not matches({"name": name}, {"name": {"$ne": glob}})] == expected


def test_paths_go_through_lists():
    assert values_at({"refs": [{"id": 1}, {"id": 2}, {}]}, "refs.id") == [1, 2]
    assert matches({"tags": ["x", "y"]}, {"tags": "y"})


def test_true_is_not_one():
    assert not matches({"n": 1}, {"n": True})
    assert not matches({"flag": False}, {"flag": 0})


@given(st.integers(0, 12), st.integers(1, 5))
@QUICK
def test_pages_cover_everything_once(count, size):
    rows = [{"id": f"{i:02}"} for i in range(count)]
    found, page = [], 0
    while True:
        answer = run_query(rows, {"page": page, "pageSize": size})
        found += answer["items"]
        assert (answer["totalItemsCount"], answer["totalPagesCount"]) == (count, -(-count // size))
        page += 1
        if not answer["hasNextPage"]:
            break
    assert found == rows


def test_counting_and_sorting():
    rows = [{"id": "1", "n": 2}, {"id": "2", "n": 1}, {"id": "3"}]
    assert run_query(rows, {"pageSize": 0}) == {
        "totalItemsCount": 3,
        "totalPagesCount": 0,
        "hasNextPage": False,
        "items": [],
    }
    assert [row["id"] for row in run_query(rows, {"sort": {"n": "ascending"}})["items"]] == ["3", "2", "1"]
    assert [row["id"] for row in run_query(rows, {"sort": {"id": "descending"}, "pageSize": 2})["items"]] == ["3", "2"]


def test_unknown_operators_are_refused():
    with pytest.raises(ValueError, match=r"unknown operator \$near"):
        matches({"n": 1}, {"n": {"$near": 1}})


@pytest.fixture
def items(platform):
    """Three items with annotations: a cat box; a dog point; none."""
    dl = platform.dl
    dataset = platform.dataset()
    items = [
        platform.item(dataset, (8, 8), name, {"user": {"n": n}})
        for n, name in enumerate(["/a/1.png", "/a/b/2.png", "/3.png"])
    ]
    platform.annotate(items[0], dl.Box(1, 1, 5, 5, "cat"))
    platform.annotate(items[1], dl.Point(1, 1, "dog"))
    platform.item(dataset, (8, 8), "/.hidden/4.png")
    return items


def _names(pages):
    return [item.name for item in pages.all()]


def test_filters_of_the_client(platform, items):
    dl, dataset = platform.dl, items[0].dataset
    assert _names(dataset.items.list()) == ["1.png", "2.png", "3.png"]
    assert _names(dataset.items.list(filters=dl.Filters(field="dir", values="/a*"))) == ["1.png", "2.png"]
    assert _names(dataset.items.list(filters=dl.Filters(field="annotated", values=False))) == ["3.png"]
    assert _names(dataset.items.list(filters=dl.Filters(field="hidden", values=True))) == ["4.png"]
    either = dl.Filters()
    either.add(field="metadata.user.n", values=2, method=dl.FiltersMethod.OR)
    either.add(field="name", values="1.png", method=dl.FiltersMethod.OR)
    assert _names(dataset.items.list(filters=either)) == ["1.png", "3.png"]


def test_a_join_asks_for_one_annotation_that_matches(platform, items):
    dl, dataset = platform.dl, items[0].dataset
    joined = dl.Filters()
    joined.add_join(field="type", values="box")
    assert _names(dataset.items.list(filters=joined)) == ["1.png"]
    of_folder = dl.Filters(resource=dl.FiltersResource.ANNOTATION)
    of_folder.add_join(field="filename", values="/a/b/*")
    assert [row.label for row in dataset.annotations.list(filters=of_folder).all()] == ["dog"]


@pytest.mark.parametrize("custom", [False, True])
def test_the_client_pages_by_id_and_by_offset(platform, gateway, items, custom):
    dl, dataset = platform.dl, items[0].dataset
    filters = (
        dl.Filters(custom_filter={"filter": {"$and": [{"hidden": False}]}, "page": 0, "pageSize": 2})
        if custom
        else dl.Filters()
    )
    filters.page_size = 2
    assert _names(dataset.items.list(filters=filters, page_size=2)) == ["1.png", "2.png", "3.png"]
    queries = gateway.requests.of("POST /datasets/{dataset_id}/query")
    assert [query.json["page"] for query in queries] == ([0, 0, 1] if custom else [0, 0, 0])


def test_bad_queries_are_refused_and_the_client_shows_an_empty_page(platform, gateway, items):
    filters = platform.dl.Filters(custom_filter={"filter": {"$and": [{"name": {"$near": 1}}]}})
    assert _names(items[0].dataset.items.list(filters=filters)) == []
    assert gateway.requests[-1].status == 400
