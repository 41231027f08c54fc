"""The exception tree."""

from __future__ import annotations

import inspect

import pytest

from sam2_adapter import errors

ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_one_base_and_stands_in_the_tree(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.Sam2AdapterError)
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__doc__
