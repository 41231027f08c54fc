"""Embeddings on disk: ordinary safetensors files, checked, and the files of an earlier version make room."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from sam2_adapter.embeddings.disk import EmbeddingFiles
from sam2_adapter.models.network.image_encoder import EncodedImages

NAMES = ("image_embedding", "high_res_features_0", "high_res_features_1")


def _embedding(seed=0):
    made = torch.Generator().manual_seed(seed)
    shapes = (1, 8, 4, 4), (1, 1, 16, 16), (1, 2, 8, 8)
    coarse, fine, middle = (torch.randn(shape, generator=made).half() for shape in shapes)
    return EncodedImages(coarse, (fine, middle))


def _files(root, folder="f", limit=2**20):
    return EmbeddingFiles(root, folder, limit, 0)


def test_a_file_is_safetensors_with_a_checksum(tmp_path):
    written = _embedding()
    _files(tmp_path).write("a", written)
    (path,) = tmp_path.glob("*/*")
    assert path.name == "a.safetensors"
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in NAMES}
        checksum = int(file.metadata()["crc32"])
    for tensor, name in zip((written.image_embedding, *written.high_res_features), NAMES, strict=True):
        assert tensors[name].dtype == np.float16
        assert np.array_equal(tensors[name], tensor.numpy())
    content = path.read_bytes()
    header_size = int.from_bytes(content[:8], "little")
    assert zlib.crc32(content[8 + header_size :]) == checksum
    read = _files(tmp_path).read("a")
    assert torch.equal(read.image_embedding, written.image_embedding)


def test_what_is_not_there_is_none(tmp_path):
    assert _files(tmp_path).read("a") is None


def test_every_damaged_byte_and_every_cut_is_noticed(tmp_path):
    _files(tmp_path).write("a", _embedding())
    (path,) = tmp_path.glob("*/*")
    intact = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(intact), 150).tolist():
        content = bytearray(intact)
        content[position] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(content)
        read = _files(tmp_path).read("a")
        if read is not None:  # a byte that means nothing, such as the blanks behind the header
            assert torch.equal(read.image_embedding, _embedding().image_embedding)
    for length in rng.integers(0, len(intact), 30).tolist():
        path.write_bytes(intact[:length])
        assert _files(tmp_path).read("a") is None


def _foreign(**tensors):
    data = save(tensors)
    header_size = int.from_bytes(data[:8], "little")
    return save(tensors, metadata={"crc32": str(zlib.crc32(data[8 + header_size :]))})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"\xff" * 64,
        (2**63).to_bytes(8, "little") + b"{}",
        len(b"[]").to_bytes(8, "little") + b"[]",
        len(json.dumps({"__metadata__": None})).to_bytes(8, "little") + json.dumps({"__metadata__": None}).encode(),
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        save({name: torch.zeros(1, 1, 1, 1).half() for name in NAMES}),
        _foreign(other=torch.zeros(1).half()),
        _foreign(**{name: torch.zeros(1, 1, 1, 1).double() for name in NAMES}),
        _foreign(**{name: torch.zeros(3).half() for name in NAMES}),
    ],
)
def test_foreign_files_are_told_and_removed(tmp_path, caplog, content):
    path = tmp_path / "f" / "a.safetensors"
    path.parent.mkdir()
    path.write_bytes(content)
    assert _files(tmp_path).read("a") is None
    assert "is damaged" in caplog.text
    assert not path.exists()


def test_files_of_an_earlier_version_make_room(tmp_path):
    (tmp_path / "older").mkdir()
    old = tmp_path / "older" / "a.embedding"
    old.write_bytes(b"SAM2EMB1" * 200)
    _files(tmp_path, limit=2000).write("a", _embedding())
    assert not old.exists()
    assert [path.name for path in tmp_path.glob("*/*")] == ["a.safetensors"]
