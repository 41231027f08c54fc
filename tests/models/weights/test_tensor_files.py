"""Weights files that are damaged or made to harm: one `CheckpointError` that names the file, whatever was changed."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sam2_adapter.errors import CheckpointError, WeightsNotFoundError
from sam2_adapter.models.load import load_model
from sam2_adapter.models.weights import tensor_files
from sam2_adapter.models.weights.checkpoint import load_checkpoint, save_checkpoint
from sam2_adapter.models.weights.tensor_files import read_tensor_file, write_torch_file
from tests.models.seeded_checkpoint import SMALL_IMAGE_ONLY, seeded_tensors, write_transformers_directory

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 184416285\n"
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"

# Values of wrong kinds, of wrong sizes, and without end.
STRANGE: list[Any] = [
    None, True, 0, -1, 1, 3, 10**6, 10**30, 10**5000, 1.5, float("nan"), float("inf"), "", "x" * 5000, "\0", [], [1], [[]], {}, {"a": 1},
    [10**9] * 4, [1, 1, 2, 10**9], ["a"] * 4, [None] * 4, [-1] * 4, [1.5] * 4,
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in every form in which it can be written."""
    folder = tmp_path_factory.mktemp("weights")
    tensors = seeded_tensors(SMALL_IMAGE_ONLY)
    save_checkpoint(
        folder / "own.torch", tensors, SMALL_IMAGE_ONLY, metadata={"resize": "pad", "note": {"a": [1, 2.5]}}
    )
    content = torch.load(folder / "own.torch", weights_only=True)
    torch.save(content, folder / "old.pt", _use_new_zipfile_serialization=False)
    write_transformers_directory(folder / "hub", tensors, SMALL_IMAGE_ONLY)
    numbers = json.dumps({"format_version": 1, "architecture": SMALL_IMAGE_ONLY.to_dict(), "resize": "pad"})
    save_file(tensors, folder / "own.safetensors", metadata={"sam2_adapter": numbers})
    return folder


def opened_or_refused(path: Path) -> bool:
    """Whether a file opens; if not, that it is refused by name."""
    try:
        load_model(path)
    except CheckpointError as error:
        text = str(error)
    else:
        return True
    assert str(path) in text
    assert len(text) < 1500
    return False


# ---- bytes


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with some bytes changed, moved, missing or added; mostly near the start and the end, where formats keep their structure."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        place = int(rng.choice([rng.integers(len(data)), rng.integers(min(4096, len(data))), -rng.integers(1, 4096)]))
        place %= max(1, len(data))
        kind = rng.integers(5)
        if kind == 0:
            data[place] = rng.integers(256)
        elif kind == 1:
            data[place : place + 8] = rng.bytes(8)
        elif kind == 2:
            del data[place : place + int(rng.integers(1, 200))]
        elif kind == 3:
            data[place:place] = rng.bytes(int(rng.integers(1, 40)))
        else:
            data = data[: max(1, place)]
    return bytes(data)


def check_bytes(folder: Path, tmp_path: Path, name: str, times: int) -> None:
    content, path = (folder / name).read_bytes(), tmp_path / Path(name).name
    for seed in range(times):
        path.write_bytes(mutated(content, np.random.default_rng(seed)))
        opened_or_refused(path)


