"""Reading and writing files of tensors: PyTorch's format, safetensors, and directories of the latter.

Nothing here knows what the tensors mean; see `checkpoint.py`.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import secrets
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sam2_adapter.errors import CheckpointError, OutputExistsError, WeightsNotFoundError, was_interrupted
from sam2_adapter.files import atomic_file, json_problem, reason_of
from sam2_adapter.input_files import NUM_BYTES, what_stands_in
from sam2_adapter.models.families.architectures import architecture_names, meant_name
from sam2_adapter.models.weights.file_kinds import is_of_torch, is_one_of_several, is_safetensors, other_file
from sam2_adapter.models.weights.wrappers import find_state_dict
from sam2_adapter.text import shown

SAFETENSORS_SUFFIX = ".safetensors"
SAFETENSORS_NAME = "model.safetensors"
SAFETENSORS_INDEX_NAME = "model.safetensors.index.json"
CONFIG_NAME = "config.json"

_INDEX_SUFFIX = ".safetensors.index.json"
_SUFFIXES = (SAFETENSORS_SUFFIX, ".pt", ".pth", ".bin", ".ckpt")

# Key of our metadata in the header of a safetensors file, which holds strings only.
_HEADER_KEY = "sam2_adapter"

# What is raised where a file cannot be written: torch and safetensors have errors of their own for a full disk.
WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)


class _OddArchiveError(ValueError):
    """An archive that `torch.save` does not write."""


@dataclass(frozen=True)
class TensorFile:
    """What a weights file or directory holds.

    Attributes:
        path: the file or directory.
        tensors: tensors by the names that they have in the file.
        metadata: plain values stored beside the tensors.
        config: content of `config.json` where the file has one.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] | None = None


def read_tensor_file(path: Path) -> TensorFile:
    """Read a file of safetensors or of `torch.save`, whatever it is called, or a directory with `model.safetensors` or its shards.

    Raises:
        WeightsNotFoundError: there is no such file.
        CheckpointError: the file is damaged, or opening it could run code.
    """
    if not os.path.exists(path):
        raise WeightsNotFoundError(f"There is no weights file {path}.{_hint(path)}")
    if path.is_dir():
        return _read_directory(path)
    start = _start_of_weights_file(path)
    if path.name.endswith(_INDEX_SUFFIX):
        return TensorFile(path, *_read_shards(path), _read_config(path.parent))
    if is_one_of_several(path):
        raise CheckpointError(
            f"{path} is one of several parts of a model. Name the directory that has all of them and their index."
        )
    if is_safetensors(start) or (path.suffix == SAFETENSORS_SUFFIX and not is_of_torch(start)):
        tensors, metadata = _read_safetensors(path)
        return TensorFile(path, tensors, metadata, _read_config(path.parent) if path.name == SAFETENSORS_NAME else None)
    return _read_torch(path)


def told_write_error(error: Exception) -> str:
    """The reason of one of `WRITE_ERRORS`, in plain words."""
    return reason_of(error) if isinstance(error, OSError) else "the disk is full, or it fails"


def write_torch_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values with `torch.save`, completely or not at all."""
    try:
        with atomic_file(path, is_synced=True) as handle:
            torch.save(dict(content), handle)
    except RuntimeError as error:
        if was_interrupted(error):  # torch's archive, left unfinished, raises an error that is no interruption
            raise KeyboardInterrupt from error
        raise


def write_directory(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    documents: Mapping[str, str],
    metadata: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write `model.safetensors` and JSON files into a new directory, completely or not at all.

    Args:
        path: the directory.
        tensors: what goes to `model.safetensors`.
        documents: the other files by their names, `config.json` among them.
        metadata: plain values for the header of `model.safetensors`.
        overwrite: replace a directory that holds nothing but such files.

    Raises:
        OutputExistsError: the directory exists, is not empty and is not to be replaced.
    """
    _require_free_directory(path, {SAFETENSORS_NAME, *documents}, overwrite)
    header = {"format": "pt"} | ({_HEADER_KEY: json.dumps(dict(metadata))} if metadata else {})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished, replaced = _unfinished(path), _unfinished(path)
    unfinished.mkdir()
    try:
        for name, document in documents.items():
            (unfinished / name).write_text(document, "utf-8")
        save_file(dict(tensors), unfinished / SAFETENSORS_NAME, metadata=header)
        # The library lets nobody but the owner read its file.
        shutil.copymode(unfinished / CONFIG_NAME, unfinished / SAFETENSORS_NAME)
        if path.exists():
            path.replace(replaced)
        unfinished.replace(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def _require_free_directory(path: Path, names: set[str], overwrite: bool) -> None:
    there = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if not there and (path.is_dir() or not os.path.lexists(path)):
        return
    if not overwrite or not path.is_dir():
        raise OutputExistsError(
            f"{path} exists already; name a new or empty directory, or replace an earlier result with --overwrite."
        )
    if strangers := sorted(there - names):
        raise OutputExistsError(f"{path} holds {strangers[0]}, which is not replaced; name a new or empty directory.")


def _unfinished(path: Path) -> Path:
    # In the same directory: a rename is atomic only within one file system.
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _read_directory(path: Path) -> TensorFile:
    index = path / SAFETENSORS_INDEX_NAME
    if (path / SAFETENSORS_NAME).exists():
        tensors, metadata = _read_safetensors(path / SAFETENSORS_NAME)
    elif index.exists():
        tensors, metadata = _read_shards(index)
    else:
        others = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() in _SUFFIXES)
        advice = (
            f"It has {', '.join(others[:3])}: name the file that is meant."
            if others
            else "Name a directory that transformers saved, or the weights file itself."
        )
        raise WeightsNotFoundError(
            f"The directory {path} has no {SAFETENSORS_NAME} and no {SAFETENSORS_INDEX_NAME}. {advice}"
        )
    return TensorFile(path, tensors, metadata, _read_config(path))


