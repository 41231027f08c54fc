"""Embeddings on disk: files that are complete or not there, checked when read, within a limit of bytes."""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import shutil
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import torch

from sam2_adapter.models.network.image_encoder import EncodedImages

logger = logging.getLogger(__name__)

_MAGIC = b"SAM2EMB1"
# Bytes of the header, then the checksum of everything behind these eight bytes.
_PREFIX = struct.Struct("<II")

_SUFFIX = ".embedding"
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
        """Keep the embedding of a key unless it is there or there is no room; a full disk is told once and costs nothing but time."""
        path = self._path(key)
        if not self._is_writable or path.exists():
            return
        content = _encoded(encoded)
        try:
            if self._has_room(len(content)):
                _write_once(path, content)
                self._used += len(content)
        except OSError as error:
            self._is_writable = False
            reason = "the disk is full" if error.errno == errno.ENOSPC else str(error)
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
            logger.warning("%s is damaged (%s): such embeddings are made anew.", path, reason)
        self._told_damage = True


def _encoded(encoded: EncodedImages) -> bytes:
    tensors = (encoded.image_embedding, *encoded.high_res_features)
    header = json.dumps([list(tensor.shape) for tensor in tensors]).encode()
    body = header + b"".join(tensor.contiguous().numpy().astype("<f2", copy=False).tobytes() for tensor in tensors)
    return _MAGIC + _PREFIX.pack(len(header), zlib.crc32(body)) + body


def _decoded(content: bytes) -> EncodedImages:
    start = len(_MAGIC) + _PREFIX.size
    if len(content) < start or not content.startswith(_MAGIC):
        raise ValueError("it is no embedding")
    header_size, checksum = _PREFIX.unpack_from(content, len(_MAGIC))
    if zlib.crc32(memoryview(content)[start:]) != checksum:
        raise ValueError("its checksum is wrong")
    tensors, offset = [], start + header_size
    for shape in json.loads(content[start:offset]):
        count = int(np.prod(shape))
        values = np.frombuffer(content, "<f2", count, offset).reshape(shape)
        tensors.append(torch.from_numpy(values.copy()))
        offset += values.nbytes
    embedding, fine, middle = tensors
    return EncodedImages(embedding, (fine, middle))


def _write_once(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{secrets.token_hex(8)}{_UNFINISHED_SUFFIX}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except BaseException:
        _unlink(unfinished)
        raise


def _files(root: Path) -> list[tuple[Path, int, float]]:
    """All embeddings below `root` with size in bytes and time of writing; files that vanish meanwhile are left out."""
    found = []
    for path in root.glob(f"*/*{_SUFFIX}"):
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
