"""What a weights file is, whatever it is called."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.weights.file_kinds import is_of_torch, is_one_of_several, is_safetensors
from sam2_adapter.models.weights.tensor_files import read_tensor_file


def test_files_of_tensors_are_known_by_their_beginning(tmp_path: Path) -> None:
    content = save({"a": torch.ones(2)})
    assert is_safetensors(content)
    assert not is_of_torch(content)
    for is_new in (True, False):
        torch.save({"a": torch.ones(2)}, tmp_path / "a.pt", _use_new_zipfile_serialization=is_new)
        content = (tmp_path / "a.pt").read_bytes()
        assert is_of_torch(content)
        assert not is_safetensors(content)
    assert not is_safetensors(b"")
    assert not is_safetensors(b"\xff" * 8 + b"{")


def test_parts_are_known_by_their_names() -> None:
    assert is_one_of_several(Path("model-00002-of-00003.safetensors"))
    assert is_one_of_several(Path("pytorch_model-00001-of-00002.bin"))
    assert not is_one_of_several(Path("model-00001-of-00001.safetensors"))
    assert not is_one_of_several(Path("best-of-3.safetensors"))


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("w.onnx", b"\x08\x07\x12\x07pytorch", "an ONNX model"),
        ("w.gguf", b"GGUF\3\0\0\0", "a GGUF model"),
        ("w.bin", b"GGUF\3\0\0\0", "a GGUF model"),
        ("w.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
        ("w.npz", b"PK\x03\x04", "a file of NumPy"),
        ("w.engine", b"ftrt", "a TensorRT engine"),
    ],
)
def test_models_of_other_programs_are_called_what_they_are(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name} is {what}, which is not read\. Give the weights of PyTorch"):
        read_tensor_file(tmp_path / name)
