"""Names that other tools give images, and the images that they mean."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.formats.image_names import (
    PathsByName,
    at_that_path,
    best_names,
    find_listed,
    is_foreign,
    path_parts,
    specificity,
)
from tests.shapes import QUICK

IMAGES = ["images/p.png", "images/sub/q.jpg", "images/Top view \u00e9 1.png", "other/R.PNG", "a%20b.png"]


@pytest.mark.parametrize(
    ("listed", "image"),
    [
        ("images/p.png", "images/p.png"),
        ("p.png", "images/p.png"),
        ("p", "images/p.png"),
        ("./images\\p.png", "images/p.png"),
        ("P.PNG", "images/p.png"),
        ("IMAGES/P", "images/p.png"),
        ("r.png", "other/R.PNG"),
        ("..\\..\\tool\\media\\p.png", "images/p.png"),
        ("C:\\work\\shots\\p.png", "images/p.png"),
        ("C:p.png", "images/p.png"),
        ("/data/upload/7/q.jpg", "images/sub/q.jpg"),
        ("https://store.example/bucket/p.png?sig=1", "images/p.png"),
        ("/data/local-files/?d=shots%2Fsub%2Fq.jpg", "images/sub/q.jpg"),
        ("images/Top%20view%20%C3%A9%201.png", "images/Top view \u00e9 1.png"),
        ("Top view e\u0301 1.png", "images/Top view \u00e9 1.png"),
        ("a%20b.png", "a%20b.png"),
        ("elsewhere/sub/q.jpg", "images/sub/q.jpg"),
    ],
)
def test_a_name_finds_its_image(listed, image):
    assert find_listed([listed], IMAGES) == [[image]]


@pytest.mark.parametrize("listed", ["", "/", "..", "x.png", "p.jpg", "pp.png", "images", "http://[", "p.png/x"])
def test_a_name_of_nothing_finds_nothing(listed):
    assert find_listed([listed], IMAGES) == [[]]


def test_spelling_decides_only_between_images_that_differ_in_nothing_else():
    assert find_listed(["a.png", "A.png", "A.PNG"], ["a.png", "A.png"]) == [["a.png"], ["A.png"], ["a.png", "A.png"]]


def test_folders_that_are_not_here_are_dropped_only_where_the_file_name_is_unique():
    assert find_listed(["x/1.png"], ["v/1.png", "w/1.png"]) == [["v/1.png", "w/1.png"]]
    # Two videos, of which one is here: the frames of the other are not its frames.
    assert find_listed(["v/1.png", "w/1.png"], ["v/1.png"]) == [["v/1.png"], []]
    assert find_listed(["x/1.png", "w/1.png"], ["v/1.png"]) == [[], []]


def test_the_last_folders_tell_equal_file_names_apart():
    listed = ["C:\\data\\cats\\1.png", "C:\\data\\dogs\\1.png", "/mnt/birds/1.png", "/mnt/birds/2.png"]
    images = ["images/cats/1.png", "images/Dogs/1.png", "images/2.png"]
    assert find_listed(listed, images) == [["images/cats/1.png"], ["images/Dogs/1.png"], [], ["images/2.png"]]
    assert find_listed(["/x/cats/1.png", "/y/cats/1.png"], images) == [[], []]


def test_names_of_very_many_folders_take_no_time():
    assert find_listed(["a/" * 200_000 + "1.png"], ["v/1.png"]) == [["v/1.png"]]


def test_the_caller_chooses_among_several_and_among_shortened_ones():
    assert find_listed(["1.png"], ["v/1.png", "w/1.png"], lambda _, found: found[1:]) == [["w/1.png"]]
    assert find_listed(["x/1.png"], ["w/1.png"], lambda _, found: []) == [[]]
    assert find_listed(["x/1.png"], ["w/1.png"], may_shorten=is_foreign) == [[]]


def test_foreign_names_say_so_by_their_form():
    for name in ("/a/b.png", "C:\\b.png", "\\\\server\\b.png", "s3://a/b.png", "../b.png", "a/../b.png"):
        assert is_foreign(name)
    for name in ("b.png", "a/b.png", "./b.png", "a..b.png"):
        assert not is_foreign(name)


@QUICK
@given(
    folders=st.lists(st.text("ab\u00e9\u00df 1", min_size=1, max_size=3), max_size=3),
    stem=st.text("xy\u00fc\uac00Z", min_size=1, max_size=4),
    form=st.sampled_from(["NFC", "NFD"]),
)
def test_any_spelling_of_a_path_finds_the_image(folders, stem, form):
    name = "/".join([*folders, f"{stem}.png"])
    respelt = unicodedata.normalize(form, name).swapcase().replace("/", "\\")
    assert find_listed([respelt], [unicodedata.normalize("NFD", name), "other.jpg"]) == [
        [unicodedata.normalize("NFD", name)]
    ]
    assert path_parts(name)[-1] == f"{stem}.png"


def test_of_several_images_the_one_at_that_path_is_meant():
    images = ["a.png", "street/a.png", "street/a.jpg"]
    assert at_that_path("/a.png", images) == ["a.png"]
    assert at_that_path("a", images) == ["a.png"]
    assert at_that_path("street/a", images) == images
    assert at_that_path("other/a.png", images) == images
    assert at_that_path("a.png", ["images/a.png", "images/street/a.png"]) == ["images/a.png"]


@QUICK
@given(
    names=st.lists(st.text("aA\u00fcU\u0308", min_size=1, max_size=3), unique=True, max_size=6),
    wanted=st.text("aA\u00fcU\u0308", max_size=3),
)
def test_files_are_found_in_another_spelling_where_only_one_is_meant(names, wanted):
    files = PathsByName({name: Path(name) for name in names})
    composed = [name for name in names if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", wanted)]
    folded = [name for name in names if _folded(name) == _folded(wanted)]
    expected = [wanted] if wanted in names else composed or folded
    assert (files.fitting(wanted), bool(files)) == (expected, bool(names))
    assert files.get(wanted) == (Path(expected[0]) if len(expected) == 1 else None)


def _folded(name):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def test_an_image_keeps_all_names_that_are_its_own():
    composed, apart = "gr\u00fcn 1.png", "gru\u0308n 1.png"
    for image in (composed, apart):
        names = [apart, composed, "gr%C3%BCn%201.png", "Gr\u00fcn 1.png", "x/gr\u00fcn 1.png"]
        assert find_listed(names[:4], [image]) == [[image], [image], [image], []]
        assert find_listed(names, [f"x/{image}"]) == [[], [], [], [], [f"x/{image}"]]
    assert [specificity(name, composed) for name in (composed, apart, "GR\u00dcN 1.png")] == [(1, 3), (1, 2), (1, 0)]
    assert specificity(f"a/{composed}", f"b/a/{composed}") == (2, 3)
    assert [specificity(name, composed) for name in (composed[:-4], apart[:-4], "GR\u00dcN 1")] == [
        (1, 1),
        (1, 1),
        (1, 0),
    ]


def test_forms_of_one_name_whose_folders_are_not_here_are_that_name():
    forms = ["/data/gr\u00fcn 1.png", "/data/gru\u0308n 1.png", "/data/gr%C3%BCn%201.png", "\\data\\gr\u00fcn 1.png"]
    assert find_listed(forms, ["images/gr\u00fcn 1.png"]) == [["images/gr\u00fcn 1.png"]] * 4
    for other in ("/other/gr\u00fcn 1.png", "/data/Gr\u00fcn 1.png", "C:/data/gr\u00fcn 1.png"):
        assert find_listed([*forms, other], ["images/gr\u00fcn 1.png"]) == [[]] * 5


def test_names_without_suffix_are_compared_as_those_with_it():
    composed, apart = "gr\u00fcn", "gru\u0308n"
    listed = [composed, apart, "Gr\u00fcn"]
    assert find_listed(listed, [f"{composed}.png"]) == [[f"{composed}.png"], [f"{composed}.png"], []]
    assert find_listed([*listed, f"{apart}.png"], [f"{composed}.png"]) == [[], [], [], [f"{composed}.png"]]
    assert find_listed(["Gr\u00fcn"], [f"{composed}.png"]) == [[f"{composed}.png"]]
    assert best_names([composed, "x/Gr\u00fcn.png", f"x/{apart}.png", f"x/{composed}.png"], f"x/{composed}.png") == [
        f"x/{apart}.png",
        f"x/{composed}.png",
    ]


@pytest.mark.parametrize("other", ["https://host.org/a/b%20c.png?raw=1", "a%2Fb%20c.png", " a/b c.png "])
def test_what_stands_around_a_path_does_not_count_as_its_folders(other):
    assert specificity(other, "x/a/b c.png") == (2, 2)
    assert specificity(other.upper(), "x/a/b c.png") == (2, 0)
    assert find_listed([other, "a/b c.png", "b c.png"], ["a/b c.png"]) == [["a/b c.png"], ["a/b c.png"], []]
