"""The embedding store: one encoding per image, limits, damage, full disks, sharing."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pathlib
import time

import numpy as np
import pytest
import torch

from sam2_adapter.embeddings.disk import EmbeddingFiles
from sam2_adapter.embeddings.keys import exact_key, num_bytes
from sam2_adapter.embeddings.store import EmbeddingStore
from sam2_adapter.models.network.image_encoder import EncodedImages

MIB = 2**20


def embedding(value: float = 1.0, batch: int = 1) -> EncodedImages:
    return EncodedImages(
        torch.full((batch, 8, 4, 4), value),
        (torch.full((batch, 1, 16, 16), value), torch.full((batch, 2, 8, 8), value)),
    )


SIZE = num_bytes(embedding()) // 2


def files(root, folder="f", limit=MIB, min_free=0):
    return EmbeddingFiles(root, folder, limit, min_free)


def refuse():
    raise AssertionError("encoded again")


def test_an_image_is_encoded_once_and_later_runs_read_it(tmp_path):
    first = EmbeddingStore(MIB, files(tmp_path))
    made = first.get("a", lambda: embedding(0.3))
    assert torch.equal(first.get("a", refuse).image_embedding, made.image_embedding)
    later = EmbeddingStore(MIB, files(tmp_path))
    for level, again in zip(made.high_res_features, later.get("a", refuse).high_res_features, strict=True):
        assert torch.equal(level, again)
    assert later.statistics.from_disk == 1
    assert later.statistics.made == 0


def test_embeddings_are_rounded_to_fp16_wherever_they_come_from(tmp_path):
    store = EmbeddingStore(0, files(tmp_path))
    made, read = (store.get("a", lambda: embedding(1 / 3)).image_embedding for _ in range(2))
    assert made.dtype == torch.float32
    assert torch.equal(made, read)
    assert torch.equal(made, torch.full_like(made, 1 / 3).half().float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("memory", [0, MIB])
def test_exact_embeddings_are_kept_as_they_were_encoded(tmp_path, memory, dtype):
    store, key = EmbeddingStore(memory, files(tmp_path)), exact_key("a")
    found = [store.get(key, lambda: embedding(1 / 3).map(lambda tensor: tensor.to(dtype))) for _ in range(2)]
    assert store.statistics.made == 1
    for kept in found:
        assert all(level.dtype == dtype for level in (kept.image_embedding, *kept.high_res_features))
        assert torch.equal(kept.image_embedding, torch.full((1, 8, 4, 4), 1 / 3, dtype=dtype))
    assert torch.equal(store.get("a", embedding).image_embedding, embedding().image_embedding)  # another entry


def test_filling_encodes_in_batches_and_only_what_is_missing(tmp_path):
    EmbeddingStore(0, files(tmp_path)).get("b", embedding)
    batches = []

    def make(keys):
        batches.append(list(keys))
        return embedding(batch=len(keys))

    store = EmbeddingStore(MIB, files(tmp_path))
    done = list(store.fill(["a", "b", "c", "a", "d", "e"], make, batch_size=3))
    assert batches == [["a", "c", "d"], ["e"]]
    assert sorted(done) == ["a", "b", "c", "d", "e"]


def test_over_the_memory_limit_the_disk_serves_and_over_both_it_is_made_again(tmp_path):
    on_disk = EmbeddingStore(SIZE, files(tmp_path))
    for key in "ab":
        on_disk.get(key, embedding)
    on_disk.get("a", refuse)
    assert on_disk.statistics.from_disk == 1
    nowhere = EmbeddingStore(SIZE)
    for key in "aba":
        nowhere.get(key, embedding)
    assert nowhere.statistics.made == 3


def test_the_disk_limit_removes_other_encoders_embeddings_but_never_our_own(tmp_path):
    for key in "ab":
        EmbeddingStore(0, files(tmp_path, "old")).get(key, embedding)
    size = next((tmp_path / "old").iterdir()).stat().st_size
    store = EmbeddingStore(0, files(tmp_path, "new", limit=2 * size))
    for key in "abc":
        store.get(key, embedding)
    assert sorted(path.stem for path in tmp_path.glob("*/*")) == ["a", "b"]
    assert not any((tmp_path / "old").iterdir())


def test_space_is_left_to_others(tmp_path):
    EmbeddingStore(0, files(tmp_path, min_free=2**62)).get("a", embedding)
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-7], lambda c: b"", lambda c: c[:40] + b"\x01" + c[41:], lambda c: b"x" * len(c)]
)
def test_a_damaged_file_is_made_anew_with_one_warning(tmp_path, caplog, damage):
    EmbeddingStore(0, files(tmp_path)).get("a", lambda: embedding(0.5))
    path = next(tmp_path.glob("*/*"))
    intact = path.read_bytes()
    path.write_bytes(damage(intact))
    store = EmbeddingStore(0, files(tmp_path))
    assert store.get("a", lambda: embedding(0.5)).image_embedding.unique().item() == 0.5
    assert caplog.text.count("is damaged") == 1
    assert path.read_bytes() == intact
    store.get("a", refuse)


def test_a_full_disk_costs_time_only(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "replace", full)
    store = EmbeddingStore(0, files(tmp_path))
    for key in "ab":
        assert store.get(key, embedding).image_embedding.max() == 1
    assert caplog.text.count("the disk is full") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_dead_runs_left_is_removed(tmp_path):
    (tmp_path / "f").mkdir()
    old, new = tmp_path / "f" / ".old.part", tmp_path / "f" / ".new.part"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    files(tmp_path)
    assert not old.exists()
    assert new.exists()


def _write_and_read(root, seed):
    store = EmbeddingStore(0, EmbeddingFiles(root, "f", MIB, 0))
    for index in np.random.default_rng(seed).permutation(20).tolist() * 3:
        value = store.get(f"{index}", lambda index=index: embedding(index)).image_embedding
        assert torch.equal(value, torch.full_like(value, index))


def test_concurrent_runs_share_a_store(tmp_path):
    context = multiprocessing.get_context("fork")
    runs = [context.Process(target=_write_and_read, args=(tmp_path, seed)) for seed in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0, 0]
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 20
    assert not list(tmp_path.glob("*/.*"))
