"""Words for people: names made visible, counts with their nouns, the name that was meant."""

from __future__ import annotations

import os
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.text import (
    closest,
    cut,
    meant_hint,
    plural,
    printable,
    shown,
    shown_change,
    told_change,
    unknown_name,
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.png", "a.png"),
        ("a\nb.png: 1 object", "a\\nb.png: 1 object"),
        ("a\r\tb", "a\\r\\tb"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("gnp.\u202etxt", "gnp.\\u202etxt"),
        ("one\u2028two", "one\\u2028two"),
        (os.fsdecode(b"lat\xe9in.png"), "lat\\xe9in.png"),
        ("half \ud800 pair", "half \\ud800 pair"),
        ("\N{BYTE ORDER MARK}x", "\\ufeffx"),
    ],
)
def test_what_a_terminal_would_obey_is_visible(name: str, shown: str) -> None:
    assert printable(name) == shown


@pytest.mark.parametrize("name", ["Straße", "猫.png", "кот", "قطة", "बिल्ली", "👩‍🔬", "e\u0301", "می\u200cخواهم"])
def test_writing_of_all_kinds_stays(name: str) -> None:
    assert printable(name) == name


@given(st.text())
def test_any_text_becomes_one_line_of_valid_utf8(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    shown.encode("utf-8")
    assert printable(shown) == shown


def test_long_texts_are_cut() -> None:
    assert cut("short") == "short"
    assert cut("x" * 80) == "x" * 80
    assert cut("a" * 100 + "b" * 100) == f"{'a' * 38}...{'b' * 38}"


def test_plurals() -> None:
    assert [plural(n, "epoch") for n in (0, 1, 2)] == ["0 epochs", "1 epoch", "2 epochs"]
    assert plural(1, "box", "boxes") == "1 box"
    assert plural(3, "box", "boxes") == "3 boxes"


def test_the_name_that_was_meant() -> None:
    assert closest("learning-rate", ["learning_rate", "seed"]) == "learning_rate"
    assert closest("SEED", ["learning_rate", "seed"]) == "seed"
    assert closest("zebra", ["learning_rate", "seed"]) is None
    assert closest("x", []) is None


def test_a_name_that_is_none_of_those_known() -> None:
    said = "Unknown format 'coko'. Did you mean 'coco'? The choices are coco, yolo."
    assert unknown_name("format", "coko", ["coco", "yolo"]) == said
    assert unknown_name("format", "kml", ["coco", "yolo"]) == "Unknown format 'kml'. The choices are coco, yolo."
    assert unknown_name("format", "coko", ["coco", "yolo"], meant="yolo").startswith(
        "Unknown format 'coko'. Did you mean 'yolo'?"
    )
    assert unknown_name("format", None, ["coco"]) == "Unknown format None. The choices are coco."


def test_a_very_long_list_is_shown_where_no_name_is_near() -> None:
    keys = [f"key_of_{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    assert unknown_name("key", "key_off_x", keys) == "Unknown key 'key_off_x'. Did you mean 'key_of_x'?"
    assert unknown_name("key", "zzz", keys).endswith(f"The choices are {', '.join(keys)}.")


def test_a_hint_only_where_a_name_is_near() -> None:
    assert meant_hint("Coko", ["coco"]) == " Did you mean 'coco'?"
    assert meant_hint("kml", ["coco"]) == meant_hint(5, ["coco"]) == ""


def test_values_are_shown_shortened() -> None:
    bomb: list[object] = ["x"] * 9
    for _ in range(40):
        bomb = [bomb] * 9
    start = time.process_time()
    assert len(shown(bomb)) < 300
    assert len(shown("y" * 10_000)) < 100
    assert len(shown(10**5000)) < 100
    assert time.process_time() - start < 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_change_fits_the_figures_beside_it(before, after):
    told = round(1000 * float(f"{before:.3f}")) + round(1000 * float(shown_change(before, after)))
    assert told == round(1000 * float(f"{after:.3f}"))


def test_a_change_has_its_sign():
    assert [shown_change(0.7674, 0.7896), shown_change(0.5, 0.4999), shown_change(0.5, 0.46, 1)] == [
        "+0.023",
        "+0.000",
        "+0.0",
    ]


@given(st.floats(0, 1), st.floats(0, 1))
def test_words_for_a_change_fit_the_figures_as_they_are_shown(before, after):
    first, last = f"{before:.3f}", f"{after:.3f}"
    words = (
        f"did not change ({last})" if first == last else f"{'rose' if last > first else 'fell'} from {first} to {last}"
    )
    assert told_change(before, after) == words
    assert told_change(before, after, arrow="->") == (f"{last} as before" if first == last else f"{first} -> {last}")


def test_a_change_is_told_in_any_form():
    assert told_change(50, 50.04, "{:.1f} %") == "did not change (50.0 %)"
    assert told_change(float("nan"), 0.5) == "went from nan to 0.500"
    assert told_change(50, 50.06, "{:.1f} %", arrow="→") == "50.0 % → 50.1 %"
