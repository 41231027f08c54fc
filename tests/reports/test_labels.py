"""Labels are drawn in every usual script: each looks different, and none is made of empty boxes."""

from __future__ import annotations

import itertools
from importlib import resources

import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.reports import labels
from sam2_adapter.reports.labels import LabelFont
from sam2_adapter.reports.overlay import draw_overlay

LABELS = {
    "Latin": ("car", "tree"),
    "Greek": ("\u03b1\u03c5\u03c4\u03bf", "\u03b4\u03ad\u03bd\u03b4\u03c1\u03bf"),
    "Cyrillic": ("\u043c\u0430\u0448\u0438\u043d\u0430", "\u0434\u0435\u0440\u0435\u0432\u043e"),
    "Chinese": ("\u6c7d\u8f66", "\u6811\u6728"),
    "Japanese": ("\u304f\u308b\u307e", "\u30c4\u30ea\u30fc"),
    "Korean": ("\uc790\ub3d9\ucc28", "\ub098\ubb34"),
    "Arabic": ("\u0633\u064a\u0627\u0631\u0629", "\u0634\u062c\u0631\u0629"),
    "Hebrew": ("\u05de\u05db\u05d5\u05e0\u05d9\u05ea", "\u05e2\u05e5"),
    "Devanagari": ("\u0915\u093e\u0930", "\u092a\u0947\u0921\u093c"),
    "Bengali": ("\u0997\u09be\u09a1\u09bc\u09bf", "\u0997\u09be\u099b"),
    "Tamil": ("\u0b95\u0bbe\u0bb0\u0bcd", "\u0bae\u0bb0\u0bae\u0bcd"),
    "Thai": ("\u0e23\u0e16", "\u0e15\u0e49\u0e19\u0e44\u0e21\u0e49"),
    "Georgian": ("\u10db\u10d0\u10dc\u10e5\u10d0\u10dc\u10d0", "\u10ee\u10d4"),
    "Armenian": ("\u0574\u0565\u0584\u0565\u0576\u0561", "\u056e\u0561\u057c"),
    "emoji": ("\U0001f697", "\U0001f333"),
}
ALL = [label for pair in LABELS.values() for label in pair]

needs_shaping = pytest.mark.skipif(not features.check("raqm"), reason="Pillow finds no FriBidi on this machine")


def _drawn(font, text, width=360):
    picture = Image.new("L", (width, 60), 0)
    line = font.line(text)
    font.draw(ImageDraw.Draw(picture), (10, 40), line, 255)
    return np.asarray(picture)


def _fonts():
    return [LabelFont(24, is_shaped=False), *([LabelFont(24)] if features.check("raqm") else [])]


@pytest.mark.parametrize("script", LABELS)
def test_every_letter_of_every_script_is_drawn(script):
    for font, label in itertools.product(_fonts(), LABELS[script]):
        line = font.line(label)
        assert "U+" not in line
        assert len(line) <= len(label)
        assert (_drawn(font, label) > 128).sum() > 60


def test_all_labels_look_different():
    for font in _fonts():
        pictures = [_drawn(font, label).tobytes() for label in ALL]
        assert len(set(pictures)) == len(ALL)


def test_the_extent_holds_what_is_drawn():
    for font, label in itertools.product(_fonts(), [*ALL, "Agjp", "\u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f"]):
        extent = font.extent(font.line(label))
        rows, columns = np.nonzero(_drawn(font, label))
        assert 40 - extent.above <= rows.min()
        assert rows.max() < 40 + extent.below
        assert columns.max() < 10 + extent.width + 1
        assert columns.min() >= 9


def test_arabic_and_hebrew_run_from_right_to_left():
    alef, bet = "\u05d0", "\u05d1"
    for font in _fonts():
        both, single = _drawn(font, alef + bet), _drawn(font, bet)
        width = np.nonzero(single)[1].max()
        assert np.array_equal(both[:, :width], single[:, :width])  # the second letter stands on the left
        number = _drawn(font, f"{alef}{bet} 12")
        assert np.array_equal(number[:, 10:20] > 128, _drawn(font, "12")[:, 10:20] > 128)


def test_arabic_letters_are_joined():
    beh = "\u0628"
    for font in _fonts():
        apart = sum(font.extent(font.line(beh)).width for _ in range(3))
        assert font.extent(font.line(beh * 3)).width < 0.8 * apart


@needs_shaping
def test_indian_letters_are_put_in_order_and_joined():
    font = LabelFont(24)
    ka, i, virama = "\u0915", "\u093f", "\u094d"
    assert np.nonzero(_drawn(font, ka + i))[1].min() < np.nonzero(_drawn(font, ka))[1].max()
    joined = font.extent(font.line(ka + virama + "\u0937")).width
    assert joined < font.extent(font.line(ka)).width + font.extent(font.line("\u0937")).width


def test_characters_that_the_font_lacks_are_their_code_points():
    for font in _fonts():
        assert font.line("a \U00013000") == "a U+13000"
        assert font.line("\ua015b") == "U+A015b"
        assert font.line("half a pair \ud800") == "half a pair ?"


def test_labels_are_one_line_of_limited_length():
    font = LabelFont(12)
    assert font.line("a\n b\tc") == "a b c"
    assert font.line("x" * 32) == "x" * 32
    assert font.line("x" * 33) == "x" * 31 + "\u2026"
    astronaut = "\U0001f469\u200d\U0001f680"
    assert font.line("x" * 30 + astronaut) == "x" * 30 + "\u2026"
    assert font.line("x" * 30 + "e\u0301" + "yy") == "x" * 30 + "\u2026"


def test_an_overlay_shows_the_labels_of_eight_scripts():
    grey = np.full((200, 400, 3), 128, np.uint8)
    mask = np.zeros((200, 400), np.bool_)
    mask[80:150, 40:300] = True
    labels = [first for first, _ in LABELS.values()]
    pictures = {draw_overlay(grey, [Annotation.from_mask(mask, label, 0.5)]).tobytes() for label in labels}
    assert len(pictures) == len(labels)


def test_the_font_has_its_licences_beside_it():
    folder = resources.files("sam2_adapter").joinpath("reports", "fonts")
    text = folder.joinpath("LICENSES.md").read_text("utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in text
    assert "Apache License" in text
    assert len(folder.joinpath("labels.ttf").read_bytes()) < 6_000_000


def test_letters_that_are_not_joined_are_said_once(caplog):
    labels._say_that_letters_are_not_joined.cache_clear()
    for text in ("cat", "猫", "नमस्ते", "ខ្មែរ"):
        LabelFont(20, is_shaped=True).line(text)
        LabelFont(20, is_shaped=False).line(text)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "Labels in scripts such as Devanagari are drawn letter by letter"
    ]