FILES = ["own.torch", "old.pt", "own.safetensors"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_changed_bytes(folder: Path, tmp_path: Path, name: str) -> None:
    check_bytes(folder, tmp_path, name, 25)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_changed_bytes_for_long(folder: Path, tmp_path: Path, name: str) -> None:
    check_bytes(folder, tmp_path, name, 2000)


# ---- values


def with_strange_value(document: Any, rng: np.random.Generator, strange: Callable[[], Any]) -> Any:
    """A copy of a document with one value, anywhere in it, changed, or one key or entry missing."""
    if isinstance(document, dict) and document and rng.random() < 0.8:
        key = sorted(document)[rng.integers(len(document))]
        if rng.random() < 0.15:
            return {other: value for other, value in document.items() if other != key}
        return {**document, key: with_strange_value(document[key], rng, strange)}
    if isinstance(document, list) and document and rng.random() < 0.6:
        place = int(rng.integers(len(document)))
        if rng.random() < 0.2:
            return document[:place] + document[place + 1 :]
        return [
            with_strange_value(value, rng, strange) if index == place else value for index, value in enumerate(document)
        ]
    return strange()


def strange_for_json(rng: np.random.Generator) -> Any:
    return STRANGE[rng.integers(len(STRANGE))]


def strange_for_torch(rng: np.random.Generator) -> Any:
    tensors = [
        torch.zeros(2, 2),
        torch.tensor(1),
        torch.zeros(2).to_sparse(),
        torch.empty(0),
        torch.zeros(2, dtype=torch.cfloat),
    ]
    return tensors[rng.integers(len(tensors))] if rng.random() < 0.3 else strange_for_json(rng)


def check_config(folder: Path, tmp_path: Path, times: int) -> None:
    config = json.loads((folder / "hub" / "config.json").read_text())
    (tmp_path / "hub").mkdir()
    os.link(folder / "hub" / "model.safetensors", tmp_path / "hub" / "model.safetensors")
    for seed in range(times):
        rng = np.random.default_rng(seed)
        document = with_strange_value(config, rng, lambda rng=rng: _json_safe(strange_for_json(rng)))
        (tmp_path / "hub" / "config.json").write_text(json.dumps(document))
        opened_or_refused(tmp_path / "hub")


def check_header(folder: Path, tmp_path: Path, times: int) -> None:
    tensors = read_tensor_file(folder / "own.safetensors").tensors
    metadata = read_tensor_file(folder / "own.safetensors").metadata
    for seed in range(times):
        rng = np.random.default_rng(seed)
        document = with_strange_value(metadata, rng, lambda rng=rng: _json_safe(strange_for_json(rng)))
        save_file(tensors, tmp_path / "a.safetensors", metadata={"sam2_adapter": json.dumps(document)})
        opened_or_refused(tmp_path / "a.safetensors")


def check_content(folder: Path, tmp_path: Path, times: int) -> None:
    content = torch.load(folder / "own.torch", weights_only=True)
    for seed in range(times):
        rng = np.random.default_rng(seed)
        document = with_strange_value(content, rng, lambda rng=rng: strange_for_torch(rng))
        torch.save(document, tmp_path / "a.torch")
        opened_or_refused(tmp_path / "a.torch")


def _json_safe(value: Any) -> Any:
    """Numbers of thousands of digits can be read, within a limit, but not be written."""
    return 10**4000 if value == 10**5000 else value


CHECKS = [check_config, check_header, check_content]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", CHECKS)
def test_strange_values(folder: Path, tmp_path: Path, check: Callable[[Path, Path, int], None]) -> None:
    check(folder, tmp_path, 20)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", CHECKS)
def test_strange_values_for_long(folder: Path, tmp_path: Path, check: Callable[[Path, Path, int], None]) -> None:
    check(folder, tmp_path, 2000)


# ---- what is known of people's files


@pytest.mark.parametrize("name", ["a.pt", "a.torch", "a.safetensors", "hub/model.safetensors"])
@pytest.mark.parametrize(("content", "what"), [(POINTER, "a pointer of Git LFS"), (PAGE, r"a web page \(HTML\)")])
def test_stand_ins_are_called_what_they_are(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    for source in {path, path.parent if path.parent != tmp_path else path}:
        with pytest.raises(CheckpointError, match=rf"{path.name} holds no weights: this is {what}"):
            load_checkpoint(source)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    for name in ("a.pt", "a.safetensors"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(CheckpointError, match=f"{name} is not a regular file"):
            load_checkpoint(tmp_path / name)


def test_an_archive_that_would_grow_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**7))
    with pytest.raises(CheckpointError, match=r"a\.pt is damaged.*its entries are compressed"):
        load_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("depth", [10**5])
def test_documents_without_end(tmp_path: Path, folder: Path, depth: int) -> None:
    (tmp_path / "hub").mkdir()
    os.link(folder / "hub" / "model.safetensors", tmp_path / "hub" / "model.safetensors")
    (tmp_path / "hub" / "config.json").write_text("[" * depth)
    assert not opened_or_refused(tmp_path / "hub")
    tensors = read_tensor_file(folder / "own.safetensors").tensors
    save_file(tensors, tmp_path / "a.safetensors", metadata={"sam2_adapter": '{"a":' * depth})
    assert not opened_or_refused(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("w.pt", b"hello", "w.pt is damaged, cut short or not a PyTorch file. Fetch or write it again."),
        ("w.pt", b"\x89PNG\r\n\x1a\n" + bytes(99), "w.pt is damaged, cut short or not a PyTorch file. Fetch or write it again."),
        ("w.pt", b"", "w.pt is empty. Fetch or write it again."),
        ("w.safetensors", b"hello", "w.safetensors is damaged, cut short or not a safetensors file. Fetch or write it again."),
    ],
)  # fmt: skip
def test_damaged_files_are_named_without_the_words_of_a_library(
    tmp_path: Path, name: str, content: bytes, text: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_tensor_file(tmp_path / name)
    assert str(caught.value).endswith(text)


@pytest.mark.parametrize("name", ["a.pt", "a.bin", "a.ckpt", "a", "a.SAFETENSORS"])
def test_safetensors_are_read_whatever_the_file_is_called(tmp_path: Path, folder: Path, name: str) -> None:
    shutil.copy(folder / "own.safetensors", tmp_path / name)
    expected = read_tensor_file(folder / "own.safetensors")
    found = read_tensor_file(tmp_path / name)
    assert found.metadata == expected.metadata
    assert all(torch.equal(tensor, expected.tensors[key]) for key, tensor in found.tensors.items())


def test_a_file_of_torch_is_read_as_such_under_the_suffix_of_safetensors(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(3)}, tmp_path / "a.safetensors")
    assert read_tensor_file(tmp_path / "a.safetensors").tensors["a.weight"].tolist() == [1, 1, 1]


