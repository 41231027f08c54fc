"""What a weights file is, by its first bytes: people rename files, and give those of other programs."""

from __future__ import annotations

import re
from pathlib import Path

# The library reads no longer header.
_LONGEST_HEADER = 100_000_000

_OTHERS = (
    (b"GGUF", "a GGUF model"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
    (b"\x93NUMPY", "an array of NumPy"),
)
_OTHER_SUFFIXES = {
    ".onnx": "an ONNX model",
    ".engine": "a TensorRT engine",
    ".trt": "a TensorRT engine",
    ".tflite": "a TensorFlow Lite model",
    ".keras": "a Keras model",
    ".pb": "a TensorFlow model",
    ".mlmodel": "a Core ML model",
    ".npz": "a file of NumPy",
}

_SHARD = re.compile(r"-\d{3,5}-of-(\d{3,5})\.[a-z]+")


def is_safetensors(start: bytes) -> bool:
    """Whether a file begins as one of safetensors does: with the length of a JSON object, and that object."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def is_of_torch(start: bytes) -> bool:
    """Whether a file may be one of `torch.save`: an archive, or a pickle as earlier versions wrote."""
    return start.startswith((b"PK\x03\x04", b"\x80"))


def other_file(path: Path, start: bytes) -> str | None:
    """What a file is that holds no tensors that are read here, such as "an ONNX model"; `None` where that is not known."""
    by_content = next((name for mark, name in _OTHERS if start.startswith(mark)), None)
    return by_content or _OTHER_SUFFIXES.get(path.suffix.lower())


def is_one_of_several(path: Path) -> bool:
    """Whether a file is called as one of several parts of a model, such as `model-00001-of-00002.safetensors`."""
    found = _SHARD.search(path.name)
    return found is not None and int(found[1]) > 1
