"""Runs of these tests measure short click curves; tests/training/test_measuring.py measures whole ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.training.small_run import click_curve


@pytest.fixture(scope="package", autouse=True)
def _short_click_curve() -> Iterator[None]:
    with click_curve():
        yield
