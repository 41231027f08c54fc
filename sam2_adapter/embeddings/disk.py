"""Embeddings on disk: safetensors files that are complete or not there, checked when read, within a limit of bytes.

A file holds three tensors, `image_embedding`, `high_res_features_0` and `high_res_features_1`; see `EncodedImages`.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import time
import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from sam2_adapter.errors import ExportError
from sam2_adapter.files import write_file
from sam2_adapter.models.network.image_encoder import EncodedImages

logger = logging.getLogger(__name__)

_TENSORS = ("image_embedding", "high_res_features_0", "high_res_features_1")

# Key in the metadata: CRC-32 of everything behind the header, as a decimal number.
_CHECKSUM = "crc32"

_FORMATS = (torch.float16, torch.bfloat16, torch.float32)

_SUFFIX = ".safetensors"
# Files of version 0.1, which is not read any more; they count, and are removed like those of another encoder.
_OLD_SUFFIX = ".embedding"
_UNFINISHED_SUFFIX = ".part"

# An unfinished file this old belongs to a run that died.
_ABANDONED_SECONDS = 24 * 3600.0

# Other runs write into the same store: what is used is counted again after this many files of our own.
_WRITES_BETWEEN_COUNTS = 16


class EmbeddingFiles:
    """The embeddings of one encoder in a folder of a store that other encoders and other runs use too."""

    def __init__(self, root: Path, folder: str, limit: int, min_free: int) -> None:
        """Use `root/folder`, made when it is first needed.

        Args:
            root: folder of the whole store.
            folder: see `EncoderIdentity.folder`.
            limit: bytes of the whole store; over it, the oldest embeddings of other encoders are removed, never our
                own.
            min_free: bytes of the file system that are left to others.
        """
        self._root = root
        self._folder = root / folder
        self._limit = limit
        self._min_free = min_free
        self._used = 0
        self._writes_until_count = 0
        self._is_writable = True
        self._told_damage = False
        _remove_abandoned(root)

    def read(self, key: str) -> EncodedImages | None:
        """The embedding of a key; `None` where there is none or it is damaged, which is told once."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell_damage(path, str(error))
            return None
        try:
            return _decoded(content)
        except ValueError as error:
            self._tell_damage(path, str(error))
            _unlink(path)
            return None

    def write(self, key: str, encoded: EncodedImages) -> None:
        """Keep the embedding of a key unless it is there or there is no room; a full disk is reported once, and then only costs time."""
        path = self._path(key)
        if not self._is_writable or path.exists():
            return
        content = _encoded(encoded)
        try:
            if self._has_room(len(content)):
                write_file(path, lambda file: file.write(content))
                self._used += len(content)
        except (OSError, ExportError) as error:
            self._is_writable = False
            cause = error.__cause__ if isinstance(error, ExportError) else error
            is_full = isinstance(cause, OSError) and cause.errno == errno.ENOSPC
            reason = "the disk is full" if is_full else str(cause)
            logger.warning(
                "%s: no more embeddings are kept on disk (%s); the rest is encoded again when needed.",
                self._root,
                reason,
            )

    def _has_room(self, size: int) -> bool:
        if self._writes_until_count <= 0:
            self._used = sum(size for _, size, _ in _files(self._root))
            self._writes_until_count = _WRITES_BETWEEN_COUNTS
        self._writes_until_count -= 1
        if self._used + size > self._limit:
            self._remove_others(self._used + size - self._limit)
        self._root.mkdir(parents=True, exist_ok=True)
        return self._used + size <= self._limit and shutil.disk_usage(self._root).free - size >= self._min_free

    def _remove_others(self, size: int) -> None:
        others = [entry for entry in _files(self._root) if entry[0].parent != self._folder]
        for path, file_size, _ in sorted(others, key=lambda entry: entry[2]):
            if size <= 0:
                return
            _unlink(path)
            size -= file_size
            self._used -= file_size

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _tell_damage(self, path: Path, reason: str) -> None:
        if not self._told_damage:
            logger.warning("%s is damaged (%s): such embeddings are made again.", path, reason)
        self._told_damage = True


def _encoded(encoded: EncodedImages) -> bytes:
    tensors = (encoded.image_embedding, *encoded.high_res_features)
    named = {name: tensor.contiguous() for name, tensor in zip(_TENSORS, tensors, strict=True)}
    # The checksum is over what the file holds, which is known only when it is made.
    data = save(named)
    return save(named, metadata={_CHECKSUM: str(zlib.crc32(_values(data)))})


def _decoded(content: bytes) -> EncodedImages:
    """Read what `_encoded` made.

    Raises:
        ValueError: it is something else, or damaged.
    """
    try:
        values = _values(content)
        expected = json.loads(content[8 : len(content) - len(values)])["__metadata__"][_CHECKSUM]
        if str(zlib.crc32(values)) != expected:
            raise ValueError("its checksum is wrong")
        tensors = load(content)
        coarse, fine, middle = (tensors[name] for name in _TENSORS)
    except (SafetensorError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is no embedding ({error})") from error
    if any(tensor.dtype not in _FORMATS or tensor.ndim != 4 for tensor in (coarse, fine, middle)):
        raise ValueError("it is no embedding (its tensors are of another kind)")
    return EncodedImages(coarse, (fine, middle))


def _values(content: bytes) -> memoryview:
    """The part of a safetensors file behind its header, whose length is in the first eight bytes."""
    return memoryview(content)[8 + int.from_bytes(content[:8], "little") :]


def _files(root: Path) -> list[tuple[Path, int, float]]:
    """All embeddings below `root` with size in bytes and time of writing; files that vanish meanwhile are left out."""
    found = []
    for path in (*root.glob(f"*/*{_SUFFIX}"), *root.glob(f"*/*{_OLD_SUFFIX}")):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path, status.st_size, status.st_mtime))
    return found


def _remove_abandoned(root: Path) -> None:
    for path in root.glob(f"*/.*{_UNFINISHED_SUFFIX}"):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()
        except OSError:
            continue


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.debug("%s could not be removed: %s", path, error)
