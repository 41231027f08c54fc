"""What the page's requests may hold; their body as a whole is tested with the addresses in test_server.py."""

from __future__ import annotations

import pytest

from sam2_adapter.label.request_values import RequestError, list_in, number_in, text_in, whole_in


def test_values_of_the_right_kind_are_given_as_they_are():
    body = {"text": "t", "whole": 3, "list": [1], "share": 1}
    assert (text_in(body, "text"), whole_in(body, "whole"), list_in(body, "list"), list_in(body, "none")) == (
        "t",
        3,
        [1],
        [],
    )
    assert (number_in(body, "share"), number_in({"share": 0.25}, "share")) == (1.0, 0.25)


@pytest.mark.parametrize(
    ("take", "value"),
    [
        *((text_in, value) for value in (None, 3, "x" * 81, ["t"])),
        *((whole_in, value) for value in (None, -1, 1.5, True, 2**53, "3")),
        *((list_in, value) for value in ("list", {}, list(range(1001)))),
        *((number_in, value) for value in (None, -0.1, 1.1, True, "0.5", float("nan"), float("inf"))),
    ],
)
def test_values_of_another_kind_are_named(take, value):
    with pytest.raises(RequestError, match="'key' is a"):
        take({"key": value}, "key")
