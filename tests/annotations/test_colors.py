"""Colours of labels."""

from __future__ import annotations

from sam2_adapter.annotations.colors import color_of_index, color_of_label, hex_of_color


def test_a_label_keeps_its_colour_and_others_have_other_ones():
    colors = {label: color_of_label(label) for label in ("cat", "dog", "猫", "", "cat ")}
    assert colors["cat"] == color_of_label("cat")
    assert len(set(colors.values())) >= 4
    assert all(0 <= channel <= 255 for color in colors.values() for channel in color)


def test_colours_follow_from_places_and_repeat():
    assert color_of_index(0) == color_of_index(16) != color_of_index(1)


def test_pages_write_a_colour_with_two_digits_for_each_part():
    assert hex_of_color((0, 158, 8)) == "#009e08"
