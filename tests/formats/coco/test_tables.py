"""The tables of a COCO document and the joins between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.coco.tables import is_crowd, join_key, read_tables
from sam2_adapter.formats.left_out import LeftOut, Reason

PATH = Path("a.json")


def tables(images, annotations, categories=()):
    left_out = LeftOut()
    document = {
        "images": images,
        "annotations": annotations,
        "categories": categories if isinstance(categories, dict) else list(categories),
    }
    return read_tables(document, PATH, left_out), left_out


def image(number, name="p.png"):
    return {"id": number, "file_name": name}


@pytest.mark.parametrize(
    ("first", "second"), [(7, 7), ("img-7", "img-7"), (7, "7"), ("7", 7), (7.0, 7), (" 7", 7), (0, "0")]
)
def test_ids_of_every_kind_join(first, second):
    found, left_out = tables([image(first)], [{"image_id": second}], [{"id": first, "name": "cat"}])
    assert [len(rows) for rows in found.objects_of.values()] == [1]
    assert found.labels == {join_key(second): "cat"}
    assert not left_out


@pytest.mark.parametrize("value", [None, True, "", " ", 1.5, [], {}])
def test_what_is_no_id_is_counted_in_the_words_of_the_file(value):
    assert join_key(value) is None
    _, left_out = tables([image(value)], [{"image_id": value}])
    rows = {str(row["reason"]): row["examples"][0] for row in left_out}
    assert rows[Reason.BROKEN_FILE] == f"a.json: images[0]: 'id' is a whole number or a text, but got {value!r}"
    assert (
        rows[Reason.MALFORMED] == f"a.json: annotations[0]: 'image_id' is a whole number or a text, but got {value!r}"
    )


@pytest.mark.parametrize(("empty", "counts"), [("annotations", (1, 0, 1)), ("categories", (1, 1, 0))])
def test_an_empty_object_is_an_empty_list_as_php_writes_it(empty, counts):
    given = {"images": [image(7)], "annotations": [{"image_id": 7}], "categories": [{"id": 7, "name": "cat"}]}
    found, left_out = tables(*{**given, empty: {}}.values())
    assert (len(found.images), len(found.objects_of), len(found.labels)) == counts
    assert not left_out


def test_two_images_of_one_id_are_refused():
    with pytest.raises(
        DataError, match=r"a\.json: two images have the 'id' '1': 'p\.png' and 'q\.png', so that nobody can tell"
    ):
        tables([image(1), image("1", "q.png")], [])
    found, _ = tables([image(1), image(1)], [])
    assert len(found.images) == 1


def test_two_categories_of_one_id_are_refused():
    with pytest.raises(DataError, match=r"two categories have the 'id' 1: 'cat' and 'dog'"):
        tables([], [], [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}])


def test_entries_keyed_by_their_ids_are_tables():
    document = {"images": {"5": {"file_name": "p.png"}}, "annotations": {"a": {"image_id": 5}}, "categories": None}
    found = read_tables(document, PATH, LeftOut())
    assert found.images[0].file_name == "p.png"
    assert found.objects_of == {"5": [{"id": "a", "image_id": 5}]}


def test_objects_of_images_that_are_not_listed_are_counted():
    _, left_out = tables([image(1)], [{"image_id": 1}, {"image_id": 77}, {"image_id": "x"}])
    (row,) = left_out
    assert (row["reason"], row["count"]) == (Reason.NO_IMAGE_ENTRY, 2)
    assert row["examples"] == ["a.json: annotations[1]: 'image_id' 77", "a.json: annotations[2]: 'image_id' 'x'"]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            [],
            "expected an object with the lists 'images' and 'annotations', but it is a list, as files of predictions are",
        ),
        (7, "expected an object with .*, but it is 7"),
        ({"images": [], "annotations": None}, "expected a list 'annotations' in it, but found null"),
        ({"images": []}, "expected a list 'annotations' in it, but found no such key"),
        ({"images": 5, "annotations": []}, "expected a list 'images' in it, but found 5"),
        (
            {"images": [], "annotations": [], "categories": "cat"},
            "expected a list 'categories' in it, but found 'cat'. Write a list",
        ),
        (
            {"images": [], "annotations": [], "categories": {"1": "cat"}},
            r"expected a list 'categories' in it, but found {'1': 'cat'}\. Write a list of objects with an 'id' there, or export",
        ),
    ],
)
def test_other_documents_are_refused(document, text):
    with pytest.raises(DataError, match=f"a.json: not a COCO file: {text}"):
        read_tables(document, PATH, LeftOut())


def test_entries_without_a_name_or_of_another_kind_are_counted():
    found, left_out = tables([image(1, None), 5, {"id": 2, "coco_url": "http://x/q.png"}], [5])
    assert [listed.file_name for listed in found.images] == ["http://x/q.png"]
    assert [row["examples"] for row in left_out] == [
        ["a.json: images[0]: 'file_name' is a text, but got None", "a.json: images[1]: expected an object, but got 5"],
        ["a.json: annotations[0]: 'image_id' is a whole number or a text, but got 5"],
    ]


@pytest.mark.parametrize(
    ("value", "crowd"),
    [
        (1, True),
        ("1", True),
        (True, True),
        (0, False),
        ("0", False),
        (None, False),
        (0.0, False),
        (float("nan"), False),
    ],
)
def test_marks_of_crowds_of_every_kind(value, crowd):
    assert is_crowd({"iscrowd": value}) is crowd
    assert not is_crowd({})
