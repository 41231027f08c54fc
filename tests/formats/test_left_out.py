"""The account of what was left out."""

from __future__ import annotations

from sam2_adapter.formats.left_out import Kind, LeftOut, Reason


def test_counts_by_reason_and_keeps_a_few_names():
    left_out = LeftOut()
    for number in range(7):
        left_out.add_object(Reason.EMPTY, f"a.png: cat {number}")
    left_out.add_image(Reason.BROKEN_IMAGE, "b.png")
    assert left_out.count(Reason.EMPTY) == 7
    assert (left_out.total(Kind.OBJECT), left_out.total(Kind.IMAGE)) == (7, 1)
    assert list(left_out) == [
        {"kind": "image", "reason": "image is broken or too large", "count": 1, "examples": ["b.png"]},
        {"kind": "object", "reason": "mask is empty", "count": 7, "examples": [f"a.png: cat {n}" for n in range(5)]},
    ]


def test_the_table_is_for_people():
    left_out = LeftOut()
    assert str(left_out) == "Nothing was left out."
    assert not left_out
    left_out.add_image(Reason.NO_ANNOTATION, "b.png")
    left_out.add_object(Reason.CROWD, "a.png: annotation 3")
    assert str(left_out).splitlines() == [
        "  count  what    reason                          such as",
        "      1  image   image has no annotation         b.png",
        "      1  object  marked as a crowd (iscrowd: 1)  a.png: annotation 3",
    ]


def test_remarks_are_sentences_with_a_number_and_names():
    left_out = LeftOut()
    assert left_out.remarks == ()
    left_out.remark("mask", "with soft edges, cut in the middle", "a.png")
    for number in range(7):
        left_out.remark("object", "without a label", f"b.png: {number}")
    assert left_out.remarks == (
        "1 mask with soft edges, cut in the middle (a.png).",
        "7 objects without a label (such as b.png: 0, b.png: 1, b.png: 2, b.png: 3, b.png: 4).",
    )
    assert not left_out


def test_names_that_no_file_can_have_are_cut():
    left_out = LeftOut()
    left_out.add_image(Reason.NO_IMAGE, "x" * 10_000)
    left_out.remark("object", "without a label", "y" * 10_000)
    assert len(str(left_out)) < 600
    assert len(left_out.remarks[0]) < 600
    assert next(iter(left_out))["examples"] == ["x" * 10_000]