def _read_shards(index: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    content = _read_json(index)
    weight_map = content.get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointError(f"{index} has no weight_map that names the file of each tensor.")
    tensors: dict[str, torch.Tensor] = {}
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard:
            raise CheckpointError(f"{index} names the shard {shard!r}; shards must lie beside it.")
        if not (index.parent / shard).exists():
            raise WeightsNotFoundError(f"{index} names the shard {shard}, which is missing.")
        tensors.update(_read_safetensors(index.parent / shard)[0])
    return tensors, {}


def _hint(path: Path) -> str:
    """What to do: take the configuration that is meant, where a file is called like one of the published ones and no folder is named."""
    meant = meant_name(path.name, architecture_names()) if path.name == str(path) else None
    if meant == path.name:
        return f" Here {meant!r} is the name of published weights, but a file or a directory is expected."
    return (
        f" Without .pt and the like, {meant!r} names the published weights, which are fetched."
        if meant
        else " Check the path."
    )


def _start_of_weights_file(path: Path) -> bytes:
    """The first bytes; pipes and devices, which may never end, files that only stand in for the weights, and others are refused."""
    if not path.is_file():
        raise CheckpointError(f"{path} is not a regular file; name a weights file or a directory.")
    try:
        with path.open("rb") as file:
            start = file.read(NUM_BYTES)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({reason_of(error)}).") from error
    if not start:
        raise CheckpointError(f"{path} is empty. Fetch or write it again.")
    if found := what_stands_in(start):
        raise CheckpointError(f"{path} holds no weights: this is {found}.")
    if found := other_file(path, start):
        raise CheckpointError(
            f"{path} is {found}, which is not read. Give the weights of PyTorch that it was made from, as .pt or .safetensors."
        )
    return start


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    _start_of_weights_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        metadata = json.loads(header[_HEADER_KEY]) if _HEADER_KEY in header else {}
    except Exception as error:  # whatever a damaged file makes the library raise
        raise CheckpointError(
            f"{path} is damaged, cut short or not a safetensors file. Fetch or write it again."
        ) from error
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{path} is damaged: what sam2-adapter wrote beside the weights is not a JSON object.")
    return tensors, metadata


def _read_config(directory: Path) -> dict[str, Any] | None:
    path = directory / CONFIG_NAME
    return _read_json(path) if path.exists() else None


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path} is not a regular file; expected JSON.")
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({reason_of(error)}).") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not readable as JSON: {json_problem(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected a JSON object.")
    return content


def _read_torch(path: Path) -> TensorFile:
    content = _load_pickle(path)
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}; expected a state dict or {{'model': state dict}}."
        )
    tensors = find_state_dict(content)
    if tensors is None:
        others = [name for name, value in content.items() if not isinstance(value, torch.Tensor)]
        if len(others) < len(content):
            raise CheckpointError(
                f"{path} holds {shown(others[0])}, which is no tensor, among the tensors of a state dict. Save the state dict alone, or under the "
                "key 'model'."
            )
        found = f"the entries {', '.join(str(name)[:80] for name in list(content)[:3])}" if content else "nothing"
        raise CheckpointError(f"{path} holds {found}; expected a state dict of tensors, bare or under the key 'model'.")
    is_ours = isinstance(content.get("model"), dict)
    beside = {key: value for key, value in content.items() if key != "model"} if is_ours else {}
    return TensorFile(path, tensors, beside)


def _load_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of other versions; what cannot be read is refused below
            is_archive = _is_plain_zip(path)
            if path.suffix == SAFETENSORS_SUFFIX:  # by this suffix torch would take it for safetensors
                with path.open("rb") as file:
                    return torch.load(file, map_location="cpu", weights_only=True)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise CheckpointError(
                f"{path} holds Python objects besides tensors and plain values ({refused[1]}). Opening them could run "
                "code of the file's author, so it was not opened. Ask for a file with the state dict only."
            ) from None
        raise CheckpointError(_damaged(path, error)) from error
    except Exception as error:  # whatever a damaged file makes the unpickler raise
        raise CheckpointError(_damaged(path, error)) from error


def _is_plain_zip(path: Path) -> bool:
    """Whether the file is an archive; `torch.save` compresses nothing, so entries that would grow when they are read are refused."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if not any(entry.filename.endswith("data.pkl") for entry in entries):
        held = ", ".join(entry.filename for entry in entries[:3]) or "nothing"
        raise CheckpointError(
            f"{path} is a ZIP archive that torch.save has not written (it holds {held}). Unpack it, and name the weights file that was in it."
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise _OddArchiveError("its entries are compressed")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise _OddArchiveError("its entries claim more bytes than the file has")
    return True


def _damaged(path: Path, error: Exception) -> str:
    # Only our own reasons: torch's are about its own workings, and go on with the advice to open the file unsafely.
    reason = f" ({error})" if isinstance(error, _OddArchiveError) else ""
    return f"{path} is damaged, cut short or not a PyTorch file{reason}. Fetch or write it again."
