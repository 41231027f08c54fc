"""Weights of a small seeded model, as tensors and as Meta's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.models.families.names import Tensors
from tests.models.seeded_checkpoint import SMALL_2_1, seeded_tensors, write_meta_file


@pytest.fixture
def tensors() -> Tensors:
    return seeded_tensors(SMALL_2_1)


@pytest.fixture
def meta_file(tmp_path: Path, tensors: Tensors) -> Path:
    path = tmp_path / "meta.pt"
    write_meta_file(path, tensors)
    return path