def test_the_parts_of_a_model_are_opened_by_their_index(tmp_path: Path) -> None:
    for number, name in enumerate(("x", "y"), start=1):
        save_file({name: torch.full((2,), number)}, tmp_path / f"model-0000{number}-of-00002.safetensors")
    weight_map = {name: f"model-0000{number}-of-00002.safetensors" for number, name in enumerate(("x", "y"), start=1)}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    for source in (tmp_path, index):
        tensors = read_tensor_file(source).tensors
        assert {name: tensor.tolist() for name, tensor in tensors.items()} == {"x": [1, 1], "y": [2, 2]}
    with pytest.raises(CheckpointError, match=r"is one of several parts of a model\. Name the directory"):
        read_tensor_file(tmp_path / "model-00001-of-00002.safetensors")


def test_a_directory_with_files_of_other_names_says_which(tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(WeightsNotFoundError, match=r"It has best.pt, pytorch_model.bin: name the file that is meant\."):
        read_tensor_file(tmp_path)


def test_a_path_that_is_too_long_is_not_there():
    with pytest.raises(WeightsNotFoundError, match="There is no weights file x"):
        read_tensor_file(Path("x" * 5000))


class Stopped(io.BytesIO):
    """A file of which Ctrl-C stops one write."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def write(self, content: Any) -> int:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().write(content)


@pytest.mark.parametrize("at", range(1, 9))
def test_ctrl_c_while_a_file_is_written_is_ctrl_c(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: int) -> None:
    """However much of the file is there: torch's archive, left unfinished, raises an error of its own."""
    monkeypatch.setattr(tensor_files, "atomic_file", lambda path, is_synced: nullcontext(Stopped(at)))
    with pytest.raises(KeyboardInterrupt):
        write_torch_file(tmp_path / "weights.torch", {f"part{number}": torch.zeros(number + 1) for number in range(4)})
