"""Pictures are encoded in the order in which they are looked at, once, and a broken one costs no other."""

from __future__ import annotations

import queue

import pytest

from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import PromptError
from sam2_adapter.interactive import EncodedSources
from sam2_adapter.label.picture_encoder import PictureEncoder, PictureFile
from tests.conftest import disk_photo, square_photo
from tests.small_model import small_predictor


def test_a_picture_is_encoded_once_and_a_broken_one_is_told(tmp_path):
    disk_photo().save(tmp_path / "disk.png")
    square_photo().save(tmp_path / "square.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    disk, square, broken = (
        PictureFile(name, f"{name}.png", tmp_path / f"{name}.png") for name in ("disk", "square", "broken")
    )
    reports: queue.SimpleQueue = queue.SimpleQueue()
    sources = EncodedSources(small_predictor(), ByteBoundedCache(2**24))
    encoder = PictureEncoder(sources, reports.put)
    try:
        encoder.want([disk, broken], "tab")
        first = encoder.encoded(disk, lambda: False)
        assert first.original_hw == (120, 160)
        with pytest.raises(PromptError, match="broken"):
            encoder.encoded(broken, lambda: False)
        assert encoder.encoded(square, lambda: True) is None  # nobody waits for it
        assert encoder.encoded(square, lambda: False).original_hw == square_photo().size[::-1]
        assert encoder.encoded(disk, lambda: False) is first
        encoder.want([disk], "tab")
        assert sources.num_encoded == 2
        assert encoder.is_resting()
        news = [reports.get(timeout=60) for _ in range(7)]
        assert [(one["news"], one["image"]) for one in news] == [
            ("encoding", "disk"), ("encoded", "disk"), ("encoding", "broken"), ("broken", "broken"),
            ("encoding", "square"), ("encoded", "square"), ("encoded", "disk"),
        ]  # fmt: skip
    finally:
        encoder.close()
